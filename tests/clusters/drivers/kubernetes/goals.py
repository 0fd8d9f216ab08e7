"""Goals to render, manifests to fill in and recorded answers to look at, for the tests of this folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from clusters.drivers.runtime.base import Artifact, ServiceRef, Wanted
from clusters.drivers.runtime.kubernetes import overlay
from clusters.drivers.runtime.spec import ServiceSpec

KEY = b"of this installation"
NAMESPACE = "shop-test"
SERVICE = ServiceRef("6f1c1b0e-2f0b-4c8e-9c58-1d7f0a3f4b11", where=NAMESPACE)
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
IMAGE = "registry.example/team/shop:v7"
RECORDINGS = Path(__file__).parents[3] / "recordings" / "kubernetes"
BASE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: whatever
        ports: [{containerPort: 3000}]
"""


def goal(*, base: str = "", image: str = IMAGE, digest: str = ONE, generation: int = 2, **more: Any) -> Wanted:
    """A goal; what is no field of `Wanted` is one of its spec."""
    fields = {name: more.pop(name) for name in list(more) if name in Wanted.__dataclass_fields__}
    made = Wanted(
        SERVICE, generation, "shop", "test-1", "4f0d", ServiceSpec((), replicas=2), Artifact(digest, image=image),
        placement={"namespace": NAMESPACE}, version="7", base=base,
    )  # fmt: skip
    return replace(made, spec=replace(made.spec, **more), **fields)


def rendered(wanted: Wanted) -> list[dict[str, Any]]:
    return overlay.manifests(wanted, NAMESPACE, KEY)


def by_kind(found: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The only one of this kind."""
    (one,) = [each for each in found if each["kind"] == kind]
    return one


def container(found: list[dict[str, Any]], name: str = "") -> dict[str, Any]:
    there: list[dict[str, Any]] = by_kind(found, "Deployment")["spec"]["template"]["spec"]["containers"]
    return next(one for one in there if name in ("", one["name"]))


def recorded(name: str) -> list[dict[str, Any]]:
    """The objects of a recorded answer: one, a list's items, or what a watch told (`type` and `object`)."""
    text = (RECORDINGS / f"{name}.txt").read_text()
    lines = [line for line in text.splitlines() if line.startswith("{")]
    objects = [json.loads(line) for line in lines]
    if len(objects) == 1 and "items" in objects[0]:
        kind = objects[0]["kind"].removesuffix("List")
        return [{"kind": kind, **one} for one in objects[0]["items"]]
    return objects
