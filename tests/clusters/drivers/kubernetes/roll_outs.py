"""Roll-outs as a cluster would show them, and what is made of them."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from clusters.drivers.runtime.base import Observed
from clusters.drivers.runtime.kubernetes import observe
from clusters.drivers.runtime.kubernetes.lasting import Waited
from clusters.drivers.runtime.kubernetes.observe import Finding, look, sort_out
from tests.clusters.drivers.kubernetes.goals import SERVICE
from tests.clusters.drivers.kubernetes.scene import NOW, Item, ended, pod, replicasets, waiting

IMAGE = "rig.local/app:v3"


def found(*items: Item, image: str = IMAGE, overdue: Iterable[Item] = ()) -> Finding:
    late = frozenset(str(one["metadata"]["uid"]) for one in overdue)
    return look(sort_out(items, SERVICE), SERVICE, image, NOW, Waited(late))


def seen(*items: Item, image: str = IMAGE, overdue: Iterable[Item] = ()) -> Observed:
    return found(*items, image=image, overdue=overdue).observed


def status_of(item: Item, **status: Any) -> Item:
    item["status"] |= status
    return item


def condition(item: Item, kind: str, status: str, reason: str, message: str = "") -> Item:
    conditions = [one for one in item["status"].get("conditions", []) if one["type"] != kind]
    item["status"]["conditions"] = [*conditions, {"type": kind, "status": status, "reason": reason, "message": message}]
    return item


def at_revision(item: Item, set_: Item) -> Item:
    """The Deployment as if that ReplicaSet's template were its own, and its newest."""
    template = copy.deepcopy(set_["spec"]["template"])
    del template["metadata"]["labels"][observe.HASH]
    item["spec"]["template"] = template
    item["metadata"]["annotations"][observe.REVISION] = set_["metadata"]["annotations"][observe.REVISION]
    return item


def timed_out(item: Item, who: Item) -> Item:
    """As its controller says it, of a ReplicaSet or of the Deployment itself."""
    message = f'{who["kind"]} "{who["metadata"]["name"]}" has timed out progressing.'
    return condition(item, "Progressing", "False", "ProgressDeadlineExceeded", message)


def sets() -> tuple[Item, Item, Item]:
    """ReplicaSets of revision 1, 2 and 3."""
    every = {one["metadata"]["annotations"][observe.REVISION]: one for one in replicasets()}
    return every["1"], every["2"], every["3"]


def rolled(two: Item) -> tuple[Item, ...]:
    """Everything as it is when revision 2 is out."""
    return (two, *sets(), pod(sets()[1], "a"), pod(sets()[1], "b"))


def looping(set_: Item, name: str = "loop") -> Item:
    return waiting(pod(set_, name), "CrashLoopBackOff", restartCount=2, lastState=ended(code=3))
