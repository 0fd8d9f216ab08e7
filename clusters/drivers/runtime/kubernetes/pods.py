"""What a pod says about itself: what it runs, how it is. Pure, over objects as the API gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from clusters.drivers.runtime.base import Instance
from fangduoduo_release.common import image_names
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.image_names import without_reference
from fangduoduo_release.common.sentence import Sentence

from . import names

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Object = Mapping[str, Any]


def path(item: Object, *keys: str) -> Any:
    """The value below the keys; None where one is missing."""
    value: Any = item
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def moment(text: Any) -> datetime | None:
    """A time of Kubernetes; None when it is none."""
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None


def statuses(pod: Object, *, init: bool = False) -> list[Object]:
    found = path(pod, "status", "initContainerStatuses" if init else "containerStatuses")
    return [one for one in found or [] if isinstance(one, Mapping)]


def containers(pod: Object, *, init: bool = False) -> tuple[str, ...]:
    """By name, as they are written; `init`: those that run before the others."""
    return tuple(str(one.get("name")) for one in path(pod, "spec", "initContainers" if init else "containers") or [])


def is_leaving(pod: Object) -> bool:
    return bool(path(pod, "metadata", "deletionTimestamp")) or path(pod, "status", "phase") in {"Succeeded", "Failed"}


def is_ready(pod: Object) -> bool:
    conditions = path(pod, "status", "conditions") or []
    return not is_leaving(pod) and any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def digest_of(pod: Object, image: str = "") -> str:
    """What its main container really runs; "" while it runs nothing.

    An image that is named by a digest was checked against it by whoever pulled it; else the imageID says what was pulled.
    """
    name = main_container(pod, image)
    pulled = _pulled(pod, name)
    wished = next(
        (str(c.get("image") or "") for c in path(pod, "spec", "containers") or [] if c.get("name") == name), ""
    )
    found = (DIGEST.search(wished.partition("@")[2]) or DIGEST.search(pulled)) if pulled else None
    return found[0] if found else ""


def is_pullable(pod: Object, image: str) -> bool:
    """Whether what it runs can be had again by its digest: it came from the image's repository. One that was put on the
    node by hand has an id that no registry knows."""
    source = _pulled(pod, main_container(pod, image)).removeprefix("docker-pullable://")
    try:
        pulled, named = image_names.parse(source), image_names.parse(image)
    except Invalid:
        return False
    same = image_names.same_host(pulled.host, named.host) and pulled.repository == named.repository
    return same and bool(pulled.digest)


def _pulled(pod: Object, name: str) -> str:
    """`imageID` of that container; "" while it runs nothing."""
    status = next((one for one in statuses(pod) if one.get("name") == name), {})
    begun = path(status, "state", "running") or path(status, "state", "terminated")
    return str(status.get("imageID") or "") if begun else ""


def main_container(pod: Object, image: str = "") -> str:
    """The container that its annotation names, else the one that runs our image, else the first one."""
    noted = path(pod, "metadata", "annotations", names.MAIN)
    if noted in containers(pod):
        return str(noted)
    for one in path(pod, "spec", "containers") or []:
        if image and without_reference(str(one.get("image") or "")) == without_reference(image):
            return str(one.get("name"))
    return next(iter(containers(pod)), "")


def restarts(pod: Object) -> int:
    return sum(int(one.get("restartCount") or 0) for one in statuses(pod))


def state_of(pod: Object) -> str:
    """One of the border's words for an instance's state."""
    if path(pod, "metadata", "deletionTimestamp"):
        return "stopping"
    phase = path(pod, "status", "phase")
    if phase in {"Succeeded", "Failed"}:
        return "dead"
    if any(path(one, "state", "waiting", "reason") == "CrashLoopBackOff" for one in statuses(pod)):
        return "restarting"
    return "running" if is_ready(pod) else "starting"


def instance_of(pod: Object, *, current: bool, image: str, reason: Sentence | None) -> Instance:
    """The pod as every kind's instances are told."""
    exit_code = next(
        (code for one in statuses(pod) if (code := path(one, "lastState", "terminated", "exitCode")) is not None), None
    )
    main = main_container(pod, image)
    others = [name for name in containers(pod) if name != main]
    return Instance(
        name=str(path(pod, "metadata", "name")),
        state=state_of(pod),
        ready=is_ready(pod),
        current=current,
        digest=digest_of(pod, image),
        restarts=restarts(pod),
        started_at=moment(path(pod, "status", "startTime")),
        node=str(path(pod, "spec", "nodeName") or ""),
        exit_code=exit_code,
        reason=reason,
        pullable=is_pullable(pod, image),
        containers=tuple(name for name in (main, *others) if name),
    )


def is_of(pod: Object, key: str, group: str) -> bool:
    labels = path(pod, "metadata", "labels") or {}
    return labels.get(names.SERVICE) == key and labels.get(names.GROUP) == group
