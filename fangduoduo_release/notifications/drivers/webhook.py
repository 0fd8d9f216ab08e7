"""Tell a program: a JSON body, signed, so that the receiver knows it is from here, whole and recent.

    X-FDD-Signature: t=1700000000,v1=<hex of HMAC-SHA256(secret, "1700000000." + body)>
    X-FDD-Delivery:  the message's id, the same at every attempt
    X-FDD-Event:     its event

Anything in 200–299 is taken as "heard".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S

from .base import Message
from .posting import Target, judge_status, post

SHORTEST_SECRET = 16


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """Where to post, and the secret that both sides know."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    allow_private: bool = False
    allow_http: bool = False

    def __post_init__(self) -> None:
        self.target()
        if not SHORTEST_SECRET <= len(self.secret) <= 200:
            sentence = S("A signing secret has %(least)s to 200 characters.", least=SHORTEST_SECRET)
            raise Invalid(sentence, fields={"secret": [sentence]})

    def target(self) -> Target:
        return Target(self.url, self.allow_private, self.allow_http)


class Webhook:
    """Kind `webhook`."""

    kind: ClassVar[str] = "webhook"
    Config: ClassVar[type] = WebhookConfig

    def __init__(self, config: WebhookConfig) -> None:
        self._config = config

    def send(self, message: Message) -> None:
        body = json.dumps(body_of(message), ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-FDD-Delivery": message.id,
            "X-FDD-Event": message.event,
            "X-FDD-Signature": signature(self._config.secret, int(time.time()), body),
        }
        target, secrets = self._config.target(), (self._config.url, self._config.secret)
        judge_status(post(target, body, headers, secrets=secrets), target.host, secrets=secrets)


def body_of(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "event": message.event,
        "at": message.at.isoformat(),
        "title": message.title,
        "text": message.text,
        "link": message.link,
        "project": message.project,
        "data": dict(message.data),
    }


def signature(secret: str, at: int, body: bytes) -> str:
    """The X-FDD-Signature of a body posted at that second."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"
