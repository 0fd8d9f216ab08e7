"""What flows: followed logs and terminals, for whoever serves sockets in an event loop. Bounded in both directions.

A kind offers them by a class named beside its runtime; a kind without terminals says so with a `Rejected`.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fangduoduo_release.common.sentence import Sentence

from .base import LogLine, LogQuery, ServiceRef

# A line of the stream `news` is not the instance's: `data` says what became of it (or of the way to it, without instance).
NEWS = "news"
JOINED, LEFT, RESTARTED, AWAY, BACK = b"joined", b"left", b"restarted", b"away", b"back"
ALL = "*"  # as a container: all of them; "" is the main one
SHELL: Sequence[str] = ("sh", "-c", "command -v bash >/dev/null && exec bash || exec sh")


@dataclass(frozen=True, slots=True)
class Output:
    """What a terminal wrote: `error` is true for the stream of errors (never with a TTY)."""

    data: bytes
    error: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """The program has ended (`exit_code`), or never began or was cut off (`sentence`, exit_code None)."""

    exit_code: int | None = None
    sentence: Sentence | None = None


class Terminal(Protocol):
    """One running program with a TTY. Whoever is slow holds the other side back; nothing is kept beyond 256 KiB."""

    async def send(self, data: bytes) -> None:
        """Keys to the program; waits while it takes none."""

    async def resize(self, cols: int, rows: int) -> None: ...

    async def receive(self) -> Output | Ended:
        """The next output, or the end; after the end, the end again."""

    async def close(self) -> None:
        """Hang up; may be called twice."""


class Start(Protocol):
    """Starts a program in an instance. Raises as `Streams` does."""

    async def __call__(
        self, argv: Sequence[str] = SHELL, *, size: tuple[int, int] | None = None, after: Future[None] | None = None
    ) -> Terminal:
        """`size`: columns and rows. The way to the program may be made at once; the program itself is asked for when
        `after` is done, and never when that fails: then this raises what failed."""


class Streams(Protocol):
    """What a kind can stream. Raises NotFound (no such instance or container), Unavailable, Rejected."""

    def seat(self, instances: Sequence[Mapping[str, Any]], instance: str, container: str = "") -> tuple[str, Start]:
        """The container that is meant in one of these instances, which are the service's, and what starts programs
        there. Asks nobody."""

    def follow(self, service: ServiceRef, query: LogQuery) -> AsyncIterator[LogLine]:
        """Lines as they are written, of all instances or of one, across restarts and replacements, until closed.

        The last `tail` come first, in order of time. With `previous` it ends after the lines of the run before. Whoever
        takes lines slowly holds the reading back; nothing is dropped."""
