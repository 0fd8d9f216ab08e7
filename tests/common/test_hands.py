"""Hands do for a loop what would hold it up: in their turn, a few at a time, and never what was called off before its turn."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from django.db import OperationalError, connections

from fangduoduo_release.common.hands import AWAY, Hands


@pytest.fixture
def one() -> Iterator[Hands]:
    hands = Hands("test-hand", 1)
    yield hands
    hands.close()


async def test_the_answer_comes_back_to_whoever_asked(one: Hands) -> None:
    assert await one.do(divmod, 17, 5) == (3, 2)


async def test_what_goes_wrong_is_raised_where_it_was_asked_and_the_hand_goes_on(one: Hands) -> None:
    with pytest.raises(ZeroDivisionError):
        await one.do(divmod, 1, 0)
    assert await one.do(divmod, 1, 1) == (1, 0)


async def test_nothing_is_begun_before_it_is_needed() -> None:
    hands = Hands("test-late", 1)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("test-late")]
    assert await hands.do(lambda: threading.current_thread().name) == "test-late-0"
    hands.close()


async def test_they_are_daemons_so_that_a_process_can_end(one: Hands) -> None:
    assert await one.do(lambda: threading.current_thread().daemon)


async def test_one_hand_does_one_thing_after_the_other(one: Hands) -> None:
    done: list[int] = []
    await asyncio.gather(*(one.do(done.append, number) for number in range(20)))
    assert done == list(range(20))


async def test_no_more_work_at_once_than_there_are_hands() -> None:
    hands, together = Hands("test-pair", 2), threading.Barrier(2)
    try:
        await asyncio.gather(hands.do(together.wait, 60), hands.do(together.wait, 60))  # both at once, or it breaks
        threads = {await hands.do(lambda: threading.current_thread().name) for _ in range(10)}
        assert threads <= {"test-pair-0", "test-pair-1"}
    finally:
        hands.close()


async def test_what_is_cancelled_before_its_turn_is_not_done_at_all(one: Hands) -> None:
    held, done = threading.Event(), []
    busy = asyncio.ensure_future(one.do(held.wait, 60))
    late = asyncio.ensure_future(one.do(done.append, "late"))
    await asyncio.sleep(0)  # both are handed over
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late
    held.set()
    assert await busy
    await one.do(done.append, "next")
    assert done == ["next"]


@pytest.mark.parametrize("error", AWAY, ids=lambda error: error.__name__)
async def test_a_database_that_went_away_leaves_no_dead_connection_behind(
    one: Hands, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    really_close_all = connections.close_all

    def close_all() -> None:
        closed.append(threading.get_ident())
        really_close_all()

    monkeypatch.setattr(connections, "close_all", close_all)  # for every thread, also those that tests before left
    ours = await one.do(threading.get_ident)

    def work() -> None:
        raise error("the server closed the connection")

    with pytest.raises(error):
        await one.do(work)
    assert closed.count(ours) == 1
    with pytest.raises(ValueError, match="none of the database's"):
        await one.do(_other)
    assert closed.count(ours) == 1, "what is no fault of the connection costs none"


def _other() -> None:
    raise ValueError("none of the database's")


async def test_closed_hands_finish_what_they_were_given() -> None:
    hands, done = Hands("test-closing", 1), []
    first = asyncio.ensure_future(hands.do(done.append, 1))
    second = asyncio.ensure_future(hands.do(done.append, 2))
    await asyncio.sleep(0)
    (thread,) = [one for one in threading.enumerate() if one.name == "test-closing-0"]
    hands.close()
    await asyncio.gather(first, second)
    thread.join(60)
    assert done == [1, 2]
    assert not thread.is_alive()


def test_hands_that_did_nothing_close_too() -> None:
    Hands("test-idle", 3).close()


def test_what_counts_as_away() -> None:
    assert OperationalError in AWAY
    assert ValueError not in AWAY
