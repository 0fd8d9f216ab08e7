"""What an API server and its nodes are old enough to lack, and what is said to them instead.

A kubelet may be three minor versions older than its API server, which takes for it what it then does not do.
"""

from __future__ import annotations

import copy
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence

from fangduoduo_release.common.errors import NotFound, Rejected

from . import names
from .api import Api
from .parts import Manifest
from .pods import path

KEPT_S = 600.0  # clusters are brought up to date while we run
SLEEP_SINCE = (1, 30)  # `lifecycle.preStop.sleep` without a feature gate, in servers and kubelets
SKEW = 3  # minor versions that a kubelet may be behind
NODES = 500  # more are not read for this
_LEADING = re.compile(r"\d+")
_KUBELET = re.compile(r"v?(\d+)\.(\d+)")
Version = tuple[int, int]


class Server:
    """The versions of one cluster, asked for once in a while. Safe for several threads."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: tuple[float, bool] | None = None
        self._lock = threading.Lock()

    def knows_sleep(self) -> bool:
        """Whether all of it is known to have a way to wait in which no program of the image takes part. Raises Unavailable,
        Rejected."""
        with self._lock:
            kept = self._known
        if kept is not None and time.monotonic() - kept[0] < KEPT_S:
            return kept[1]
        found = self._oldest() >= SLEEP_SINCE
        with self._lock:
            self._known = (time.monotonic(), found)
        return found

    def _oldest(self) -> Version:
        """Of the server and the kubelets; of those that say nothing, what may be. Raises Unavailable, Rejected."""
        server = self._version()
        if server is not None and server < SLEEP_SINCE:
            return server
        least = (server[0], server[1] - SKEW) if server is not None else (0, 0)
        return min((one or least for one in self._kubelets()), default=least)

    def _version(self) -> Version | None:
        """Major and minor; None when it tells us nothing."""
        try:
            return _parsed(self._api.call("GET", "/version"))
        except Rejected as error:
            if error.code != "forbidden":
                raise
            return None

    def _kubelets(self) -> list[Version | None]:
        """Of each node; none when we may not see them, or they are too many to be read for this."""
        try:
            page = self._api.call("GET", names.NODES.path(), query={"limit": NODES})
        except NotFound:
            return []
        except Rejected as error:
            if error.code != "forbidden":
                raise
            return []
        items = page.get("items") or []
        if path(page, "metadata", "continue"):
            return []
        said = [_KUBELET.match(str(path(one, "status", "nodeInfo", "kubeletVersion") or "")) for one in items]
        return [(int(one[1]), int(one[2])) if one else None for one in said]


def _parsed(answer: Mapping[str, object]) -> Version | None:
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
