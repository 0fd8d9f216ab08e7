"""Tell a group in WeCom (企业微信) through its group robot, as "Group robot configuration" of the WeCom developer centre
has it (document/path/91770): markdown of at most 4096 bytes; at most 20 messages a minute.

There is no signature: whoever has the address with its key may speak, so the address is the secret. Answers: `errcode`
0 well done, -1 the system is busy, 45009 too many calls, 45033 too many at once, 93000 no such robot, 40058 and other
numbers for what is wrong in the body.
"""

from __future__ import annotations

from typing import ClassVar

from .base import Message
from .robots import RobotConfig, markdown, say

BUSY = frozenset({-1, 45009, 45033})
LONGEST_BYTES = 4096


class WeCom:
    """Kind `wecom`."""

    kind: ClassVar[str] = "wecom"
    Config: ClassVar[type] = RobotConfig

    def __init__(self, config: RobotConfig) -> None:
        self._config = config

    def send(self, message: Message) -> None:
        text = markdown(message).encode()[:LONGEST_BYTES].decode("utf-8", "ignore")
        body = {"msgtype": "markdown", "markdown": {"content": text}}
        say(self._config, self._config.target(), body, number=("errcode",), busy=BUSY)
