"""Which wake-up socket an address means. An address that means none is refused without a word in the log."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings

from .consumers import HomeConsumer, WakeConsumer
from .identity import Scope

_TOPIC = re.compile(r"/ws/(?P<kind>[a-z]{1,30})/(?P<pk>[0-9]{1,18})/")
_wake: Any = WakeConsumer.as_asgi()
_home: Any = HomeConsumer.as_asgi()


async def wakeups(scope: Scope, receive: Any, send: Any) -> None:
    """ASGI application of all wake-up sockets."""
    if scope["path"] == "/ws/home/":
        await _home(scope, receive, send)
        return
    found = _TOPIC.fullmatch(scope["path"])
    if found and found["kind"] in settings.SOCKET_TOPICS:
        kwargs = {"kind": found["kind"], "pk": int(found["pk"])}
        await _wake({**scope, "url_route": {"args": (), "kwargs": kwargs}}, receive, send)
        return
    await receive()
    await send({"type": "websocket.close"})
