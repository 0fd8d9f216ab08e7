"""Tell a group in Feishu (Lark) through its custom bot, as "Custom bot usage guide" of the Feishu Open Platform has it
(client-docs/bot-v3/add-custom-bot): a card with a button; at most 100 messages a minute and 5 a second.

The signature is base64(HMAC-SHA256(key = timestamp + "\\n" + secret, message = "")) over seconds not older than an hour.
Answers: `code` 0 well done, 9499 bad request, 11232 too frequent, 19001 no such bot, 19021 the signature does not
match, 19022 address not allowed, 19024 the keyword is missing. Older bots answer `StatusCode`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any, ClassVar

from .base import Message
from .robots import RobotConfig, say

BUSY = frozenset({11232, 11233, 99991400})
LONGEST = 4000  # the whole body may have 20 KB
RED, BLUE = "red", "blue"


class Feishu:
    """Kind `feishu`."""

    kind: ClassVar[str] = "feishu"
    Config: ClassVar[type] = RobotConfig

    def __init__(self, config: RobotConfig) -> None:
        self._config = config

    def send(self, message: Message) -> None:
        body: dict[str, Any] = {"msg_type": "interactive", "card": card(message)}
        if self._config.secret:
            now = int(time.time())
            body = {"timestamp": str(now), "sign": sign(self._config.secret, now), **body}
        say(self._config, self._config.target(), body, number=("code", "StatusCode"), busy=BUSY)


def card(message: Message) -> dict[str, Any]:
    """Plain text only: nothing of what people wrote is read as markup or as a mention."""
    text = {"tag": "plain_text", "content": message.text[:LONGEST]}
    elements: list[dict[str, Any]] = [{"tag": "div", "text": text}]
    if message.link:
        label = {"tag": "plain_text", "content": message.open_label or message.link}
        button = {"tag": "button", "type": "primary", "text": label, "url": message.link}
        elements.append({"tag": "action", "actions": [button]})
    return {
        "config": {"wide_screen_mode": True},
        "header": {
            "title": {"tag": "plain_text", "content": message.title[:200]},
            "template": RED if message.event.endswith("failed") or message.event.startswith("emergency") else BLUE,
        },
        "elements": elements,
    }


def sign(secret: str, at: int) -> str:
    """The secret is part of the key here, and the message is empty: that is how Feishu has it."""
    return base64.b64encode(hmac.new(f"{at}\n{secret}".encode(), b"", hashlib.sha256).digest()).decode()
