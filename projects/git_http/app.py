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

from fangduoduo_release.common.errors import AppError, TooMany
from projects.drivers.source.git_leftovers import push_under_way, sweep

from .answers import break_off, refuse
from .backend import Backend, ClientGoneError, Limits, Receive, Send, environment
from .pushes import OnPush, PushDesk, PushMessage
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
        sending_pack = str(scope["path"]).endswith("/git-receive-pack")
        try:
            request = read_request(scope, self._prefix, self.limits.max_push)
            actor, repository = await self._admit(request)
            async with self._place():
                await self._serve(request, actor, repository.resolve(), receive, send)
        except Refusal as refusal:
            await refuse(receive, send, refusal, sending_pack=sending_pack)

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
            wait = {b"retry-after": str(error.retry_after).encode()} if isinstance(error, TooMany) else {}
            raise Refusal(error.status, str(error.sentence), wait) from error

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
        if request.verb != PUSH or request.method != "POST":
            env = environment(request, repository, self._actor_key(actor), self.limits.max_push, None, {})
            await self._stream(request, env, (), _nothing, receive, send)
            return
        await self._desk.open()
        ticket = self._desk.begin(request.slug, actor)
        hooks = self._desk.hooks.resolve()
        env = environment(request, repository, self._actor_key(actor), self.limits.max_push, hooks, ticket.env)

        async def settle() -> None:
            await self._desk.finish(ticket)

        whole = False
        try:
            with push_under_way(repository) as lock:
                whole = await self._stream(request, env, (lock,), settle, receive, send)
        finally:
            await settle()
            if not whole:  # its half pack may lie there
                await asyncio.to_thread(sweep, repository)

    async def _stream(
        self,
        request: GitRequest,
        env: dict[str, str],
        inherited: tuple[int, ...],
        before_end: Callable[[], Awaitable[None]],
        receive: Receive,
        send: Send,
    ) -> bool:
        """Run one backend; whether it came to its own end."""
        backend = await Backend.start(self._program, env, request, self.limits, inherited)
        try:
            await backend.serve(receive, send, before_end)
            return True
        except Refusal as refusal:
            if not backend.started:
                raise
            await break_off(receive, send, refusal.text, sending_pack=request.verb == PUSH)
        except (ClientGoneError, TimeoutError) as error:
            logger.info("%s of %s stopped: %s", request.service, request.slug, type(error).__name__)
            if not isinstance(error, ClientGoneError):
                if not backend.started:
                    raise Refusal(408, "The request took too long.") from error
                await break_off(receive, send, "The request took too long.", sending_pack=request.verb == PUSH)
        return False


async def _nothing() -> None:
    """What is to be settled after a fetch."""
