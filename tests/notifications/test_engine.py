"""How messages get through: languages, failures, patience, closed routes, and what is never lost or shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common import runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.engines import drive, engines
from fangduoduo_release.common.errors import Conflict
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications import channels, engine, retention
from fangduoduo_release.notifications.engine import LONGEST_WAIT_S, backoff
from fangduoduo_release.notifications.models import Channel, Circuit, Delivery
from fangduoduo_release.notifications.outbox import tell
from tests import world
from tests.portal import free_port
from tests.simulators.mailserver import MailServer, mail_server
from tests.simulators.receiver import Receiver, Reply

from .conftest import HOOK_SECRET, ann, states, wait_over, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def rests_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A route that failed is left alone until the test says that time has passed."""
    monkeypatch.setattr(engine, "FIRST_WAIT_S", 400.0)


SAID = S("Saved.")  # one that has been translated for long


def test_a_message_arrives_with_an_absolute_link(mail: MailServer, settings: Any) -> None:
    settings.PUBLIC_URL = "https://release.example.org"
    tell("build.failed", SAID, people=[ann()], project="shop", link="/builds/7/")
    work()
    (letter,) = mail.letters
    assert "https://release.example.org/builds/7/" in letter.get_body(("plain",)).get_content()
    assert letter["Subject"].startswith("[shop] ")
    row = Delivery.objects.get()
    assert (row.state, row.tries, row.lease_until, row.next_at) == ("sent", 1, None, None)
    assert row.finished_at is not None
    assert str(row.key) in letter["Message-ID"]


def test_everybody_reads_their_own_language(mail: MailServer, hook: Callable[..., Channel], receiver: Receiver) -> None:
    english, chinese = ann(), world.person("li", email="li@example.org")
    channels.choose(actor=chinese, language="zh-hans")
    hook("group", project="shop", language="zh-hans")
    tell("build.failed", SAID, people=[english, chinese], project="shop")
    work()
    texts = {letter["To"]: letter.get_body(("plain",)).get_content() for letter in mail.letters}
    assert "Saved." in texts["ann@example.org"]
    assert "已保存" in texts["li@example.org"]
    assert "已保存" in receiver.posts[0].json["text"]


def test_the_language_is_asked_when_it_is_sent(mail: MailServer) -> None:
    person = ann()
    tell("build.failed", SAID, people=[person])
    channels.choose(actor=person, language="zh-hans")
    work()
    assert "已保存" in mail.letters[0].get_body(("plain",)).get_content()


def test_a_new_address_is_used_and_whoever_left_is_not_told(mail: MailServer) -> None:
    moved, left, blank = ann(), world.person("z", email="z@example.org"), world.person("b", email="b@example.org")
    tell("build.failed", SAID, people=[moved, left, blank])
    moved.email, left.is_active, blank.email = "new@example.org", False, ""
    for person in (moved, left, blank):
        person.save()
    work()
    assert [letter["To"] for letter in mail.letters] == ["new@example.org"]
    assert states() == ["sent", "skipped", "skipped"]


def test_a_rejected_address_is_final_and_says_why(mail: MailServer) -> None:
    mail.handler.refuses["ann@example.org"] = "550 no such mailbox here"
    tell("build.failed", SAID, people=[ann(), world.person("bob", email="bob@example.org")])
    work()
    failed, sent = Delivery.objects.order_by("pk")
    assert (failed.state, failed.error["code"]) == ("failed", "mail_refused")
    assert "no such mailbox" in failed.error["evidence"]
    assert sent.state == "sent"
    assert not Circuit.objects.exists()


@pytest.mark.usefixtures("rests_long")
def test_a_dead_mail_server_loses_nothing_and_says_everything_once_it_is_back(tmp_path: Path, settings: Any) -> None:
    port = free_port()
    settings.MAIL = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "r@example.org"}
    crowd = [world.person(f"p{n}", email=f"p{n}@example.org") for n in range(20)]
    tell("build.failed", SAID, people=crowd)
    for _ in range(4):
        work()
        wait_over()
    assert states() == ["queued"] * 20
    assert sum(Delivery.objects.values_list("tries", flat=True)) == 4  # one message asks for all
    assert Circuit.objects.get().failures == 4
    with mail_server(tmp_path, port=port) as server:
        work()
        assert sorted(letter["To"] for letter in server.letters) == sorted(person.email for person in crowd)
    assert set(states()) == {"sent"}
    assert not Circuit.objects.exists()
    assert not Delivery.objects.exclude(error=None).exists()


@pytest.mark.usefixtures("rests_long")
def test_a_dead_mail_server_does_not_hold_up_others(
    settings: Any, hook: Callable[..., Channel], receiver: Receiver
) -> None:
    settings.MAIL = {"host": "127.0.0.1", "port": free_port(), "security": "none", "sender": "r@example.org"}
    people = [world.person(f"p{n}", email=f"p{n}@example.org") for n in range(50)]
    hook("shop", project="shop")
    tell("build.failed", SAID, people=people, project="shop")
    work()
    assert len(receiver.posts) == 1
    assert sum(Delivery.objects.filter(route="mail").values_list("tries", flat=True)) == 1, "it is waited for once"
    assert states(route="mail") == ["queued"] * 50


@pytest.mark.usefixtures("rests_long")
def test_of_the_doubtful_routes_one_is_tried_at_a_time(hook: Callable[..., Channel], receiver: Receiver) -> None:
    receiver.reply = Reply(500, b"broken")
    first, second, good = hook("a", project="a"), hook("b", project="b"), hook("c", project="c")
    tell("build.failed", SAID, project="a")
    tell("build.failed", SAID, project="b")
    work()
    wait_over()
    tell("build.failed", SAID, project="c")
    of_messages = engines()["notification"]
    due = of_messages.mine(runs.due(Delivery))
    assert set(due.values_list("route", flat=True)) == {first.route, second.route, good.route}
    assert runs.claim(Delivery, due.get(route=first.route).pk, lease_s=600) is not None
    assert set(of_messages.mine(runs.due(Delivery)).values_list("route", flat=True)) == {good.route}


def test_one_worker_at_a_time_on_a_route(hook: Callable[..., Channel]) -> None:
    hook("a", project="a")
    for _ in range(3):
        tell("build.failed", SAID, project="a")
    of_messages = engines()["notification"]
    held, other, _third = Delivery.objects.order_by("pk")
    assert runs.claim(Delivery, held.pk, lease_s=600) is not None
    assert not drive(of_messages, other.pk)


def test_whoever_works_on_a_route_takes_all_that_waits_there(
    hook: Callable[..., Channel], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "DRAIN_S", 280.0)
    hook("a", project="a")
    for _ in range(30):
        tell("build.failed", SAID, project="a")
    drive(engines()["notification"], Delivery.objects.earliest("pk").pk)
    assert states() == ["sent"] * 30
    assert len({post.headers["X-FDD-Delivery"] for post in receiver.posts}) == 30


def test_a_rate_limit_is_kept_to(hook: Callable[..., Channel], receiver: Receiver) -> None:
    receiver.reply = Reply(429, b"slow down", {"Retry-After": "300"})
    hook("a", project="a")
    tell("build.failed", SAID, project="a")
    work()
    circuit = Circuit.objects.get()
    assert timedelta(seconds=200) < circuit.until - timezone.now() <= timedelta(seconds=300)
    tell("build.failed", SAID, project="a")
    work()
    assert len(receiver.posts) == 1


@pytest.mark.usefixtures("rests_long")
def test_greylisting_of_one_does_not_hold_up_the_rest(mail: MailServer) -> None:
    mail.handler.refuses["ann@example.org"] = "450 come back later"
    tell("build.failed", SAID, people=[ann(), world.person("bob", email="bob@example.org")])
    work()
    assert states() == ["queued", "sent"]
    assert not Circuit.objects.exists()
    waits = Delivery.objects.get(state="queued")
    assert waits.next_at > timezone.now()
    mail.handler.refuses.clear()
    wait_over()
    work()
    assert states() == ["sent", "sent"]


@pytest.mark.usefixtures("rests_long")
def test_after_a_day_it_is_given_up_with_its_reason(hook: Callable[..., Channel], receiver: Receiver) -> None:
    receiver.reply = Reply(503, b"maintenance")
    hook("a", project="a")
    tell("build.failed", SAID, project="a")
    work()
    assert states() == ["queued"]
    Delivery.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
    wait_over()
    work()
    row = Delivery.objects.get()
    assert (row.state, row.error["code"], row.error["evidence"]) == ("failed", "busy", "maintenance")


@pytest.mark.usefixtures("rests_long")
def test_what_waits_behind_a_closed_route_is_given_up_too(settings: Any) -> None:
    settings.MAIL = {"host": "127.0.0.1", "port": free_port(), "security": "none", "sender": "r@example.org"}
    tell("build.failed", SAID, people=[ann(), world.person("bob", email="bob@example.org")])
    work()
    assert retention.give_up_overdue() == 0
    Delivery.objects.update(deadline_at=timezone.now() - timedelta(seconds=1))
    assert retention.give_up_overdue() == 2
    for row in Delivery.objects.all():
        assert (row.state, row.error["code"], row.next_at) == ("failed", "mail", None)
        assert row.finished_at is not None


def test_ops_send_a_failed_message_once_more_under_its_id(mail: MailServer) -> None:
    mail.handler.refuses["ann@example.org"] = "550 no"
    tell("build.failed", SAID, people=[ann()])
    work()
    row = Delivery.objects.get()
    mail.handler.refuses.clear()
    channels.try_again(actor=SYSTEM, delivery=row)
    work()
    assert states() == ["sent"]
    assert str(row.key) in mail.letters[0]["Message-ID"]
    with pytest.raises(Conflict):
        channels.try_again(actor=SYSTEM, delivery=row)


def test_a_channel_switched_off_meanwhile_is_left_alone(hook: Callable[..., Channel], receiver: Receiver) -> None:
    channel = hook("a", project="a")
    tell("build.failed", SAID, project="a")
    channels.change(actor=SYSTEM, channel=channel, enabled=False)
    work()
    assert (states(), receiver.posts) == (["skipped"], [])


def test_an_address_that_turned_out_to_lead_inside_is_final(
    hook: Callable[..., Channel], settings: Any, receiver: Receiver
) -> None:
    hook("a", project="a")
    settings.NOTIFY_ALLOW_PRIVATE = False
    tell("build.failed", SAID, project="a")
    work()
    assert (states(), receiver.posts) == (["failed"], [])


def test_a_secret_that_cannot_be_opened_ends_this_message_and_no_other(
    hook: Callable[..., Channel], receiver: Receiver
) -> None:
    broken, good = hook("a", project="a"), hook("b", project="a")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE notifications_channel SET secrets = %s WHERE id = %s", ["nonsense", broken.pk])
    tell("build.failed", SAID, project="a")
    work()
    assert states(channel=broken) == ["failed"]
    assert states(channel=good) == ["sent"]


@pytest.mark.usefixtures("rests_long")
def test_a_broken_driver_holds_up_its_own_message_only(
    hook: Callable[..., Channel], receiver: Receiver, settings: Any
) -> None:
    hook("a", project="a")
    good = hook("b", project="a")
    Channel.objects.exclude(pk=good.pk).update(kind="odd")
    settings.DRIVERS = {
        **settings.DRIVERS,
        "notification": {**settings.DRIVERS["notification"], "odd": __name__ + ".Odd"},
    }
    tell("build.failed", SAID, project="a")
    work()
    assert states(channel=good) == ["sent"]
    odd = Delivery.objects.exclude(channel=good).get()
    assert (odd.state, odd.error["code"], odd.tries) == ("queued", "step_failed", 1)


class Odd:
    """A driver with a mistake in it."""

    Config = dict

    def __init__(self, config: object) -> None:
        pass

    def send(self, message: object) -> None:
        raise ZeroDivisionError(HOOK_SECRET)


def test_waits_grow_and_never_outgrow_the_run_machine() -> None:
    waits = [backoff(number) for number in range(1, 40)]
    assert 3 < waits[0] < 7
    assert waits[3] > waits[0]
    assert max(waits) < runs.LONGEST_DELAY_S
    assert max(waits) > LONGEST_WAIT_S * 0.7
    assert len({backoff(3) for _ in range(20)}) > 1


def test_old_messages_are_forgotten_and_what_waits_is_not(mail: MailServer) -> None:
    person = ann()
    tell("build.failed", SAID, people=[person])
    work()
    Delivery.objects.update(finished_at=timezone.now() - timedelta(days=31))
    tell("build.failed", SAID, people=[person])
    assert retention.forget_old() == 1
    assert states() == ["queued"]


def test_no_secret_shows_in_rows_errors_audit_or_log(
    hook: Callable[..., Channel], receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.judge = lambda post: Reply(500, post.body + f" {HOOK_SECRET} {receiver.url}/path-key-1f77".encode())
    channel = hook("path-key-1f77", project="a", name="hook")
    tell("build.failed", SAID, project="a")
    channels.send_test(actor=SYSTEM, channel=channel)
    work()
    channels.change(actor=SYSTEM, channel=channel, heard=[])
    dump = repr([*Delivery.objects.values(), *AuditEntry.objects.values(), *Circuit.objects.values()]) + caplog.text
    with connection.cursor() as cursor:
        cursor.execute("SELECT config, secrets, shown FROM notifications_channel")
        dump += repr(cursor.fetchall())
    assert HOOK_SECRET not in dump
    assert "path-key-1f77" not in dump
    assert receiver.posts
