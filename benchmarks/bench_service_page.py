"""The page of a service with 300 pods, over HTTP from a portal, against the official client's typed list of 300 pods.

Pages read rows, so a viewer costs the API server nothing. Both are asked in turn, in the same run, by processes of their
own; the API server is the simulated one, whose own share is seen in the raw list (a real one: 13.5 ms of 146 ms).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.portal import ROOT, Portal
from tests.simulators.kubernetes_rig import Rig

from .measure import Number, percentile

PODS = 300
TIMES = 40
ROUNDS = 3
LIMIT = 0.2


def measure(scratch: Path) -> Iterator[Number]:
    with Portal(scratch / "var") as portal, Rig() as rig:
        service = inside(portal.env, "benchmarks.cluster_pages.fill", PODS)["service"]
        rig.namespace("crowd")
        rig.fill("crowd", 1, PODS)
        kubeconfig = scratch / "kubeconfig"
        kubeconfig.write_text(rig.kubeconfig())
        kubeconfig.chmod(0o600)
        with contextlib.closing(signed_in(portal)) as door:
            found: dict[str, list[float]] = {"page": [], "live part": [], "typed": [], "raw": []}
            looked_at(door, f"/services/{service}/", times=5)  # templates are compiled now
            for _ in range(ROUNDS):
                found["page"] += looked_at(door, f"/services/{service}/")
                found["live part"] += looked_at(door, f"/services/{service}/?part=live")
                listed = inside(dict(os.environ), "benchmarks.cluster_pages.listing", kubeconfig, "crowd", TIMES // 2)
                if listed["pods"] != PODS:
                    raise RuntimeError(f"{listed['pods']} pods instead of {PODS}")
                found["typed"] += listed["typed"]
                found["raw"] += listed["raw"]
    typed = percentile(found["typed"], 0.5)
    note = f"p95 {percentile(found['page'], 0.95):.1f} ms; raw bytes of the list p50 {percentile(found['raw'], 0.5):.1f} ms"
    for name in ("page", "live part"):
        yield Number(
            f"service with {PODS} pods, its {name}, p50", percentile(found[name], 0.5), "ms", baseline=typed,
            baseline_name="typed list by the client", limit=LIMIT, note=note if name == "page" else "",
        )  # fmt: skip
    yield Number(
        "… its page against what the client alone makes of the list", percentile(found["page"], 0.5), "ms",
        baseline=typed - percentile(found["raw"], 0.5), baseline_name="typed list without the raw one",
        note="the simulated server's own share taken off",
    )  # fmt: skip


def inside(env: Any, module: str, *arguments: object) -> dict[str, Any]:
    env = {**env, "DJANGO_SETTINGS_MODULE": "fangduoduo_release.settings"}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def signed_in(portal: Portal) -> httpx.Client:
    """A browser's session, as `dev`."""
    door = httpx.Client(base_url=portal.url, timeout=30, follow_redirects=True)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', door.get("/sign-in/").text)
    assert token is not None
    words = {"username": "dev", "password": portal.credentials()["users"]["dev"], "csrfmiddlewaretoken": token[1]}
    door.post("/sign-in/", data=words, headers={"Referer": portal.url}).raise_for_status()
    return door


def looked_at(door: httpx.Client, path: str, times: int = TIMES) -> list[float]:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        answer = door.get(path)
        took.append((time.perf_counter() - began) * 1000)
        shown = answer.text.count('class="instance"')
        if (answer.status_code, shown) != (200, PODS):
            raise RuntimeError(f"{path} answers {answer.status_code} with {shown} instances")
    return took
