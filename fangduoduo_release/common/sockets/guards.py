"""May this caller listen: asked at connect, every few seconds while the socket is open, and at once when it is told
that the person's rights have changed (an event of the person's own topic).

Close codes: 4401 not signed in, 4404 absent or not to be seen, 4403 not allowed (any more), 4503 cannot be asked now (daphne sends no 1013).
The object and the check are named in settings (SOCKET_TOPICS, SOCKET_GUARD): this room imports no app.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import DatabaseError, InterfaceError
from django.utils.module_loading import import_string

from fangduoduo_release.common.errors import AppError, Denied

from .identity import Caller, Scope, caller_of, user_of
from .poller import poller
from .pool import DatabasePool

logger = logging.getLogger(__name__)
RECHECK_S = float(settings.SOCKET_RECHECK_S)
BLIND_S = max(60.0, 3 * RECHECK_S)  # so long a socket stays open while nobody can be asked
NOT_SIGNED_IN, NOT_ANY_MORE, UNSEEN, TRY_LATER = 4401, 4403, 4404, 4503

Check = Callable[[Any], object]
Who = Callable[[Caller], Any]


def may_see(kind: str, pk: int) -> Check:
    """A check for one row of a topic kind in SOCKET_TOPICS. Raises NotFound for who may not see it."""

    def check(user: Any) -> object:
        rows = import_string(settings.SOCKET_TOPICS[kind])._default_manager.all()
        return import_string(settings.SOCKET_GUARD)(user, rows, pk=pk)

    return check


def anybody(user: Any) -> object:
    """A check that every signed-in user passes."""
    return user


class Guard:
    """Watches over one socket. `check(user)` raises an AppError to refuse; it runs in the pool, as `who` does, which says
    whose the caller's session or token is. `refusal` is what stood in the way, to be told to who may see the object."""

    def __init__(self, scope: Scope, check: Check, pool: DatabasePool, who: Who = user_of) -> None:
        self._caller = caller_of(scope)
        self._who = who
        self.refusal: Denied | None = None
        self._check = check
        self._pool = pool
        self._topic = ""  # of the person, known once they are
        self._asked = 0.0  # when the last question was asked
        self._person: tuple[int, int] | None = None  # their key, and the last event of theirs before the question

    @property
    def person(self) -> str:
        """Who it is, once they were admitted."""
        return self._topic

    async def admit(self) -> int | None:
        """None when the caller may listen, else the code to close with."""
        try:
            return await self._pool.run(self._ask)
        except (DatabaseError, InterfaceError):
            logger.warning("a socket cannot be checked: the database is away", exc_info=True)
            return TRY_LATER

    async def watch(self) -> int:
        """Ask again and again; returns the code to close with when the answer is no."""
        news = asyncio.Event()

        def tell(seq: int) -> None:
            news.set()

        try:
            with contextlib.suppress(TimeoutError):  # without a database nobody is ready to tell
                async with asyncio.timeout(RECHECK_S):  # not wait_for: Python 3.11's may swallow a cancellation
                    await poller.listen(self._topic, tell)
            if await self._told_meanwhile():
                news.set()
            return await self._until_refused(news)
        finally:
            poller.leave(self._topic, tell)

    async def _told_meanwhile(self) -> bool:
        """Whether this person was told something between the last question and now; yes while that cannot be known.

        A row's number instead of the whole question: it would be asked while whoever waits for the socket's first word
        shares this process with it."""
        try:
            return await self._pool.run(self._is_behind)
        except (DatabaseError, InterfaceError):
            return True

    def _is_behind(self) -> bool:
        if self._person is None:
            return True
        pk, seq = self._person
        return not get_user_model()._default_manager.filter(pk=pk, event_seq=seq).exists()

    async def _until_refused(self, news: asyncio.Event) -> int:
        asked = self._asked
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._asked + RECHECK_S - time.monotonic())):
                    await news.wait()
            news.clear()
            try:
                if await self._pool.run(self._ask) is not None:
                    return NOT_ANY_MORE
                asked = time.monotonic()
            except (DatabaseError, InterfaceError):
                if time.monotonic() - asked > BLIND_S:
                    return TRY_LATER

    def _ask(self) -> int | None:
        self._asked = time.monotonic()
        user = self._who(self._caller)
        if user is None:
            return NOT_SIGNED_IN
        self._topic = user.topic
        self._person = (user.pk, user.event_seq)  # read before what they may: a change meanwhile makes it too old
        try:
            self._check(user)
        except Denied as refused:
            self.refusal = refused
            return NOT_ANY_MORE
        except AppError:
            return UNSEEN
        return None
