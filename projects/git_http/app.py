"""The ASGI application at `/git/<slug>.git`: who asks, may they, then git's own http-backend, streamed.

The composition root injects what it must not know: people (`authenticate`), permissions (`authorize`) and what a push
starts (`on_push`, `push_message`). Runs alike on daphne and uvicorn; on daphne start it with `daphne_server`, which
streams bodies that daphne itself would hold in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from fangduoduo_release.common.errors import AppError

from .backend import Backend, ClientGoneError, Limits, Receive, Send, environment
from .pushes import OnPush, PushDesk, PushMessage, Ticket
from .request import PUSH, GitRequest, Refusal, read_request

logger = logging.getLogger(__name__)

Authenticate = Callable[[str], Awaitable[Any]]
"""The Authorization header's text -> an actor, or None for nobody we know. May raise AppError (too many attempts)."""
Authorize = Callable[[Any, str, str], Awaitable[Path]]
"""(actor, slug, "fetch" | "push") -> the bare repository's path. Raises NotFound (unseen or absent) or Denied."""

_CHALLENGE = {b"www-authenticate": b'Basic realm="fangduoduo_release", charset="UTF-8"'}


class GitHttp:
    """Git over smart HTTP. `spool` is a directory of ours on the disk that holds the repositories.

    `actor_key` turns an actor into text that finds them again (for notes that outlive this process).
    """

    def __init__(
        self,
        *,
        authenticate: Authenticate,
        authorize: Authorize,
        on_push: OnPush,
        spool: Path,
        push_message: PushMessage | None = None,
        actor_key: Callable[[Any], str] = str,
        prefix: str = "/git/",
        program: str = "git",
        limits: Limits | None = None,
        push_wait: float = 10.0,
    ) -> None:
        self.limits = limits or Limits()
        self._authenticate, self._authorize, self._actor_key = authenticate, authorize, actor_key
        self._prefix, self._program = prefix, program
        self._desk = PushDesk(spool, on_push, push_message, actor_key, push_wait)
        self._places = asyncio.Semaphore(self.limits.backends)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"git speaks HTTP, not {scope['type']}")
        try:
            request = read_request(scope, self._prefix, self.limits.max_push)
            actor, repository = await self._admit(request)
            async with self._place():
                await self._serve(request, actor, repository, receive, send)
        except Refusal as refusal:
            await _say(send, refusal)

    async def close(self) -> None:
        """Stop listening for hooks."""
        await self._desk.close()

    async def _admit(self, request: GitRequest) -> tuple[Any, Path]:
        try:
            actor = await self._authenticate(request.authorization) if request.authorization else None
            if actor is None:
                raise Refusal(401, "Sign in with your user name and your password or an API token.", _CHALLENGE)
            return actor, await self._authorize(actor, request.slug, request.verb)
        except AppError as error:
            raise Refusal(error.status, str(error.sentence)) from error

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.limits.queue):
                await self._places.acquire()
        except TimeoutError:
            raise Refusal(
                503, "Too many git requests at once; try again in a moment.", {b"retry-after": b"10"}
            ) from None
        try:
            yield
        finally:
            self._places.release()

    async def _serve(self, request: GitRequest, actor: Any, repository: Path, receive: Receive, send: Send) -> None:
        ticket: Ticket | None = None
        if request.verb == PUSH and request.method == "POST":
            await self._desk.open()
            ticket = self._desk.begin(request.slug, actor)
        env = environment(
            request,
            repository.resolve(),
            self._actor_key(actor),
            self.limits.max_push,
            self._desk.hooks.resolve() if ticket else None,
            ticket.env if ticket else {},
        )
        backend: Backend | None = None
        try:
            backend = await Backend.start(self._program, env, request, self.limits)
            await backend.serve(receive, send, lambda: self._settle(ticket))
        except Refusal:
            if backend is None or not backend.started:
                raise
        except (ClientGoneError, TimeoutError) as error:
            logger.info("%s of %s stopped: %s", request.service, request.slug, type(error).__name__)
            if isinstance(error, TimeoutError) and backend and not backend.started:
                raise Refusal(408, "The request took too long.") from error
        finally:
            await self._settle(ticket)

    async def _settle(self, ticket: Ticket | None) -> None:
        if ticket:
            await self._desk.finish(ticket)


async def _say(send: Send, refusal: Refusal) -> None:
    """A plain text answer; git shows it as `remote: …`."""
    body = f"{refusal.text}\n".encode()
    headers = {
        b"content-type": b"text/plain; charset=utf-8",
        b"content-length": str(len(body)).encode(),
        b"cache-control": b"no-store",
        b"x-content-type-options": b"nosniff",
        **refusal.headers,
    }
    await send({"type": "http.response.start", "status": refusal.status, "headers": list(headers.items())})
    await send({"type": "http.response.body", "body": body, "more_body": False})
