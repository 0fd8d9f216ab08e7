"""The gateway: a list of 2,000 pods from the cache beside the API server's raw list and `kubectl get`, and what 200 viewers
cost the API server.

The cluster is the simulated one, in this process. Lists are timed by a process of
their own, on a connection that is kept, from the request to the last byte, in turns; by a client that does little itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.portal import ROOT, Portal
from tests.simulators.kubernetes_rig import Rig
from tests.waiting import until

from .measure import Number, percentile

PODS = 2000
ROUNDS = 15
VIEWERS = 200
WATCHED_S = float(os.environ.get("BENCH_GATEWAY_S") or 20)
EACH_S = 4.0  # a viewer looks so often
NAMESPACE = "crowd"
PATH = f"/api/v1/namespaces/{NAMESPACE}/pods"
TIMED = """
import http.client, json, ssl, sys, time
from urllib.parse import urlsplit
asked = json.load(sys.stdin)
def connect(url):
    parts = urlsplit(url)
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.netloc, timeout=60)
    return http.client.HTTPSConnection(parts.netloc, timeout=60, context=ssl._create_unverified_context())
doors = [(connect(one["url"]), one, []) for one in asked["doors"]]
for _ in range(asked["rounds"] + 2):
    for line, one, times in doors:
        began = time.perf_counter()
        line.request("GET", urlsplit(one["url"]).path, headers=one["headers"])
        answer = line.getresponse()
        body = answer.read()
        times.append((time.perf_counter() - began) * 1000)
        assert answer.status == 200, body[:500]
        one["bytes"], one["count"] = len(body), body.count(b'"nodeName"')
print(json.dumps([{"ms": times[2:], "bytes": one["bytes"], "count": one["count"]} for _, one, times in doors]))
"""
LOOKING = """
import asyncio, json, sys, time, httpx
asked = json.load(sys.stdin)
async def viewer(client, number, counts):
    await asyncio.sleep(asked["every"] * number / asked["viewers"])
    end = time.monotonic() + asked["seconds"]
    while time.monotonic() < end:
        began = time.monotonic()
        answer = await client.get(asked["url"])
        counts[answer.status_code] = counts.get(answer.status_code, 0) + 1
        await asyncio.sleep(max(0, asked["every"] - (time.monotonic() - began)))
async def main():
    counts = {}
    limits = httpx.Limits(max_connections=asked["viewers"], max_keepalive_connections=asked["viewers"])
    async with httpx.AsyncClient(headers=asked["headers"], timeout=60, limits=limits) as client:
        await asyncio.gather(*[viewer(client, n, counts) for n in range(asked["viewers"])])
    print(json.dumps(counts))
asyncio.run(main())
"""


def measure(scratch: Path) -> Iterator[Number]:
    env = {"FDD_GATEWAY_READS_PER_MINUTE": "0"}
    with Rig() as rig, Portal(scratch / "var", env=env) as portal:
        rig.fill(NAMESPACE, 20, PODS // 20)
        kubeconfig = scratch / "kubeconfig"
        kubeconfig.write_text(rig.kubeconfig())
        connect(portal, kubeconfig.read_text())
        with portal.api("ops") as ops:
            headers = {"Authorization": str(ops.headers["Authorization"])}
        gateway = f"{portal.url}/api/clusters/k1/k8s{PATH}"
        yield from lists(rig, gateway, headers, kubeconfig)
        yield from viewers(rig, gateway, headers)


def connect(portal: Portal, kubeconfig: str) -> None:
    with portal.api("ops") as ops:
        for path, body in (
            ("connections", {"name": "k8s", "kind": "kubernetes", "config": {}, "secrets": {"kubeconfig": kubeconfig}}),
            ("clusters", {"name": "k1", "kind": "kubernetes", "connection": "k8s"}),
            ("machines", {"name": "crowd", "cluster": "k1", "placement": {"namespace": NAMESPACE}}),
        ):
            ops.post(f"/api/{path}/", json=body, timeout=30).raise_for_status()

        def all_there() -> bool:
            answer = ops.get(f"/api/clusters/k1/k8s{PATH}?limit=1", timeout=30)
            return answer.status_code == 200 and answer.json()["metadata"].get("remainingItemCount") == PODS - 1

        until(all_there, timeout=90, every=0.5, what=f"{PODS} pods to be known")


def told(script: str, given: dict[str, Any]) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, input=json.dumps(given), capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout)


def lists(rig: Rig, gateway: str, headers: dict[str, str], kubeconfig: Path) -> Iterator[Number]:
    doors = [{"url": gateway, "headers": headers}, {"url": f"{rig.url}{PATH}", "headers": rig.headers}]
    ours, theirs = told(TIMED, {"doors": doors, "rounds": ROUNDS})
    our, their = percentile(ours["ms"], 0.5), percentile(theirs["ms"], 0.5)
    size = f"{ours['count']} pods in {ours['bytes'] >> 10} KiB; the API server's {theirs['count']} in {theirs['bytes'] >> 10} KiB"
    yield Number(f"list of {PODS:,} pods from the cache, p50", our, "ms", their, "the API server's raw list", 0.3, note=f"p95 {percentile(ours['ms'], 0.95):.1f} ms; {size}")  # fmt: skip
    if shutil.which("kubectl") is None:
        return
    times = []
    for _ in range(5):
        began = time.perf_counter()
        command = ["kubectl", "--kubeconfig", str(kubeconfig), "-n", NAMESPACE, "get", "pods", "-o", "json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=120)
        times.append((time.perf_counter() - began) * 1000)
    yield Number(f"list of {PODS:,} pods from the cache, p50", our, "ms", percentile(times, 0.5), "kubectl get -o json", 0.1)  # fmt: skip


def viewers(rig: Rig, gateway: str, headers: dict[str, str]) -> Iterator[Number]:
    """Each looks at a page of the list every few seconds."""
    rates = []
    notes = []
    for count in (1, VIEWERS):
        before, began = sum(rig.requests.counts.values()), time.monotonic()
        url = f"{gateway}?limit=20"
        answers = told(
            LOOKING, {"url": url, "headers": headers, "viewers": count, "seconds": WATCHED_S, "every": EACH_S}
        )
        rates.append((sum(rig.requests.counts.values()) - before) / (time.monotonic() - began) * 60)
        notes.append(f"{count} viewers: {sum(answers.values())} answers, {answers.get('200', 0)} of them 200")
    yield Number(f"requests to the API server a minute, {VIEWERS} viewers", rates[1], "", rates[0], "1 viewer", 1.1, note="; ".join(notes))  # fmt: skip
