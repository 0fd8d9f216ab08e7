"""Who is told what: people and their choices, projects, ops; once; and at what cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ

from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Conflict, Invalid
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications import channels, events
from fangduoduo_release.notifications.models import Channel, Delivery
from fangduoduo_release.notifications.outbox import tell
from tests import world
from tests.simulators.mailserver import MailServer

from .conftest import ann, states

pytestmark = pytest.mark.django_db
SENTENCE = S("Build #%(number)s of %(project)s failed: %(subject)s (%(branch)s).", number=7, project="shop")


def told() -> list[str]:
    return sorted(str(row.channel.name if row.channel else row.user.email) for row in Delivery.objects.all())


def test_whoever_has_an_address_is_told_by_mail_without_asking(mail: MailServer) -> None:
    tell("build.failed", SENTENCE, people=[ann(), world.person("bob")], link="/builds/7/")
    assert told() == ["ann@example.org"]
    row = Delivery.objects.get()
    assert (row.state, row.route, row.link, row.sentence["params"]["number"]) == ("queued", "mail", "/builds/7/", 7)


def test_without_a_mail_server_nobody_is_told_by_mail() -> None:
    tell("build.failed", SENTENCE, people=[ann()])
    assert told() == []


def test_whoever_does_not_want_an_event_by_mail_is_not_told_of_it(mail: MailServer) -> None:
    person = ann()
    channels.choose(actor=person, by_mail=["request.decided"])
    tell("build.failed", SENTENCE, people=[person])
    assert told() == []
    tell("request.decided", SENTENCE, people=[person])
    assert told() == ["ann@example.org"]


def test_system_the_inactive_and_the_repeated_are_left_out(mail: MailServer) -> None:
    gone = ann(is_active=False)
    zoe = world.person("zoe", email="zoe@example.org")
    tell("security", SENTENCE, people=[SYSTEM, gone, zoe, zoe])
    assert told() == ["zoe@example.org"]


def test_channels_hear_what_they_chose_of_what_concerns_them(hook: Callable[..., Channel]) -> None:
    person, other = ann(), world.person("other")
    hook("mine", user=person)
    hook("deaf", user=person, heard=["security"])
    hook("others", user=other)
    hook("shop", project="shop")
    hook("web", project="web")
    hook("ops-all", heard=["build.failed"])
    hook("ops-default")
    tell("build.failed", SENTENCE, people=[person], project="shop")
    assert told() == ["mine", "ops-all", "shop"]


def test_a_channel_that_is_switched_off_hears_nothing(hook: Callable[..., Channel]) -> None:
    channel = hook("shop", project="shop")
    channels.change(actor=SYSTEM, channel=channel, enabled=False)
    tell("build.failed", SENTENCE, project="shop")
    assert told() == []


def test_ops_hear_of_emergencies_by_default_and_of_builds_when_they_like(hook: Callable[..., Channel]) -> None:
    hook("ops")
    tell("build.failed", SENTENCE, project="shop")
    tell("emergency.opened", SENTENCE, project="shop")
    assert list(Delivery.objects.values_list("event", flat=True)) == ["emergency.opened"]


def test_the_same_is_told_once_to_each_channel(mail: MailServer, hook: Callable[..., Channel]) -> None:
    person = ann()
    hook("mine", user=person)
    for _ in range(3):
        tell("build.failed", SENTENCE, people=[person], once="build:7:failed")
    assert told() == ["ann@example.org", "mine"]
    tell("build.failed", SENTENCE, people=[person], once="build:8:failed")
    tell("build.failed", SENTENCE, people=[person])
    tell("build.failed", SENTENCE, people=[person])
    assert len(told()) == 8


def test_somebody_who_comes_later_is_still_told_once(mail: MailServer) -> None:
    first, second = ann(), world.person("bob", email="bob@example.org")
    tell("request.waiting", SENTENCE, people=[first], once="request:1")
    tell("request.waiting", SENTENCE, people=[first, second], once="request:1")
    assert told() == ["ann@example.org", "bob@example.org"]


def test_a_very_long_once_still_is_one_key(mail: MailServer) -> None:
    person = ann()
    for end in ("a", "a", "b"):
        tell("security", SENTENCE, people=[person], once="x" * 300 + end)
    assert len(told()) == 2


def test_nothing_is_told_of_what_did_not_happen(mail: MailServer) -> None:
    person = ann()
    with transaction.atomic():
        tell("build.failed", SENTENCE, people=[person])
        transaction.set_rollback(True)
    assert told() == []


def test_an_event_nobody_described_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        tell("build.exploded", SENTENCE)


@pytest.mark.parametrize("link", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_a_link_is_a_path_of_the_portal(mail: MailServer, link: str) -> None:
    tell("security", SENTENCE, people=[ann()], link=link)
    assert Delivery.objects.get().link == ""


def test_text_no_database_takes_is_mended(mail: MailServer) -> None:
    tell("security", S("%(what)s", what="a\x00b\ud800"), people=[ann()])
    assert Delivery.objects.get().sentence["params"]["what"] == "a\ufffdb\ufffd"


@pytest.mark.parametrize("people", [1, 40])
def test_telling_many_costs_as_little_as_telling_one(
    people: int, mail: MailServer, hook: Callable[..., Channel], django_capture_on_commit_callbacks: Any
) -> None:
    crowd = [world.person(f"p{n}", email=f"p{n}@example.org") for n in range(people)]
    hook("shop", project="shop")
    with (
        CaptureQueriesContext(
            connection,
        ) as asked,
        django_capture_on_commit_callbacks(),
    ):
        tell("build.failed", SENTENCE, people=crowd, project="shop", once="one")
    assert len(asked) <= 4, [query["sql"][:80] for query in asked]
    assert len(told()) == people + 1


def test_the_bell_rings_once_for_each_route(
    mail: MailServer, hook: Callable[..., Channel], django_capture_on_commit_callbacks: Any
) -> None:
    hook("shop", project="shop")
    crowd = [world.person(f"p{n}", email=f"p{n}@example.org") for n in range(9)]
    with django_capture_on_commit_callbacks(execute=True):
        tell("build.failed", SENTENCE, people=crowd, project="shop")
    assert OrmQ.objects.count() == 2


# -- channels ---------------------------------------------------------------------------------------------------------


def test_a_webhook_without_a_secret_gets_one_that_is_shown_once() -> None:
    channel, made = channels.add(actor=SYSTEM, kind="webhook", name="ci", address="https://hooks.example.org/k/x")
    assert len(made) >= 32
    assert channel.secrets["secret"] == made
    assert channel.shown == "https://hooks.example.org/…"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"), ({"name": "x" * 81}, "name"), ({"language": "tlh"}, "language"),
        ({"heard": ["nothing"]}, "events"), ({"heard": ["security"], "project": "shop"}, "events"),
        ({"address": "nowhere"}, "address"), ({"address": "https://169.254.169.254/"}, ""), ({"kind": "pigeon"}, ""),
        ({"kind": "email", "address": "nobody"}, "address"), ({"kind": "email", "address": ""}, "address"),
        ({"secret": "short"}, "secret"), ({"address": "https://hooks.example.org/\x00"}, ""),
    ],
)  # fmt: skip
def test_a_channel_that_could_not_work_is_refused(change: dict[str, Any], field: str) -> None:
    good = {"kind": "webhook", "name": "ci", "address": "https://hooks.example.org/x"}
    with pytest.raises(Invalid) as raised:
        channels.add(actor=SYSTEM, **{**good, **change})
    assert not field or field in raised.value.fields
    assert not Channel.objects.exists()


def test_there_is_an_end_to_channels(hook: Callable[..., Channel]) -> None:
    for number in range(channels.MAX_CHANNELS):
        hook(f"h{number}", project="shop")
    with pytest.raises(Invalid):
        hook("one too many", project="shop")
    hook("another", project="web")


def test_a_removed_channel_takes_what_waits_for_it_along(hook: Callable[..., Channel]) -> None:
    channel = hook("shop", project="shop")
    tell("build.failed", SENTENCE, project="shop")
    channels.remove(actor=SYSTEM, channel=channel)
    assert states() == []


def test_one_test_at_a_time(hook: Callable[..., Channel], mail: MailServer) -> None:
    channel, person = hook("shop", project="shop"), ann()
    channels.send_test(actor=person, channel=channel)
    with pytest.raises(Conflict):
        channels.send_test(actor=person, channel=channel)
    channels.send_test(actor=person)
    with pytest.raises(Conflict):
        channels.send_test(actor=person)


def test_a_test_by_mail_needs_an_address(mail: MailServer) -> None:
    with pytest.raises(Invalid):
        channels.send_test(actor=world.person("nomail"))


def test_every_event_is_heard_by_somebody_and_has_a_name() -> None:
    for name, kind in events.EVENTS.items():
        assert name == kind.name
        assert kind.by_default <= kind.hears
        assert kind.hears
        assert str(events.label_of(name)) != name
    assert events.label_of("gone.event") == "gone.event"
