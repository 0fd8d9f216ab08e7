"""How many pods a rollout may have more or less than wanted."""

from __future__ import annotations

import math
from typing import Any

from .kinds import Object


def _part(value: Any, of: int, up: bool) -> int:
    if isinstance(value, str):
        exact = of * float(value.rstrip("%")) / 100
        return math.ceil(exact) if up else math.floor(exact)
    return int(value or 0)


def surge(obj: Object) -> int:
    strategy = obj["spec"]["strategy"]
    if strategy["type"] != "RollingUpdate":
        return 0
    return _part((strategy.get("rollingUpdate") or {}).get("maxSurge", "25%"), obj["spec"]["replicas"], True)


def unavailable(obj: Object) -> int:
    strategy, replicas = obj["spec"]["strategy"], obj["spec"]["replicas"]
    if strategy["type"] != "RollingUpdate" or not replicas:
        return 0
    found = _part((strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%"), replicas, False)
    return min(replicas, found if found or surge(obj) else 1)
