"""The web process: pages and API (Django), wake-ups (Channels), data streams and git (plain ASGI) side by side."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import django
from django.core.handlers.asgi import ASGIHandler


class Pages(ASGIHandler):
    """Django's own, handing over large answers in fewer pieces: each costs a turn of the loop, and servers hold one."""

    chunk_size = 256 << 10


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fangduoduo_release.settings")
django.setup(set_prefix=False)  # first: it loads the apps that the imports below need
_pages = Pages()
import_module("fangduoduo_release.checks").refuse_unsafe(pages=True)
_wakeups = import_module("fangduoduo_release.common.sockets.routing").wakeups
_stream = import_module("builds.logs.stream")
# Plain ASGI applications for sockets that carry data, by their paths; every other socket is a wake-up.
_service_logs = import_module("deployments.streams.logs")
_terminals = import_module("deployments.streams.terminal").sockets()
_pod_terminals = import_module("clusters.gateway.terminals").sockets()
SOCKET_ROOMS: list[tuple[Any, Any]] = [
    (_stream.PATH, _stream.LogStream()),
    (_service_logs.PATH, _service_logs.LogSockets()),
    (_terminals.path, _terminals),
    (_pod_terminals.path, _pod_terminals),
]

_http = import_module("fangduoduo_release.common.http")
_header = import_module("fangduoduo_release.common.sockets.identity").header
_given_away = import_module("fangduoduo_release.common.secrets_in_text").given_away
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
    ),
    "/hooks/": import_module("projects.hooks.app").Hooks(
        max_bytes=import_module("django.conf").settings.HOOK_MAX_BYTES
    ),
}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """ASGI: lifespan, HTTP and WebSocket, each to its room."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    peer = (scope.get("client") or ("", 0))[0] or ""
    facts = _http.facts_of(peer, _header(scope, b"x-forwarded-for"), _header(scope, b"user-agent"))
    _http.current_request.set(facts)  # of this task alone: a connection has one of its own
    given_away = _given_away(scope.get("query_string", b"").decode("latin-1"))
    if scope["type"] == "websocket":
        if given_away:
            await receive()
            await send({"type": "websocket.close"})
            return
        rooms = (app for path, app in SOCKET_ROOMS if path.fullmatch(scope["path"]))
        await next(rooms, _wakeups)(scope, receive, send)
        return
    room = next((app for start, app in HTTP_ROOMS.items() if scope["path"].startswith(start)), _pages)
    if given_away and room is not _pages:
        await _refuse(send)
        return
    await room(scope, receive, send)


async def _refuse(send: Any) -> None:
    """400 to a token in an address, where Django's middleware does not stand."""
    body = f"{import_module('fangduoduo_release.common.url_secrets').SENTENCE}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Any, send: Any) -> None:
    """uvicorn asks whether we are ready; daphne does not. Nothing is opened before it is needed."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
