"""What containers have written, and the log subresource that reads it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import web

from . import status
from .kinds import PODS, Object

if TYPE_CHECKING:
    from .server import Kubernetes

KEPT = 100_000


@dataclass(eq=False)
class Log:
    """Of one container that ran or runs. Lines have their moment, in nanoseconds; `dropped` went for space."""

    lines: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=KEPT))
    written: int = 0
    ended: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, line: str | bytes) -> None:
        self.lines.append((time.time_ns(), line if isinstance(line, bytes) else line.encode()))
        self.written += 1
        self._tell()

    def end(self) -> None:
        self.ended = True
        self._tell()

    def _tell(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    def since(self, number: int) -> list[tuple[int, bytes]]:
        """Lines from the `number`th ever written on."""
        first = self.written - len(self.lines)
        skipped = max(0, number - first)
        if not skipped:
            return list(self.lines)
        return [self.lines[at] for at in range(skipped, len(self.lines))]


class Logs:
    """By pod (uid) and container: the log of what runs, and of what ran before it."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self.current: dict[tuple[str, str], Log] = {}
        self.previous: dict[tuple[str, str], Log] = {}
        self.following = 0  # how many have had what there was and wait for more

    def begin(self, uid: str, container: str) -> Log:
        key = (uid, container)
        if key in self.current:
            self.previous[key] = self.current[key]
        log = self.current[key] = Log()
        return log

    def forget(self, uid: str) -> None:
        for logs in (self.current, self.previous):
            for key in [key for key in logs if key[0] == uid]:
                del logs[key]

    def write(self, namespace: str, pod: str, lines: list[str], container: str = "") -> None:
        obj = self.kubernetes.objects.get(PODS, namespace, pod).obj
        name = container or obj["spec"]["containers"][0]["name"]
        key = (obj["metadata"]["uid"], name)
        if key not in self.current:
            self.begin(*key)
        for line in lines:
            self.current[key].write(line)

    # -- the subresource --------------------------------------------------------------------------------------------

    async def serve(self, request: web.Request, namespace: str, name: str, line: str) -> web.StreamResponse:
        query = request.query
        pod = self.kubernetes.objects.get(PODS, namespace, name).obj
        container = self._container(pod, query.get("container", ""))
        log = self._log(pod, container, query.get("previous") in ("true", "1"))
        if log is None:
            return self._refusal(pod, container, query.get("previous") in ("true", "1"))
        reader = _Reader(log, query)
        response = web.StreamResponse(headers=self.kubernetes.front.headers(priority=False))
        response.content_type = "text/plain"
        response.enable_chunked_encoding()
        await response.prepare(request)
        follow = query.get("follow") in ("true", "1")
        rule = self.kubernetes.faults.meet("cut", line)
        end = time.monotonic() + rule.value if rule is not None else float("inf")
        while True:
            news = log.news
            data = reader.read()
            if data:
                await response.write(data)
            if not follow or reader.full or (log.ended and log.written <= reader.at):
                return response
            if time.monotonic() >= end:
                if request.transport is not None:
                    request.transport.abort()
                return response
            self.following += 1
            try:
                async with asyncio.timeout(min(1.0, max(0.01, end - time.monotonic()))):
                    await news.wait()
            except TimeoutError:
                pass
            finally:
                self.following -= 1

    def _container(self, pod: Object, wanted: str) -> str:
        spec = pod["spec"]
        names = [each["name"] for each in [*spec["containers"], *(spec.get("initContainers") or [])]]
        name = pod["metadata"]["name"]
        if wanted and wanted not in names:
            raise status.bad_request(f"container {wanted} is not valid for pod {name}")
        if not wanted and len(spec["containers"]) > 1:
            listed = " ".join(each["name"] for each in spec["containers"])
            raise status.bad_request(f"a container name must be specified for pod {name}, choose one of: [{listed}]")
        return wanted or str(names[0])

    def _log(self, pod: Object, container: str, previous: bool) -> Log | None:
        key = (pod["metadata"]["uid"], container)
        if previous:
            return self.previous.get(key)
        found = self.current.get(key)
        running = any(
            each["name"] == container and "running" in each["state"]
            for each in pod["status"].get("containerStatuses") or ()
        )
        return self.begin(*key) if found is None and running else found

    def _refusal(self, pod: Object, container: str, previous: bool) -> web.StreamResponse:
        name = pod["metadata"]["name"]
        if previous:
            raise status.bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        state: Object = {}
        for each in pod["status"].get("containerStatuses") or ():
            if each["name"] == container:
                state = each["state"].get("waiting") or {}
        reason = state.get("reason", "ContainerCreating")
        why = {
            "ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image",
        }.get(reason, reason)  # fmt: skip
        raise status.bad_request(f'container "{container}" in pod "{name}" is waiting to start: {why}')


class _Reader:
    """What of a log a query wants, piece by piece."""

    def __init__(self, log: Log, query: Mapping[str, str]) -> None:
        self.log = log
        self.stamps = query.get("timestamps") in ("true", "1")
        self.left = _positive(query, "limitBytes")
        since = 0
        if query.get("sinceSeconds"):
            since = time.time_ns() - int(query["sinceSeconds"]) * 10**9
        elif query.get("sinceTime"):
            since = _nanoseconds(query["sinceTime"])
        self.since = since
        self.at = 0
        tail = query.get("tailLines")
        if tail is not None:
            self.at = max(0, log.written - max(0, int(tail)))

    @property
    def full(self) -> bool:
        return self.left is not None and self.left <= 0

    def read(self) -> bytes:
        lines = self.log.since(self.at)
        self.at = self.log.written
        data = b"".join(
            (_stamp(moment) + b" " if self.stamps else b"") + line + b"\n"
            for moment, line in lines
            if moment >= self.since
        )
        if self.left is not None:
            data = data[: max(0, self.left)]
            self.left -= len(data)
        return data


def _positive(query: Mapping[str, str], name: str) -> int | None:
    if not query.get(name):
        return None
    if int(query[name]) < 1:
        raise status.Refused(
            422,
            "Invalid",
            f'PodLogOptions "" is invalid: {name}: Invalid value: {query[name]}: must be greater than 0',
            {},
        )
    return int(query[name])


def _stamp(moment: int) -> bytes:
    seconds, rest = divmod(moment, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z".encode()


def _nanoseconds(text: str) -> int:
    head, _, rest = text.removesuffix("Z").partition(".")
    try:
        moment = datetime.fromisoformat(head)
        whole = int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 10**9
        return whole + int(rest.partition("+")[0].ljust(9, "0")[:9] or 0)
    except ValueError:
        raise status.bad_request(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse') from None
