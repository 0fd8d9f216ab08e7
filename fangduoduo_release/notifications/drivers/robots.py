"""What the robots of chat groups share: an address that carries their key, an optional signing secret, and answers that
say "no" with HTTP 200 and a number in their body."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fangduoduo_release.common.errors import Invalid, Rejected
from fangduoduo_release.common.sentence import S

from .base import Later, Message, without
from .posting import BUSY_S, Target, judge_status, post

# What their markdown would read as a link, a mention, a heading or emphasis, and what stands for it in plain words.
_PLAIN = str.maketrans("<>[]`*#\r\n", "＜＞［］｀＊＃  ")


@dataclass(frozen=True, slots=True)
class RobotConfig:
    """The robot's address as its settings page shows it (it holds the key), and the secret of its signature check."""

    url: str = field(repr=False)
    secret: str = field(default="", repr=False)
    allow_private: bool = False
    allow_http: bool = False

    def __post_init__(self) -> None:
        self.target()
        if len(self.secret) > 200 or not self.secret.isascii():
            sentence = S("This does not look like a robot's signing secret.")
            raise Invalid(sentence, fields={"secret": [sentence]})

    def target(self) -> Target:
        return Target(self.url, self.allow_private, self.allow_http)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not show anywhere: the address, its key and query, the signing secret."""
        tail = self.url.rpartition("/")[2]
        return tuple(part for part in (self.url, tail, tail.rpartition("=")[2], self.secret) if part)


def plain(text: str) -> str:
    """Text of somebody else inside markdown: it can neither link nor mention nor dress up as ours."""
    return text.translate(_PLAIN)


def markdown(message: Message) -> str:
    """The message as the markdown that DingTalk and WeCom both read."""
    lines = [f"**{plain(message.title)}**", "", plain(message.text)]
    if message.link:
        lines += ["", f"[{plain(message.open_label or message.link)}]({message.link})"]
    return "\n".join(lines)


def say(
    config: RobotConfig, target: Target, body: Mapping[str, Any], *, number: tuple[str, ...], busy: frozenset[int]
) -> None:
    """Post the body and judge the answer: `number` names the fields where 0 means well done, `busy` the numbers that
    pass by themselves. Raises Later, Rejected."""
    text = json.dumps(body, ensure_ascii=False).encode()
    answer = post(target, text, {"Content-Type": "application/json; charset=utf-8"}, secrets=config.secrets)
    found, evidence = _number(answer.body, number), without(config.secrets, answer.text)
    host = target.host
    if found == 0:
        return
    if found is None:
        judge_status(answer, host, secrets=config.secrets)
        raise Later(S("“%(host)s” does not answer like a robot.", host=host), evidence=evidence, code="odd_answer")
    if found in busy:
        after = answer.after_s or BUSY_S
        sentence = S("The robot was told too much in too short a time (%(number)s).", number=found)
        raise Later(sentence, evidence=evidence, code="busy", after_s=after)
    raise Rejected(S("The robot refused it (%(number)s).", number=found), evidence=evidence, code=f"robot_{found}")


def _number(body: bytes, names: tuple[str, ...]) -> int | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    found = next((answer[name] for name in names if name in answer), None)
    return found if isinstance(found, int) and not isinstance(found, bool) else None
