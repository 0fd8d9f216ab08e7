"""Where every branch and tag was last seen, by repository; and what must have happened when it is elsewhere now.

Written after the journal, never before it: killed in between, a move is found once more, and is known already where it
arrives.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from projects.drivers.source.base import ZERO, Moved, News

TABLE = (
    "CREATE TABLE IF NOT EXISTS tips (repository TEXT, ref TEXT, sha TEXT, PRIMARY KEY (repository, ref)) WITHOUT ROWID"
)
SEEN = "CREATE TABLE IF NOT EXISTS repositories (name TEXT PRIMARY KEY) WITHOUT ROWID"


class Tips:
    """One file. Used from one thread."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(TABLE)
        self._database.execute(SEEN)
        self._moves: dict[str, int] = {}  # how often something was heard of a repository, since we run

    def close(self) -> None:
        self._database.close()

    @property
    def fresh(self) -> bool:
        """Nothing was ever seen: what is there now is where we begin."""
        return self._database.execute("SELECT 1 FROM repositories LIMIT 1").fetchone() is None

    def knows(self, repository: str) -> bool:
        rows = self._database.execute("SELECT 1 FROM repositories WHERE name = ?", (repository,))
        return rows.fetchone() is not None

    def heard(self, news: Iterable[News]) -> None:
        """Remember where refs moved."""
        moves = [one for one in news if isinstance(one, Moved)]
        if not moves:
            return
        for one in moves:
            self._moves[one.repository] = self._moves.get(one.repository, 0) + 1
        with self._transaction():
            for one in moves:
                self._set(one.repository, one.event.ref, one.event.new)

    def counted(self, repository: str) -> int:
        """Grows with everything heard of the repository; equal before and after: nothing was heard in between."""
        return self._moves.get(repository, 0)

    def of(self, repository: str) -> dict[str, str]:
        rows = self._database.execute("SELECT ref, sha FROM tips WHERE repository = ?", (repository,))
        return dict(rows.fetchall())

    def missed(self, repository: str, now: Mapping[str, str], at: float) -> list[bytes]:
        """Lines as the server would have sent them, for what is elsewhere than it was last seen."""
        before = self.of(repository)
        names = sorted(before.keys() | now.keys())
        moves = [(ref, before.get(ref, ZERO), now.get(ref, ZERO)) for ref in names]
        return [event(repository, move, at) for move in moves if move[1] != move[2]]

    def remember(self, repository: str, now: Mapping[str, str]) -> None:
        with self._transaction():
            self._database.execute("INSERT OR IGNORE INTO repositories VALUES (?)", (repository,))
            self._database.execute("DELETE FROM tips WHERE repository = ?", (repository,))
            for ref, sha in now.items():
                self._set(repository, ref, sha)

    def _set(self, repository: str, ref: str, sha: str) -> None:
        if sha == ZERO:
            self._database.execute("DELETE FROM tips WHERE repository = ? AND ref = ?", (repository, ref))
        else:
            self._database.execute("INSERT OR REPLACE INTO tips VALUES (?, ?, ?)", (repository, ref, sha))

    def _transaction(self) -> _Transaction:
        return _Transaction(self._database)


class _Transaction:
    """All or nothing; sqlite3's own begins only before some statements."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._database.execute("ROLLBACK" if kind else "COMMIT")


def event(repository: str, move: tuple[str, str, str], at: float) -> bytes:
    """A line of the server's own form: a ref moved. `missed`: the portal asks the server which pushes it was made of."""
    ref, old, new = move
    update = {"oldRev": old, "newRev": new, "refName": ref, "project": repository}
    told = {"refUpdate": update, "type": "ref-updated", "eventCreatedOn": int(at), "missed": True}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()
