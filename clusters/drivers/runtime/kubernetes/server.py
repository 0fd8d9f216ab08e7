"""What an API server is old enough to lack, and what is said to it instead."""

from __future__ import annotations

import copy
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence

from fangduoduo_release.common.errors import Rejected

from .api import Api
from .parts import Manifest
from .pods import path

KEPT_S = 600.0  # clusters are brought up to date while we run
SLEEP_SINCE = (1, 30)  # `lifecycle.preStop.sleep` without a feature gate
_LEADING = re.compile(r"\d+")


class Server:
    """The version of one API server, asked for once in a while. Safe for several threads."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: tuple[float, tuple[int, int] | None] | None = None
        self._lock = threading.Lock()

    def knows_sleep(self) -> bool:
        """Whether it has a way to wait in which no program of the image takes part. Raises Unavailable, Rejected."""
        version = self.version()
        return version is None or version >= SLEEP_SINCE

    def version(self) -> tuple[int, int] | None:
        """Major and minor; None when it tells us nothing, then it is taken for a new one. Raises Unavailable, Rejected."""
        with self._lock:
            kept = self._known
        if kept is not None and time.monotonic() - kept[0] < KEPT_S:
            return kept[1]
        try:
            found = _parsed(self._api.call("GET", "/version"))
        except Rejected as error:
            if error.code != "forbidden":
                raise
            found = None
        with self._lock:
            self._known = (time.monotonic(), found)
        return found


def _parsed(answer: Mapping[str, object]) -> tuple[int, int] | None:
    """Some servers call their minor version `27+`."""
    numbers = [_LEADING.match(str(answer.get(key) or "")) for key in ("major", "minor")]
    major, minor = numbers
    return (int(major[0]), int(minor[0])) if major and minor else None


def without_sleep(manifests: Sequence[Manifest]) -> list[Manifest]:
    """The same with the image's own `sleep`: an image that has none ends at once, as it would have without."""
    found = copy.deepcopy(list(manifests))
    for container in (one for manifest in found for one in _containers(manifest)):
        wait = path(container, "lifecycle", "preStop", "sleep", "seconds")
        if wait is not None:
            container["lifecycle"]["preStop"] = {"exec": {"command": ["sleep", str(wait)]}}
    return found


def _containers(manifest: Manifest) -> Iterable[Manifest]:
    pod = path(manifest, "spec", "template", "spec")
    found = [*(path(pod or {}, "containers") or []), *(path(pod or {}, "initContainers") or [])]
    return [one for one in found if isinstance(one, dict)]
