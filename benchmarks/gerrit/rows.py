"""What became of pushes, read from the portal's own tables (SQLite, read only), since an API asked often costs time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PUSHES = """
    SELECT item.id, item.payload, item.received_at, item.result, build.created_at
    FROM common_inboxitem item
    LEFT JOIN builds_build build ON build.id = json_extract(item.result, '$.build')
    WHERE item.kind = 'push' AND item.id > ? ORDER BY item.id
"""


@dataclass(frozen=True, slots=True)
class Push:
    """One inbox item; times are seconds since 1970. `queued`: when its build's row was made."""

    id: int
    project: int
    ref: str
    sha: str
    via: str
    heard: float
    received: float
    queued: float | None
    told_ms: float | None


class Rows:
    """`Rows(portal.var)`."""

    def __init__(self, var: Path) -> None:
        self._database = sqlite3.connect(f"file:{var / 'db.sqlite3'}?mode=ro", uri=True, timeout=20)

    def pushes(self, after: int = 0) -> list[Push]:
        return [_push(*row) for row in self._database.execute(PUSHES, (after,))]

    def last(self) -> int:
        return int(self._one("SELECT coalesce(max(id), 0) FROM common_inboxitem"))

    def count(self, after: int = 0) -> int:
        return int(self._one("SELECT count(*) FROM common_inboxitem WHERE kind = 'push' AND id > ?", (after,)))

    def waiting(self, after: int = 0) -> int:
        statement = "SELECT count(*) FROM common_inboxitem WHERE kind = 'push' AND state = 'new' AND id > ?"
        return int(self._one(statement, (after,)))

    def listeners(self, state: str = "listening") -> int:
        """How many connections are in this state and have been compared."""
        statement = "SELECT count(*) FROM projects_sourcelistener WHERE state = ? AND compared_at IS NOT NULL"
        return int(self._one(statement, (state,)))

    def events(self) -> int:
        return int(self._one("SELECT coalesce(sum(events), 0) FROM projects_sourcelistener"))

    def _one(self, statement: str, given: Sequence[Any] = ()) -> Any:
        return self._database.execute(statement, given).fetchone()[0]


def _push(pk: int, payload: str, received: str, result: str | None, queued: str | None) -> Push:
    told: dict[str, Any] = json.loads(payload)
    ended: dict[str, Any] = json.loads(result) if result else {}
    return Push(
        id=pk,
        project=int(told["project"]),
        ref=str(told["ref"]),
        sha=str(told["new"]),
        via=str(told["via"]),
        heard=float(told["heard_at"]),
        received=_when(received),
        queued=_when(queued) if queued else None,
        told_ms=ended.get("latency_ms"),
    )


def _when(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
