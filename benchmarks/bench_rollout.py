"""A deployment to a cluster: from the click to the new version serving in full, beside `kubectl apply` and `rollout status` of
the same manifest on the same cluster, in turns; how soon a change of a pod stands on the service's page; and what those who
use the service notice of a roll-out with the defaults that we render (pods are real processes behind a real proxy then).

The cluster is the simulated one, at the pace of the recorded one, or the one in FDD_LIVE_KUBECONFIG (image name by
FDD_LIVE_IMAGE, two tags or digests of it separated by a comma).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.portal import ROOT, Portal
from tests.simulators.kubernetes_rig import Pace, Rig
from tests.waiting import until

from .client import Project
from .measure import Number, percentile

ROUNDS = int(os.environ.get("BENCH_ROLLOUT_ROUNDS") or 5)
RATE = 200
CHANGES = 6 * ROUNDS
SLUG, MACHINE, NAMESPACE, BY_HAND = "roll", "roll-test", "roll-test", "roll-hand"
PIPELINE = """pipeline {{ agent any
 options {{ skipDefaultCheckout() }}
 stages {{ stage('S') {{ steps {{
   writeFile file: 'release.json', text: '{{"image": "{image}"}}'
   archiveArtifacts artifacts: 'release.json'
 }} }} }} }}
"""


def measure(scratch: Path) -> Iterator[Number]:
    if shutil.which("kubectl") is None:
        raise RuntimeError("kubectl is what we compare with, and it is not here (Debian: kubernetes-client)")
    with cluster(scratch) as (kubeconfig, images, rig), Portal(scratch / "var") as portal:
        project = connected(portal, scratch, kubeconfig.read_text())
        versions = [version(project, image) for image in images]
        project.change("deploy", machine=MACHINE, version=versions[0])
        ours, theirs = [], []
        for number in range(1, ROUNDS + 1):
            pick = number % 2
            began = time.monotonic()
            project.change("deploy", machine=MACHINE, version=versions[pick])
            ours.append(time.monotonic() - began)
            theirs.append(by_hand(scratch, kubeconfig, manifest(project, images[pick])))
        our, their = percentile(ours, 0.5), percentile(theirs[1:], 0.5)  # the first one made it
        yield Number(
            "click → new version serving in full, 3 replicas", our, "s", their, "kubectl apply + rollout status", 1.15,
            note=f"medians of {ROUNDS}, in turns; the deployment's row polled every 50 ms",
        )  # fmt: skip
        if rig is not None:
            yield on_the_page(project, rig)
            yield from under_load(project, rig, versions, scratch)


@contextlib.contextmanager
def cluster(scratch: Path) -> Iterator[tuple[Path, list[str], Rig | None]]:
    """(kubeconfig, two images, the simulator if it is one)."""
    live = os.environ.get("FDD_LIVE_KUBECONFIG")
    if live:
        yield Path(live), os.environ["FDD_LIVE_IMAGE"].split(","), None
        return
    with Rig(pace=Pace.recorded(), processes=True) as rig:
        for name in (NAMESPACE, BY_HAND):
            rig.namespace(name)
        path = scratch / "kubeconfig"
        path.write_text(rig.kubeconfig())
        yield path, ["rig.local/app:v1", "rig.local/app:v2"], rig


def connected(portal: Portal, scratch: Path, kubeconfig: str) -> Project:
    """A project that may be deployed to the cluster."""
    with portal.api("ops") as ops:
        for path, body in (
            ("connections", {"name": "k8s", "kind": "kubernetes", "config": {}, "secrets": {"kubeconfig": kubeconfig}}),
            ("clusters", {"name": "k1", "kind": "kubernetes", "connection": "k8s"}),
            ("machines", {"name": MACHINE, "cluster": "k1", "placement": {"namespace": NAMESPACE}}),
        ):
            answer = ops.post(f"/api/{path}/", json=body, timeout=30)
            answer.raise_for_status()
        with portal.api("dev") as dev:
            spec = {"port": 8080, "replicas": 3, "start_deadline_s": 60}
            made = {"slug": SLUG, "source": {"kind": "git"}, "starter": "python-http", "spec": spec}
            dev.post("/api/projects/", json=made, timeout=30).raise_for_status()
            wish = {"machine": MACHINE, "reason": "to measure"}
            asked = dev.post(f"/api/projects/{SLUG}/machine-requests/", json=wish)
            asked.raise_for_status()
        ops.post(f"/api/requests/{asked.json()['id']}/approve/", json={}).raise_for_status()
    return Project(portal, scratch, SLUG)


def version(project: Project, image: str) -> int:
    """The number of a version that is this image."""
    text = PIPELINE.format(image=image)
    project.api.put(f"/api/projects/{SLUG}/pipeline/", json={"text": text}).raise_for_status()
    build = project.post(f"/api/projects/{SLUG}/builds/", {"ref": "main"})
    return int(project.finished("builds", build["id"])["version"]["number"])


def manifest(project: Project, image: str) -> list[dict[str, Any]]:
    """What the portal applied last, for another namespace and this image."""
    answer = project.api.get(f"/api/clusters/k1/k8s/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{SLUG}?fresh=1")
    answer.raise_for_status()
    found = answer.json()
    template = found["spec"]["template"]
    labels = {"app": SLUG}
    template["metadata"] = {"labels": labels}
    template["spec"]["containers"][0]["image"] = image
    spec = {**found["spec"], "selector": {"matchLabels": labels}, "template": template}
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": SLUG, "namespace": BY_HAND}}
    return [{**head, "spec": spec}]


def by_hand(scratch: Path, kubeconfig: Path, documents: list[dict[str, Any]]) -> float:
    """Seconds of `kubectl apply` and `kubectl rollout status`."""
    path = scratch / "manifest.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    base = ["kubectl", "--kubeconfig", str(kubeconfig), "-n", BY_HAND]
    began = time.monotonic()
    for command in (["apply", "--validate=false", "-f", str(path)], ["rollout", "status", f"deployment/{SLUG}"]):
        subprocess.run([*base, *command], check=True, capture_output=True, timeout=120)
    return time.monotonic() - began


def on_the_page(project: Project, rig: Rig) -> Number:
    """From a pod that is taken away to the rows saying so."""
    service = project.get(f"/api/projects/{SLUG}/services/")["results"][0]["id"]
    path = f"/api/services/{service}/instances/"
    took = []
    for number in range(CHANGES):
        pods = [one["name"] for one in project.get(path) if one["ready"]]
        before = set(pods)
        began = time.monotonic()
        rig.delete("pods", NAMESPACE, pods[number % len(pods)])

        def seen(known: set[str] = before) -> bool:
            now = project.get(path)
            return {one["name"] for one in now if one["ready"]} != known

        until(seen, timeout=10, every=0.02, what="the change to be seen")
        took.append(time.monotonic() - began)
        until(
            lambda: sum(one["ready"] for one in project.get(path)) == 3, timeout=60, every=0.1, what="all ready again"
        )
    note = f"{CHANGES} times a pod that is deleted; read from the API, which like the page reads rows"
    return Number("pod change → in the rows that pages show, p95", percentile(took, 0.95), "s", limit=1.0, note=note)


def under_load(project: Project, rig: Rig, versions: list[int], scratch: Path) -> Iterator[Number]:
    """Failed requests while the service is changed, at RATE a second."""
    url = until(lambda: rig.service_url(NAMESPACE, SLUG), what="the service's proxy")
    changes: dict[str, dict[str, int]] = {"deploy": {"version": versions[0]}, "rollback": {"version": versions[1]}}
    for action, body in changes.items():
        report = scratch / f"{action}.json"
        command = [sys.executable, "-m", "benchmarks.load", f"{url}/", str(RATE), str(report)]
        stream = subprocess.Popen(command, cwd=ROOT)
        time.sleep(2)
        try:
            project.change(action, machine=MACHINE, **body)
            time.sleep(15)  # until the last of the old pods has gone
        finally:
            stream.send_signal(signal.SIGTERM)
            stream.wait(30)
        told = json.loads(report.read_text())
        note = (
            f"{told['sent']} requests, p50 {told['p50_ms']:.0f} ms, p99 {told['p99_ms']:.0f} ms {told['reasons'] or ''}"
        )
        yield Number(f"{action} at {RATE} requests/s: failed", told["failed"], "requests", limit=0, note=note)
