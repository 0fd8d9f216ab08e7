"""A sentence for people that can be stored, sent and translated late.

A driver or an engine works far from the reader's language, so it keeps the English message id and its parameters apart;
the page translates when it shows them. Django-free on purpose: drivers and forked agents use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sentence:
    """`msgid` in %-format with named parameters; `params` holds only str, int, float or bool."""

    msgid: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.msgid % self.params if self.params else self.msgid

    def as_json(self) -> dict[str, Any]:
        return {"msgid": self.msgid, "params": dict(self.params)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sentence:
        return cls(str(data.get("msgid", "")), dict(data.get("params") or {}))


def S(msgid: str, **params: Any) -> Sentence:  # noqa: N802 - reads as a mark, like gettext's _
    """Mark `msgid` for translation and bind its parameters."""
    return Sentence(msgid, params)


def told_by(error: Any) -> dict[str, Any] | None:
    """The stored sentence within a row's stored error, whatever its shape: {msgid, params} itself, {code, sentence, …}, or
    the passing trouble beside them."""
    if not isinstance(error, Mapping):
        return None
    found = error.get("trouble") or error
    found = found.get("sentence") or found
    return dict(found) if isinstance(found, Mapping) and found.get("msgid") else None
