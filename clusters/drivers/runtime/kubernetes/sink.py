"""Where an informer's changes go, and what it may ask of what is stored. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from fangduoduo_release.common.sentence import Sentence

from .seen import Key, Seen, newer


class Known(NamedTuple):
    """What is stored of an object."""

    uid: str
    version: str
    gone: bool


class Sink(Protocol):
    """Where an informer's changes go. Everything but `known` and `room` returns at once."""

    async def known(self) -> Mapping[Key, Known]:
        """What is stored, after everything told so far was stored."""

    async def room(self) -> None:
        """Return when more of a list may be told."""

    def change(self, seen: Seen) -> None: ...

    def reached(self, version: str) -> None:
        """Everything up to here was told."""

    def synced(self, version: str, began: float) -> None:
        """A whole list was told, asked for at this time (monotonic)."""

    def opened(self) -> None:
        """A watch is open."""

    def alive(self) -> None:
        """Something came."""

    def closed(self) -> None:
        """No watch is open any more."""

    def down(self, sentence: Sentence) -> None:
        """It is not followed, and why."""

    def count(self, what: str, number: int = 1) -> None:
        """`relists`, `drift`."""


def differing(listed: Mapping[Key, str], version: str, known: Mapping[Key, Known], strict: bool = True) -> int:
    """How many objects are stored otherwise than a list of `version` has them; what changed after it is not judged.

    Not `strict`: what is stored and not listed is not counted, because the list was not taken whole.
    """
    wrong = 0
    for key, at in listed.items():
        stored = known.get(key)
        if stored is None or stored.gone or stored.version != at:
            wrong += not (stored is not None and newer(stored.version, version))
    if strict:
        here = (one for key, one in known.items() if not one.gone and key not in listed)
        wrong += sum(not newer(one.version, version) for one in here)
    return wrong
