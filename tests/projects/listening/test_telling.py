"""A server that nobody listens to is told: on its projects' pages, to ops, in the numbers; once per outage as a message."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fangduoduo_release.common.models import Connection, InboxItem
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications.models import Channel, Delivery
from permissions.models import User
from projects import listening, pushes
from projects.models import Project, SourceListener
from projects.watching import compare_tips
from tests import world

pytestmark = pytest.mark.django_db
State = SourceListener.State
CONFIG = {
    "url": "http://127.0.0.1:9/",
    "username": "portal",
    "ssh_host": "127.0.0.1",
    "ssh_port": 9,
    "known_hosts": "x",
}
REASON = S("“%(name)s” sleeps.", name="gerrit")


def long_ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


def connection_of(name: str = "gerrit", **config: Any) -> Connection:
    made = Connection.objects.create(name=name, kind="gerrit", config={**CONFIG, **config}, secrets={})
    Connection.objects.filter(pk=made.pk).update(created_at=long_ago(3600), changed_at=long_ago(3600))
    return Connection.objects.get(pk=made.pk)


def listener(connection: Connection, state: str = State.LISTENING, **facts: Any) -> SourceListener:
    values = {"state": state, "seen_at": timezone.now(), "connected_at": long_ago(500), **facts}
    if state != State.LISTENING:
        values = {"down_since": long_ago(200), "trouble": REASON.as_json(), **values}
    found, _ = SourceListener.objects.update_or_create(connection=connection, defaults=values)
    return found


def project_on(connection: Connection, slug: str = "shop") -> Project:
    project = world.project(slug=slug)
    Project.objects.filter(pk=project.pk).update(
        source_kind="gerrit", source_connection=connection, repository="team/app", polled_at=timezone.now()
    )
    return Project.objects.get(pk=project.pk)


def said(connection: Connection) -> str:
    return str(listening.trouble_of(Connection.objects.select_related("listener").get(pk=connection.pk)) or "")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


# -- what is down -----------------------------------------------------------------------------------------------------


def test_a_connection_that_gets_its_ssh_host_later_is_given_time_to_be_listened_to() -> None:
    """Also one that was listened to long ago: what ailed it then ails it no more."""
    connection = connection_of(ssh_host="")
    listener(connection, State.DOWN, seen_at=long_ago(1000))
    assert said(connection) == ""
    connection.config = {**connection.config, "ssh_host": "127.0.0.1"}
    connection.save()
    assert said(connection) == ""
    assert listening.alarms() == []
    assert not listening.silent(listening.ALARM_S).exists()
    Connection.objects.filter(pk=connection.pk).update(changed_at=long_ago(61))
    assert "not running" in said(connection)
    assert len(listening.alarms()) == 1


def test_a_listener_that_hears_is_no_alarm() -> None:
    connection = connection_of()
    listener(connection)
    assert said(connection) == ""
    assert listening.alarms() == []


@pytest.mark.parametrize("config", [{"ssh_host": ""}, {"ssh_host": None}])
def test_a_connection_that_is_not_to_be_listened_to_is_no_alarm(config: dict[str, Any]) -> None:
    connection = connection_of(**config)
    assert said(connection) == ""
    assert listening.listened() == []
    assert listening.alarms() == []


def test_a_listener_that_gives_no_sign_of_life_counts_as_down_whatever_it_last_said() -> None:
    connection = connection_of()
    listener(connection, seen_at=long_ago(40))
    assert "watch is not running" in said(connection)
    assert listening.alarms() == []
    listener(connection, seen_at=long_ago(70))
    (alarm,) = listening.alarms()
    assert (alarm.connection, "watch is not running" in str(alarm.sentence)) == (connection, True)


def test_a_connection_nobody_ever_listened_to_is_an_alarm_after_a_minute() -> None:
    connection = connection_of()
    (alarm,) = listening.alarms()
    assert alarm.since == connection.changed_at
    Connection.objects.filter(pk=connection.pk).update(changed_at=timezone.now())
    assert listening.alarms() == []
    assert said(connection) == ""


def test_a_short_outage_is_told_on_pages_but_is_no_alarm_yet() -> None:
    connection = connection_of()
    listener(connection, State.DOWN, down_since=long_ago(20))
    assert "sleeps" in said(connection)
    assert listening.alarms() == []
    listener(connection, State.CONNECTING, down_since=long_ago(61))
    assert [str(alarm.sentence) for alarm in listening.alarms()] == [str(REASON)]


@pytest.mark.parametrize(("skew", "word"), [(45, "ahead"), (-45, "behind"), (20, ""), (None, "")])
def test_a_clock_is_told_when_it_is_far_off(skew: float | None, word: str) -> None:
    connection = connection_of()
    listener(connection, skew_s=skew)
    assert (word in said(connection)) if word else said(connection) == ""


# -- pages ------------------------------------------------------------------------------------------------------------


def test_a_projects_pages_say_why_its_server_is_not_heard_and_ask_nothing_more_for_it() -> None:
    connection = connection_of()
    project = project_on(connection)
    listener(connection)
    client = signed_in(world.ops())
    client.get("/projects/shop/settings/")
    with CaptureQueriesContext(
        database,
    ) as well:
        answer = client.get("/projects/shop/settings/")
    assert "sleeps" not in answer.content.decode()
    listener(connection, State.DOWN)
    with CaptureQueriesContext(database) as ailing:
        answer = client.get("/projects/shop/settings/")
    assert answer.status_code == 200
    assert "sleeps" in answer.content.decode()
    assert len(ailing) == len(well)
    assert project.slug == "shop"


def test_a_remark_about_a_server_that_is_heard_is_for_ops_only() -> None:
    connection = connection_of()
    project_on(connection)
    listener(connection, trouble=REASON.as_json())
    client = signed_in(world.ops())
    assert "sleeps" not in client.get("/projects/shop/settings/").content.decode()
    for where in (f"/admin/common/connection/{connection.pk}/change/", "/admin/projects/sourcelistener/"):
        page = client.get(where).content.decode()
        assert "sleeps" in page, where
        assert "✓ listening" in page, where
    listener(connection, trouble=REASON.as_json(), seen_at=long_ago(40))
    assert "Nobody listens" in client.get("/projects/shop/settings/").content.decode()
    assert "✗ not listening" in client.get("/admin/projects/sourcelistener/").content.decode()


def test_ops_see_the_alarm_on_their_home_page_and_on_the_start_page_of_the_admin() -> None:
    connection = connection_of()
    client = signed_in(world.ops())
    listener(connection)
    client.get("/")
    with CaptureQueriesContext(database) as well:
        quiet = client.get("/").content.decode()
    listener(connection, State.DOWN)
    with CaptureQueriesContext(database) as ailing:
        loud = client.get("/").content.decode()
    assert len(ailing) == len(well)
    assert "Nobody listens to" not in quiet
    assert "Nobody listens to 1 server" in loud
    assert f"/admin/common/connection/{connection.pk}/change/" in loud
    start = client.get("/admin/").content.decode()
    assert "data-silent" in start
    assert "sleeps" in start


def test_others_are_not_bothered_with_it() -> None:
    listener(connection_of(), State.DOWN)
    assert "Nobody listens" not in signed_in(world.person()).get("/").content.decode()


def test_the_numbers_count_silent_servers() -> None:
    first, second = connection_of(), connection_of("other")
    listener(first)
    listener(second, State.DOWN)
    assert "fdd_source_listeners_down 1\n" in Client().get("/metrics").content.decode()


# -- messages ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def channel() -> Channel:
    return Channel.objects.create(
        name="ops room", kind="webhook", config={"url": "http://127.0.0.1:9/"}, events=["source.down", "source.back"]
    )


def told() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("event", flat=True))


def test_ops_are_told_once_of_an_outage_and_once_that_it_is_over(channel: Channel) -> None:
    connection = connection_of()
    listener(connection, State.DOWN, down_since=long_ago(70))
    assert listening.tell_ops() == 0
    listener(connection, State.DOWN, down_since=long_ago(130))
    assert [listening.tell_ops() for _ in range(3)] == [1, 0, 0]
    assert told() == ["source.down"]
    sentence = Delivery.objects.get().sentence
    assert sentence["params"]["name"] == "gerrit"
    assert "sleeps" in sentence["params"]["reason"]
    listener(connection, down_since=None, trouble=None)
    assert [listening.tell_ops() for _ in range(3)] == [1, 0, 0]
    assert told() == ["source.down", "source.back"]
    listener(connection, State.DOWN, down_since=long_ago(130))
    listening.tell_ops()
    assert told() == ["source.down", "source.back", "source.down"]


def test_ops_are_told_of_a_server_nobody_ever_listened_to(channel: Channel) -> None:
    connection_of()
    assert [listening.tell_ops() for _ in range(2)] == [1, 0]
    assert told() == ["source.down"]


def test_a_dead_server_costs_one_question_a_round_however_many_projects_live_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    dead = connection_of(ssh_host="", known_hosts="")
    dead.secrets = {"password": "secret"}
    dead.save()
    for number in range(3):
        project_on(dead, f"dead-{number}")
    here = world.project(slug="here", starter="blank")
    Project.objects.update(polled_at=long_ago(3600))
    Project.objects.filter(pk=here.pk).update(polled_at=long_ago(3000))
    compare_tips()
    asked = [line.getMessage() for line in caplog.records if "cannot compare" in line.getMessage()]
    assert [line.partition(":")[0][:-1] for line in asked] == ["cannot compare the tips of dead-"]  # whichever it was
    assert not Project.objects.filter(polled_at__lt=long_ago(60)).exists()


# -- how soon ---------------------------------------------------------------------------------------------------------


def test_latency_is_that_of_the_newest_pushes_of_the_connection() -> None:
    connection = connection_of()
    project, other = project_on(connection), world.project()
    at = timezone.now()
    listener(connection, last_event_at=at)
    for number, ms in enumerate([*range(1, 101)]):
        InboxItem.objects.create(
            kind="push", dedupe_key=f"a{number}", topic=pushes.topic_of(project), result={"latency_ms": ms}
        )
    InboxItem.objects.create(kind="push", dedupe_key="b", topic=pushes.topic_of(other), result={"latency_ms": 9999})
    InboxItem.objects.create(kind="push", dedupe_key="c", topic=pushes.topic_of(project), result={"build": None})
    InboxItem.objects.create(kind="push", dedupe_key="d", topic=pushes.topic_of(project))
    found = listening.latency(connection)
    assert (found.p50_ms, found.p95_ms, found.n, found.last_event_at) == (50, 95, 100, at)
    assert listening.latency(connection_of("empty")) == listening.Latency(None, None, 0, None)


# -- how often tips are compared --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "seen", "polled", "looked"),
    [
        (State.LISTENING, 1, 40, False),
        (State.LISTENING, 1, 200, True),
        (State.LISTENING, 40, 40, True),
        (State.DOWN, 1, 40, True),
        (State.DOWN, 1, 5, False),
        (None, 0, 40, True),
    ],
)
def test_tips_are_compared_seldom_where_somebody_listens_and_often_where_nobody_does(
    state: str | None, seen: float, polled: float, looked: bool
) -> None:
    connection = connection_of()
    project = project_on(connection)
    if state:
        listener(connection, state, seen_at=long_ago(seen))
    before = long_ago(polled)
    Project.objects.filter(pk=project.pk).update(polled_at=before)
    compare_tips()
    project.refresh_from_db()
    assert (project.polled_at > before) is looked
