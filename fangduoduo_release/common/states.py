"""What a state is: data that the machine enforces. How it looks is told in `templatetags/looks.py`. Knows no particular run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy


@dataclass(frozen=True, slots=True)
class State:
    """One state. `label`: its word in forms and filters; `moves`: the names of those that may follow."""

    name: str
    label: str
    final: bool = False
    moves: frozenset[str] = field(default_factory=frozenset)


class StateTable:
    """The states of one kind of run, by name."""

    def __init__(self, states: Iterable[State]) -> None:
        self._states = {state.name: state for state in states}

    def __getitem__(self, name: str) -> State:
        return self._states[name]

    def __iter__(self) -> Iterator[State]:
        return iter(self._states.values())

    def may_move(self, source: str, target: str) -> bool:
        return target in self._states[source].moves

    @property
    def final(self) -> list[str]:
        return [s.name for s in self._states.values() if s.final]

    @property
    def active(self) -> list[str]:
        return [s.name for s in self._states.values() if not s.final]

    @property
    def choices(self) -> list[tuple[str, Any]]:
        """For models and forms, in the reader's language."""
        return [(s.name, gettext_lazy(s.label)) for s in self._states.values()]
