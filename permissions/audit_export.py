"""Rows of the trail as CSV or as JSON lines, a row at a time. Knows no permission."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.audit.search import Wanted, everything

COLUMNS = (
    "seq", "at", "actor", "verb", "object_kind", "object_id", "object_label", "project", "before", "after", "address",
    "user_agent", "request_id", "key", "previous", "digest",
)  # fmt: skip
KINDS = {"csv": "text/csv; charset=utf-8", "json": "application/x-ndjson; charset=utf-8"}
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet would run instead of show
LINES = 200  # in one piece


class _Line:
    """Takes what csv.writer writes and hands it back."""

    def write(self, text: str) -> str:
        return text


def pieces(kind: str, wanted: Wanted, rows: Any, last: int) -> Iterator[bytes]:
    """The whole download; `last` is the newest row that belongs to it."""
    lines = _csv(wanted, rows, last) if kind == "csv" else _json(wanted, rows, last)
    piece: list[str] = []
    for line in lines:
        piece.append(line)
        if len(piece) >= LINES:
            yield "".join(piece).encode()
            piece.clear()
    if piece:
        yield "".join(piece).encode()


def as_dict(entry: AuditEntry) -> dict[str, Any]:
    return {**{name: getattr(entry, name) for name in COLUMNS}, "at": entry.at.isoformat()}


def _json(wanted: Wanted, rows: Any, last: int) -> Iterator[str]:
    for entry in everything(wanted, rows, last):
        yield json.dumps(as_dict(entry), ensure_ascii=False) + "\n"


def _csv(wanted: Wanted, rows: Any, last: int) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield "\ufeff" + writer.writerow(COLUMNS)  # type: ignore[operator]  # the mark makes spreadsheets read UTF-8
    for entry in everything(wanted, rows, last):
        yield writer.writerow([cell(value) for value in as_dict(entry).values()])  # type: ignore[misc]


def cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text
