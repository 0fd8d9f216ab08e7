"""What pods have written, asked for once: pages of lines, and the last words of one that died."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from clusters.drivers.runtime.base import LogLine, LogPage, LogQuery
from fangduoduo_release.common.errors import AppError, NotFound
from fangduoduo_release.common.sentence import S

from .api import Api, judge
from .names import PODS
from .pods import Object, containers, main_container, moment, path

LAST_WORDS = 50
MOST_PODS = 50
PIECE = 16 * 1024
EPOCH = datetime.fromtimestamp(0, UTC)


def page(api: Api, pods: Sequence[Object], query: LogQuery) -> LogPage:
    """The lines that the query asks for, merged by time. Raises NotFound (no such instance), Unavailable."""
    chosen = [one for one in pods if not query.instance or path(one, "metadata", "name") == query.instance]
    if query.instance and not chosen:
        raise NotFound(S("There is no instance “%(name)s”.", name=query.instance[:200]))
    found: list[tuple[str, LogLine]] = []
    for pod in chosen[:MOST_PODS]:
        found += _of_pod(api, pod, query)
    found.sort(key=lambda pair: pair[0])
    found = [pair for pair in found if pair[0] > query.after] if query.after else found[-query.tail :]
    kept: list[tuple[str, LogLine]] = []
    size = 0
    for pair in found if query.after else reversed(found):
        size += len(pair[1].data)
        if size > query.limit_bytes and kept:
            break
        kept.append(pair)
    kept = kept if query.after else kept[::-1]
    return LogPage(tuple(line for _, line in kept), kept[-1][0] if kept else query.after)


def _of_pod(api: Api, pod: Object, query: LogQuery) -> list[tuple[str, LogLine]]:
    name, namespace = str(path(pod, "metadata", "name")), str(path(pod, "metadata", "namespace"))
    container = query.container or main_container(pod)
    if query.container and query.container not in (*containers(pod), *containers(pod, init=True)):
        return []
    asked: dict[str, str | int] = {"timestamps": "true", "container": container, "limitBytes": query.limit_bytes}
    if query.after:
        begin = moment(query.after.partition(" ")[0])
        asked["sinceTime"] = _second(begin or EPOCH)
    else:
        asked["tailLines"] = query.tail
    if query.since is not None and not query.after:
        asked["sinceTime"] = _second(query.since)
    if query.previous:
        asked["previous"] = "true"
    answer = api.ask("GET", PODS.path(namespace, name, "log"), query=asked)
    if not answer.ok:
        # A container that has not begun, has no earlier run, or is gone meanwhile, has written nothing.
        if answer.status in {400, 404}:
            return []
        raise judge(answer)
    return [pair for line in answer.body.split(b"\n") if line for pair in _lines(line, name, container)]


def _lines(line: bytes, instance: str, container: str) -> list[tuple[str, LogLine]]:
    """(what it sorts by, the line); a long one in pieces."""
    stamp, _, data = line.partition(b" ")
    text = stamp.decode(errors="replace")
    at = moment(text) or EPOCH
    pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)] or [b""]
    last = len(pieces) - 1
    return [
        (
            f"{text} {instance}",
            LogLine(instance, at, "stdout", piece if number < last else piece + b"\n", number < last, container),
        )
        for number, piece in enumerate(pieces)
    ]


def _second(at: datetime) -> str:
    return at.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def last_words(api: Api, namespace: str, pod: str, container: str, *, previous: bool) -> str:
    """The last lines of a container that died; "" when they cannot be had: they are evidence, not the verdict."""
    query: dict[str, Any] = {"tailLines": LAST_WORDS, "limitBytes": 64 * 1024}
    query |= {"container": container} if container else {}
    for asked in ({**query, "previous": "true"}, query) if previous else (query, {**query, "previous": "true"}):
        try:
            answer = api.ask("GET", PODS.path(namespace, pod, "log"), query=asked, timeout_s=4.0)
        except AppError:
            return ""
        if answer.ok and answer.body.strip():
            return answer.body.decode(errors="replace").strip()
    return ""
