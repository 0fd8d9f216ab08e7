"""Pods that a kubelet takes care of, and what their manifests say of how they end."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

from .kinds import Object
from .podstatus import Container
from .store import Key


class Gone(Exception):
    """The pod is no more."""


@dataclass(eq=False)
class Run:
    """A pod that is being taken care of."""

    uid: str
    key: Key
    containers: list[Container]
    address: str = ""
    ready_since: float = 0.0
    ending: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    probe: str = ""  # what a probe says that a test has made fail


def ended(each: Container) -> Object:
    return {"terminated": each.state["terminated"]} if "terminated" in each.state else each.last


def seconds(pause: float) -> str:
    whole = max(1, round(pause))
    return f"{whole // 60}m{whole % 60}s" if whole >= 60 else f"{whole}s"


def pre_stop(spec: Object) -> float:
    hook = (spec.get("lifecycle") or {}).get("preStop") or {}
    if "sleep" in hook:
        return float(hook["sleep"]["seconds"])
    found = re.search(r"\bsleep[ ,]+(\d+)", " ".join((hook.get("exec") or {}).get("command") or []))
    return float(found.group(1)) if found else 0.0
