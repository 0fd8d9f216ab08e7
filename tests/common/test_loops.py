"""A loop tends what it looks after until nobody renews it or its lease is lost, and waits for a database that is away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest
from django.db import OperationalError

from fangduoduo_release.common.hands import Hands
from fangduoduo_release.common.loops import Loop


class Closing(Hands):
    """Tells that it was closed."""

    def __init__(self) -> None:
        super().__init__("test-of-loop", 1)
        self.closed = threading.Event()

    def close(self) -> None:
        super().close()
        self.closed.set()


class Busy(Loop):
    """Does at each tick what it is told, and sets `often` when that was enough."""

    tick_s = 0.0
    step_s = 0.001

    def __init__(self, lost: threading.Event, each: Callable[[int], None], *, enough: int = 3, **more: float) -> None:
        self.ticks, self.left, self.often, self.each, self.enough = 0, 0, threading.Event(), each, enough
        for name, value in more.items():
            setattr(self, name, value)
        self.hands = Closing()
        super().__init__("test-loop", lost, [self.hands], daemon=True)

    async def tend(self) -> None:
        self.ticks += 1
        if self.ticks >= self.enough:
            self.often.set()
        self.each(self.ticks)

    async def leave(self) -> None:
        self.left += 1


def nothing(_tick: int) -> None:
    pass


def ended(loop: Busy) -> None:
    loop.join(60)
    assert not loop.alive


def test_it_tends_until_its_lease_is_lost_and_leaves_once() -> None:
    lost = threading.Event()
    loop = Busy(lost, nothing)
    assert loop.often.wait(60)
    assert loop.alive
    lost.set()
    ended(loop)
    assert (loop.left, loop.ticks >= 3, loop.hands.closed.is_set()) == (1, True, True)


def test_without_its_duty_it_ends_by_itself() -> None:
    """A process whose duty hangs must not hold on to what another should have."""
    loop = Busy(threading.Event(), nothing, grace_s=0.02)
    ended(loop)
    assert loop.left == 1


def test_renewed_it_follows_the_new_lease_and_not_the_old_one() -> None:
    old, new = threading.Event(), threading.Event()
    loop = Busy(old, nothing, enough=50)
    loop.renew(new)
    old.set()
    assert loop.often.wait(60), "it ended with a lease that it holds no more"
    new.set()
    ended(loop)


def test_a_lease_that_was_lost_before_it_began_is_not_worked_under() -> None:
    lost = threading.Event()
    lost.set()
    loop = Busy(lost, nothing)
    ended(loop)
    assert (loop.ticks, loop.left) == (0, 1)


def test_a_database_that_is_away_is_told_once_and_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    lost = threading.Event()

    def away(tick: int) -> None:
        if tick in (1, 2, 3, 5, 6):
            raise OperationalError("the server is away")

    with caplog.at_level(logging.WARNING):
        loop = Busy(lost, away, enough=8)
        assert loop.often.wait(60)
        lost.set()
        ended(loop)
    told = [one.getMessage() for one in caplog.records if "cannot reach its database" in one.getMessage()]
    assert told == ["test-loop cannot reach its database: the server is away"] * 2, "once for each time it went away"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_ends_it_so_that_its_duty_begins_another() -> None:
    """And its hands are closed also then: a loop that fails again and again must not gather threads."""

    def mistaken(_tick: int) -> None:
        raise KeyError("a mistake")

    loop = Busy(threading.Event(), mistaken)
    ended(loop)
    assert loop.ticks == 1
    assert loop.hands.closed.is_set()
