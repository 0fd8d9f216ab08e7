"""The contract of the notification family: what a kind of channel is asked, and what it answers.

A kind says a message once per call and raises only Invalid (its config), Unavailable (try again) or Rejected (final).
It must not know rows, people or Django; a message is ready to be read, in its reader's language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from fangduoduo_release.common.errors import Unavailable
from fangduoduo_release.common.sentence import Sentence

CALL_S = 10.0  # the longest one call may take, whatever the other side does
CONNECT_S = 4.0
EVIDENCE = 500


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one channel. `id` is the same at every attempt: whoever gets it twice can tell.

    `title` is one line, `text` the sentence; `link` is absolute (or empty) and `open_label` the word on its button.
    `why` says why this was sent and `why_link` where that is changed; `data` is for machines.
    """

    id: str
    event: str
    at: datetime
    title: str
    text: str
    link: str = ""
    open_label: str = ""
    project: str = ""
    why: str = ""
    why_link: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


class Later(Unavailable):
    """Try again after `after_s`. `whole`: nothing else gets through there now either (a dead server, a rate limit);
    otherwise only this message has to wait."""

    def __init__(
        self, sentence: Sentence, *, evidence: str = "", code: str | None = None, after_s: float = 0, whole: bool = True
    ) -> None:
        super().__init__(sentence, evidence=evidence, code=code)
        self.after_s = after_s
        self.whole = whole


class Notifier(Protocol):
    """A kind of channel. `Config` is a frozen dataclass that validates itself (Invalid) and hides its secrets."""

    kind: ClassVar[str]
    Config: ClassVar[type]

    def __init__(self, config: Any) -> None: ...

    def send(self, message: Message) -> None:
        """Say it, within CALL_S. Raises Unavailable (Later where more is known), Rejected, Invalid (its address leads
        where nothing may be sent)."""


def without(secrets: tuple[str, ...], text: str) -> str:
    """What another side answered, as it may be shown: short, and with none of our secrets in it."""
    for secret in secrets:
        if len(secret) > 3:
            text = text.replace(secret, "••••")
    return text.strip()[:EVIDENCE]
