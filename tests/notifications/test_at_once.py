"""Several at once: the same news told by many, one message wanted by many workers, a channel removed meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import close_old_connections, connection, transaction

from fangduoduo_release.common import runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.engines import drive, engines
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications import channels
from fangduoduo_release.notifications.engine import rest
from fangduoduo_release.notifications.models import Channel, Circuit, Delivery
from fangduoduo_release.notifications.outbox import tell
from tests.simulators.receiver import Post, Receiver, Reply

from .conftest import states

pytestmark = pytest.mark.django_db(transaction=True)
SAID = S("Saved.")


def together(count: int, call: Callable[[int], Any]) -> list[BaseException]:
    """Call it in so many threads at once; what they raised."""
    gate, raised = threading.Barrier(count), []

    def one(number: int) -> None:
        gate.wait(120)
        try:
            call(number)
        except BaseException as error:  # noqa: BLE001 - the test looks at whatever it was
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    close_old_connections()
    return raised


def test_the_same_news_told_by_many_is_one_message(hook: Callable[..., Channel]) -> None:
    hook("a", project="shop")

    def say(number: int) -> None:
        with transaction.atomic():
            tell("build.failed", SAID, project="shop", once="build:1:failed")

    assert together(6, say) == []
    assert states() == ["queued"]


def test_a_message_that_many_workers_want_is_sent_once(hook: Callable[..., Channel], receiver: Receiver) -> None:
    hook("a", project="shop")
    for _ in range(10):
        tell("build.failed", SAID, project="shop")
    engine = engines()["notification"]
    pks = list(Delivery.objects.order_by("pk").values_list("pk", flat=True))
    assert together(4, lambda number: drive(engine, pks[number])) == []
    while (pk := engine.mine(runs.due(Delivery)).values_list("pk", flat=True).first()) is not None:
        drive(engine, pk)
    assert states() == ["sent"] * 10
    assert len(receiver.posts) == 10


def test_a_claim_that_was_lost_writes_nothing(hook: Callable[..., Channel], receiver: Receiver) -> None:
    """The lease ran out while the other side thought about it: whoever took the row over decides."""
    hook("a", project="shop")
    tell("build.failed", SAID, project="shop")
    row = Delivery.objects.get()

    def judge(post: Post) -> Reply:
        if len(receiver.posts) == 1:
            Delivery.objects.filter(pk=row.pk).update(fence=99)
            connection.close()
        return Reply()

    receiver.judge = judge
    assert drive(engines()["notification"], row.pk)
    row.refresh_from_db()
    assert (row.state, row.fence) == ("queued", 99)


def test_a_channel_removed_while_it_is_told_is_no_error(hook: Callable[..., Channel], receiver: Receiver) -> None:
    channel = hook("a", project="shop")
    tell("build.failed", SAID, project="shop")
    pk = Delivery.objects.get().pk

    def judge(post: Post) -> Reply:
        channels.remove(actor=SYSTEM, channel=channel)
        connection.close()
        return Reply()

    receiver.judge = judge
    assert drive(engines()["notification"], pk)
    assert states() == []


def test_a_route_that_fails_for_many_at_once_is_one_circuit() -> None:
    why = runs.error_of("mail", S("The mail server does not answer as it should."))
    assert together(4, lambda number: rest("mail", why)) == []
    assert Circuit.objects.get().failures == 4
