"""The web process: pages and API (Django), wake-ups (Channels), data streams and git (plain ASGI) side by side."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fangduoduo_release.settings")
_pages = get_asgi_application()  # first: it loads the apps that the imports below need
import_module("fangduoduo_release.checks").refuse_unsafe(pages=True)
_wakeups = import_module("fangduoduo_release.common.sockets.routing").wakeups
_stream = import_module("builds.logs.stream")
_log_stream = _stream.LogStream()

_access = import_module("projects.git_access")

# Plain ASGI applications before Django, by the beginning of the path.
HTTP_ROOMS: dict[str, Any] = {
    "/git/": import_module("projects.git_http.app").GitHttp(
        authenticate=_access.authenticate,
        authorize=_access.authorize,
        on_push=_access.on_push,
        actor_key=_access.actor_key,
        push_message=import_module("builds.push_messages").push_message,
        spool=_access.SPOOL,
    )
}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """ASGI: lifespan, HTTP and WebSocket, each to its room."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["type"] == "websocket":
        await (_log_stream if _stream.PATH.fullmatch(scope["path"]) else _wakeups)(scope, receive, send)
    else:
        room = next((app for start, app in HTTP_ROOMS.items() if scope["path"].startswith(start)), _pages)
        await room(scope, receive, send)


async def _live(receive: Any, send: Any) -> None:
    """uvicorn asks whether we are ready; daphne does not. Nothing is opened before it is needed."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
