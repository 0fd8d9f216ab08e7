"""The group robots of Feishu, DingTalk and WeCom: they check key and signature, and refuse with HTTP 200 and a number.

The checks are written from the documentation, not from our drivers, so that a mistake there is not made twice.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from .receiver import Post, Receiver, Reply

HOUR = 3600


class Robot(Receiver):
    """One robot in one group; `said` holds the messages that were taken. `refuses` makes it say a number instead."""

    PATH = "/"
    OK: dict[str, Any]

    def __init__(self, key: str, secret: str = "") -> None:
        super().__init__(self._judge)
        self.key, self.secret = key, secret
        self.said: list[dict[str, Any]] = []
        self.refuses: dict[str, Any] | None = None
        self.odd: Reply | None = None

    @property
    def address(self) -> str:
        return f"{self.url}{self.PATH.format(key=self.key)}"

    def _judge(self, post: Post) -> Reply:
        if self.odd is not None:
            return self.odd
        if self.refuses is not None:
            return self._say(self.refuses)
        wrong = self.wrong(post)
        if wrong is None:
            self.said.append(post.json)
        return self._say(wrong or self.OK)

    @staticmethod
    def _say(answer: dict[str, Any]) -> Reply:
        return Reply(body=json.dumps(answer).encode(), headers={"Content-Type": "application/json"})

    def wrong(self, post: Post) -> dict[str, Any] | None:
        raise NotImplementedError

    def busy(self) -> dict[str, Any]:
        raise NotImplementedError


class FeishuRobot(Robot):
    """Custom bot usage guide: `timestamp` and `sign` stand in the body."""

    PATH = "/open-apis/bot/v2/hook/{key}"
    OK = {"code": 0, "data": {}, "msg": "success"}

    def wrong(self, post: Post) -> dict[str, Any] | None:
        body = post.json
        if post.path != self.PATH.format(key=self.key):
            return {"code": 19001, "msg": "param invalid: incoming webhook access token invalid"}
        if self.secret:
            stamp = str(body.get("timestamp", ""))
            key = (stamp + "\n" + self.secret).encode()
            expected = base64.b64encode(hmac.new(key, digestmod=hashlib.sha256).digest()).decode()
            if not stamp.isdecimal() or abs(time.time() - int(stamp)) > HOUR or body.get("sign") != expected:
                return {"code": 19021, "msg": "sign match fail or timestamp is not within one hour from current time"}
        if body.get("msg_type") != "interactive" or "elements" not in body.get("card", {}):
            return {"code": 9499, "msg": "Bad Request", "data": {}}
        return None

    def busy(self) -> dict[str, Any]:
        return {"code": 11232, "msg": "too many request"}


class DingTalkRobot(Robot):
    """Custom robot access: `timestamp` and `sign` stand in the query, beside the token."""

    PATH = "/robot/send?access_token={key}"
    OK = {"errcode": 0, "errmsg": "ok"}

    def wrong(self, post: Post) -> dict[str, Any] | None:
        if post.path != "/robot/send" or post.query.get("access_token") != [self.key]:
            return {"errcode": 300005, "errmsg": f"token is not exist: {post.query.get('access_token')}"}
        if self.secret:
            stamp, sign = post.query.get("timestamp", [""])[0], post.query.get("sign", [""])[0]
            text = "{}\n{}".format(stamp, self.secret).encode("utf-8")  # noqa: UP032 - as the documentation writes it
            expected = base64.b64encode(hmac.new(self.secret.encode(), text, digestmod=hashlib.sha256).digest())
            if not stamp.isdecimal() or abs(time.time() * 1000 - int(stamp)) > HOUR * 1000:
                return {"errcode": 310000, "errmsg": "invalid timestamp"}
            if sign.encode() != expected:
                return {"errcode": 310000, "errmsg": "sign not match"}
        markdown = post.json.get("markdown", {})
        if post.json.get("msgtype") != "markdown" or not markdown.get("title") or not markdown.get("text"):
            return {"errcode": 40035, "errmsg": "invalid parameter"}
        return None

    def busy(self) -> dict[str, Any]:
        return {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}


class WeComRobot(Robot):
    """Group robot configuration: no signature; whoever knows the key may speak."""

    PATH = "/cgi-bin/webhook/send?key={key}"
    OK = {"errcode": 0, "errmsg": "ok"}

    def wrong(self, post: Post) -> dict[str, Any] | None:
        if post.query.get("key") != [self.key]:
            return {"errcode": 93000, "errmsg": f"invalid webhook url, hint: {post.query.get('key')}"}
        content = post.json.get("markdown", {}).get("content", "")
        if post.json.get("msgtype") != "markdown" or not content:
            return {"errcode": 40008, "errmsg": "invalid message type"}
        if len(content.encode()) > 4096:
            return {"errcode": 40058, "errmsg": "markdown.content exceed max length 4096"}
        return None

    def busy(self) -> dict[str, Any]:
        return {"errcode": 45009, "errmsg": "api freq out of limit"}
