"""What happened to a person between the question at the door and the first word that they are listened to is not missed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError

from fangduoduo_release.common.errors import NotFound
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.sockets.guards import NOT_ANY_MORE, Guard
from fangduoduo_release.common.sockets.pool import DatabasePool
from permissions import revocation
from permissions.models import User
from tests import world

pytestmark = pytest.mark.django_db(transaction=True)
call = sync_to_async(thread_sensitive=False)
LATER_S, AT_ONCE_S = 3600.0, 60.0  # the regular question comes so late that what ends within a minute did so at once


@pytest.fixture(autouse=True)
def regular_question_is_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fangduoduo_release.common.sockets.guards.RECHECK_S", LATER_S)


class Right:
    """A right that can be taken away, and how often it was asked for."""

    def __init__(self) -> None:
        self.asked = 0
        self.held = True

    def check(self, user: Any) -> object:
        self.asked += 1
        if not self.held:
            raise NotFound(S("Nothing."))
        return user


class Failing(DatabasePool):
    """Its first call after `fail` was set says that the database is away. Counts calls."""

    fail = False
    begun = ended = 0

    async def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.fail:
            self.fail = False
            raise DatabaseError("away")
        self.begun += 1
        try:
            return await super().run(function, *args, **kwargs)
        finally:
            self.ended += 1


@pytest.fixture
def pool() -> Iterator[Failing]:
    made = Failing("guards", 2)
    yield made
    made.shutdown()


@pytest.fixture
def person() -> User:
    return world.person()


def guarded(person: User, right: Right, pool: DatabasePool) -> Guard:
    return Guard({"headers": []}, right.check, pool, lambda caller: User.objects.filter(pk=person.pk).first())


async def test_who_was_told_nothing_is_not_asked_twice(person: User, pool: Failing) -> None:
    right = Right()
    guard = guarded(person, right, pool)
    assert await guard.admit() is None
    watching = asyncio.ensure_future(guard.watch())
    async with asyncio.timeout(AT_ONCE_S):
        while pool.ended < 2:  # the question at the door, and whether anything was told since
            await asyncio.sleep(0.01)
    assert (pool.begun, right.asked) == (2, 1), "a question that must not come would have begun with that answer"
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_right_taken_away_before_anybody_listened_ends_it_at_once(person: User, pool: Failing) -> None:
    right = Right()
    guard = guarded(person, right, pool)
    assert await guard.admit() is None
    right.held = False
    await call(revocation.access_changed)(person)
    async with asyncio.timeout(AT_ONCE_S):
        assert await guard.watch() == NOT_ANY_MORE


async def test_a_right_taken_away_during_the_question_ends_it_at_once(person: User, pool: Failing) -> None:
    """The answer was yes, from rows that were about to change."""
    right = Right()

    def check(user: Any) -> object:
        found = right.check(user)
        if right.asked == 1:
            revocation.access_changed(person)
            right.held = False
        return found

    guard = Guard({"headers": []}, check, pool, lambda caller: User.objects.filter(pk=person.pk).first())
    assert await guard.admit() is None
    async with asyncio.timeout(AT_ONCE_S):
        assert await guard.watch() == NOT_ANY_MORE


async def test_a_person_who_is_gone_is_asked_for_at_once(person: User, pool: Failing) -> None:
    guard = guarded(person, Right(), pool)
    assert await guard.admit() is None
    await call(person.delete)()
    async with asyncio.timeout(AT_ONCE_S):
        assert await guard.watch() == NOT_ANY_MORE


async def test_what_cannot_be_known_is_asked(person: User, pool: Failing) -> None:
    right = Right()
    guard = guarded(person, right, pool)
    assert await guard.admit() is None
    right.held = False  # and nobody is told
    pool.fail = True
    async with asyncio.timeout(AT_ONCE_S):
        assert await guard.watch() == NOT_ANY_MORE


async def test_the_regular_question_is_due_ten_seconds_after_the_one_at_the_door(person: User, pool: Failing) -> None:
    """What ends by the clock tells nobody; opening what the socket is for may have taken a while meanwhile."""
    right = Right()
    guard = guarded(person, right, pool)
    assert await guard.admit() is None
    guard._asked -= LATER_S  # so long ago was the question at the door
    right.held = False
    async with asyncio.timeout(AT_ONCE_S):  # not as long again
        assert await guard.watch() == NOT_ANY_MORE
