"""Reading the shims' log files: tail, since, previous run, and following by cursor over rotated files.

A cursor names (file number, offset) per instance, so that it stays right while files are rotated away under it.
Must not know how the files are written beyond their format (see `clusters.drivers.process.shim_log`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from clusters.drivers.runtime.base import LogLine, LogPage, LogQuery
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S

from .layout import read_json

Position = tuple[int, int]
CHUNK = 256 * 1024


def read_page(folders: Iterable[Path], query: LogQuery) -> LogPage:
    """The page of lines out of these instances' folders, merged by time."""
    places = _parse_cursor(query.after)
    lines: list[LogLine] = []
    folders = list(folders)
    share = max(query.limit_bytes // max(len(folders), 1), 32 * 1024)
    for folder in folders:
        begin, end = _window(folder, query)
        if query.after:
            found, place = _forward(folder, places.get(folder.name, (0, 0)), share)
        else:
            found, place = _backward(folder, query.tail, begin, end, share)
        lines += found
        places[folder.name] = place
    if query.since is not None:
        lines = [line for line in lines if line.at >= query.since]
    lines.sort(key=lambda line: line.at)
    if not query.after:
        lines = lines[-query.tail :] if query.tail > 0 else []
    names = {folder.name for folder in folders}
    kept = {name: list(place) for name, place in places.items() if name in names}
    return LogPage(tuple(lines), json.dumps(kept, separators=(",", ":"), sort_keys=True))


def last_lines(folder: Path, count: int) -> str:
    """The last lines as text, for evidence."""
    lines, _ = _backward(folder, count, (0, 0), None, 64 * 1024)
    return "\n".join(line.data.decode("utf-8", "replace") for line in lines)


def _window(folder: Path, query: LogQuery) -> tuple[Position, Position | None]:
    """Where to begin and end: everything, or the run before the present one."""
    if not query.previous:
        return (0, 0), None
    status = read_json(folder / "status.json") or {}
    before, run = status.get("previous_run"), status.get("run")
    if not before or not run:
        return (0, 0), (0, 0)
    return (before[0], before[1]), (run[0], run[1])


def _parse_cursor(text: str) -> dict[str, Position]:
    if not text:
        return {}
    try:
        return {str(name): (int(place[0]), int(place[1])) for name, place in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise Invalid(S("This place in the log is not known; open the log again."), code="bad_cursor") from error


def _files(folder: Path) -> list[tuple[int, Path]]:
    found = [(int(path.stem), path) for path in (folder / "logs").glob("*.log") if path.stem.isdigit()]
    return sorted(found)


def _forward(folder: Path, place: Position, limit: int) -> tuple[list[LogLine], Position]:
    """Whole lines after `place`, at most about `limit` bytes of them."""
    lines: list[LogLine] = []
    for number, path in _files(folder):
        if number < place[0] or limit <= 0:
            continue
        offset = place[1] if number == place[0] else 0
        data = _read(path, offset, limit)
        data = data[: data.rfind(b"\n") + 1]
        lines += _parse(folder.name, data)
        limit -= len(data)
        place = (number, offset + len(data))
    return lines, place


def _backward(
    folder: Path, tail: int, begin: Position, end: Position | None, limit: int
) -> tuple[list[LogLine], Position]:
    """The last `tail` lines between two places, at most about `limit` bytes of them; and where the log ends now."""
    pieces: list[bytes] = []
    last: Position = end or (0, 0)
    count = 0
    for number, path in reversed(_files(folder)):
        if number < begin[0] or (end is not None and number > end[0]):
            continue
        stop = _size(path) if end is None or number < end[0] else end[1]
        start = begin[1] if number == begin[0] else 0
        if end is None and last == (0, 0):
            last = (number, stop)
        while stop > start and count <= tail and limit > 0:
            size = min(CHUNK, stop - start, limit)
            data = _read(path, stop - size, size)
            pieces.append(data)
            count += data.count(b"\n")
            stop -= size
            limit -= size
    whole = b"".join(reversed(pieces))
    if end is None and whole:
        unfinished = len(whole) - (whole.rfind(b"\n") + 1)
        whole = whole[: len(whole) - unfinished]
        last = (last[0], last[1] - unfinished)
    return _parse(folder.name, whole)[-tail:] if tail > 0 else [], last


def _read(path: Path, offset: int, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)
    except FileNotFoundError:
        return b""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _parse(instance: str, data: bytes) -> list[LogLine]:
    return list(_lines(instance, data))


def _lines(instance: str, data: bytes) -> Iterator[LogLine]:
    """Lines that are whole; one cut off at the front has no valid head and is left out."""
    for raw in data.split(b"\n"):
        parts = raw.split(b" ", 3)
        if len(parts) < 3 or parts[1] not in (b"stdout", b"stderr", b"system"):
            continue
        try:
            at = datetime.strptime(parts[0].decode("ascii"), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        except ValueError:
            continue
        yield LogLine(instance, at, parts[1].decode(), parts[3] if len(parts) > 3 else b"", parts[2] == b"P")
