"""Tell a group in DingTalk through its custom robot, as "Custom robot access" and "Customize robot security settings"
of the DingTalk Open Platform have it (document/group/custom-robot-access): markdown; at most 20 messages a minute.

The signature is urlencode(base64(HMAC-SHA256(secret, timestamp + "\\n" + secret))) over milliseconds not older than an
hour; both travel in the query, beside the robot's access token. Answers: `errcode` 0 well done, -1 the system is busy,
130101, 410100 and 660026 too fast, 310000 a security setting (signature, keyword, address) refuses it, 400101 no such
token, 400102 the robot is switched off, 460101 too long.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import ClassVar
from urllib.parse import quote_plus

from .base import Message
from .robots import RobotConfig, markdown, plain, say

BUSY = frozenset({-1, 130101, 410100, 660026})
LONGEST = 5000  # characters; 20,000 bytes are taken


class DingTalk:
    """Kind `dingtalk`."""

    kind: ClassVar[str] = "dingtalk"
    Config: ClassVar[type] = RobotConfig

    def __init__(self, config: RobotConfig) -> None:
        self._config = config

    def send(self, message: Message) -> None:
        target = self._config.target()
        if self._config.secret:
            now = int(time.time() * 1000)
            target = target.with_query(f"timestamp={now}&sign={quote_plus(sign(self._config.secret, now))}")
        text = {"title": plain(message.title)[:200], "text": markdown(message)[:LONGEST]}
        body = {"msgtype": "markdown", "markdown": text}
        say(self._config, target, body, number=("errcode",), busy=BUSY)


def sign(secret: str, at_ms: int) -> str:
    """Before it is encoded for the query."""
    return base64.b64encode(hmac.new(secret.encode(), f"{at_ms}\n{secret}".encode(), hashlib.sha256).digest()).decode()
