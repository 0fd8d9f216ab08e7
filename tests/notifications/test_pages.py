"""The pages and the API of who is told: a person's own, a project's for its maintainers, and what they never show."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.notifications import channels
from fangduoduo_release.notifications.models import Channel, Delivery, Preference
from tests import world
from tests.simulators.mailserver import MailServer
from tests.simulators.receiver import Receiver, Reply

from .conftest import HOOK_SECRET, ann, work

pytestmark = pytest.mark.django_db
ME = "/me/notifications/"
CHECKED = re.compile(r'name="mail" value="([a-z.]+)" checked')
ROBOT = "https://open.feishu.cn/open-apis/bot/v2/hook/key-4f1b77"


def browser(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def person() -> Any:
    return ann()


@pytest.fixture
def me(person: Any) -> Client:
    return browser(person)


def text(answer: Any) -> str:
    return answer.content.decode()  # type: ignore[no-any-return]


# -- a person's own ---------------------------------------------------------------------------------------------------


def test_the_page_teaches_what_to_do_when_there_is_nothing(me: Client) -> None:
    page = text(me.get(ME))
    assert "No channel yet" in page
    assert "no mail server" in page
    assert "Nothing was sent yet" in page


def test_events_by_mail_are_on_until_they_are_switched_off(me: Client, person: Any, mail: MailServer) -> None:
    page = text(me.get(ME))
    assert page.count('name="mail"') == len(CHECKED.findall(page)) > 5
    me.post(ME, {"form": "choices", "language": "zh-hans", "shown": ["mail"], "mail": ["build.failed"]})
    choice = Preference.objects.get(user=person)
    assert choice.language == "zh-hans"
    assert "build.failed" not in choice.not_by_mail
    assert "deployment.finished" in choice.not_by_mail
    assert CHECKED.findall(text(me.get(ME))) == ["build.failed"]


def test_saving_a_page_without_mail_boxes_switches_no_mail_off(me: Client, person: Any) -> None:
    me.post(ME, {"form": "choices", "language": ""})
    assert Preference.objects.get(user=person).not_by_mail == []


def test_a_robot_is_added_and_its_key_never_shown(me: Client, person: Any) -> None:
    answer = me.post(
        ME, {"form": "add", "kind": "feishu", "name": "my group", "address": ROBOT, "secret": HOOK_SECRET}, follow=True
    )
    page = text(answer)
    assert "my group" in page
    assert "https://open.feishu.cn/…" in page
    assert "key-4f1b77" not in page
    assert HOOK_SECRET not in page
    channel = Channel.objects.get(user=person)
    assert channel.secrets == {"url": ROBOT, "secret": HOOK_SECRET}
    assert "key-4f1b77" not in repr(list(AuditEntry.objects.values()))


def test_a_webhooks_new_secret_is_shown_once(me: Client, person: Any) -> None:
    answer = me.post(ME, {"form": "add", "kind": "webhook", "name": "ci", "address": "https://hooks.example.org/x"})
    made = Channel.objects.get(user=person).secrets["secret"]
    assert answer.status_code == 200
    assert made in text(answer)
    assert made not in text(me.get(ME))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"address": "https://169.254.169.254/x"}, "must not be reached"),
        ({"address": "ftp://x/"}, "must begin with https"),
        ({"address": ""}, "required"),
        ({"name": ""}, "required"),
        ({"kind": "email", "address": "victim@example.org"}, "valid choice"),
        ({"kind": "pigeon"}, "valid choice"),
        ({"secret": "short"}, "signing secret has"),
    ],
)
def test_what_cannot_work_is_said_at_its_field(me: Client, change: dict[str, str], says: str) -> None:
    good = {"form": "add", "kind": "webhook", "name": "ci", "address": "https://hooks.example.org/x"}
    answer = me.post(ME, {**good, **change})
    assert answer.status_code == 422
    assert says in text(answer)
    assert not Channel.objects.exists()


def test_channels_are_chosen_and_switched_off_in_the_table(
    me: Client, person: Any, hook: Callable[..., Channel]
) -> None:
    first, second = hook("a", user=person), hook("b", user=person)
    boxes = {"shown": [f"c{first.pk}", f"c{second.pk}"], f"c{first.pk}": ["security"], "on": [f"c{first.pk}"]}
    me.post(ME, {"form": "choices", **boxes})
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.events, first.enabled) == (["security"], True)
    assert (second.events, second.enabled) == ([], False)


def test_a_channel_made_in_another_tab_is_left_as_it_is(me: Client, person: Any, hook: Callable[..., Channel]) -> None:
    channel = hook("a", user=person)
    me.post(ME, {"form": "choices"})
    before = list(channel.events)
    channel.refresh_from_db()
    assert (channel.events, channel.enabled) == (before, True)


def test_a_test_goes_the_way_of_every_message_and_its_end_is_seen(
    me: Client, person: Any, hook: Callable[..., Channel], receiver: Receiver
) -> None:
    channel = hook("a", user=person)
    page = text(me.post(ME, {"form": "test", "channel": channel.pk}, follow=True))
    assert 'hx-trigger="every 2s"' in page
    assert 'data-delivery="queued"' in page
    work()
    part = text(me.get(ME, {"part": "deliveries"}))
    assert 'data-delivery="sent"' in part
    assert "hx-trigger" not in part
    assert receiver.posts[0].json["event"] == "test"


def test_a_test_that_fails_says_why(me: Client, person: Any, hook: Callable[..., Channel], receiver: Receiver) -> None:
    receiver.reply = Reply(404, b"<b>no such hook</b>")
    channel = hook("a", user=person)
    me.post(ME, {"form": "test", "channel": channel.pk})
    work()
    part = text(me.get(ME, {"part": "deliveries"}))
    assert 'data-delivery="failed"' in part
    assert "refused it (status 404)" in part
    assert "&lt;b&gt;no such hook&lt;/b&gt;" in part


def test_a_test_to_ones_own_address(me: Client, mail: MailServer) -> None:
    me.post(ME, {"form": "test", "channel": "mail"})
    work()
    assert [letter["To"] for letter in mail.letters] == ["ann@example.org"]


@pytest.mark.parametrize("form", ["test", "remove"])
@pytest.mark.parametrize("number", ["", "x", "²", "999999", "1" * 40, "-1"])
def test_a_channel_nobody_has_is_not_found(me: Client, form: str, number: str) -> None:
    assert me.post(ME, {"form": form, "channel": number}).status_code == 404


def test_somebody_elses_channel_is_out_of_reach(me: Client, hook: Callable[..., Channel]) -> None:
    theirs = hook("theirs", user=world.person("bob"))
    ops = hook("ops")
    for channel in (theirs, ops):
        for form in ("test", "remove"):
            assert me.post(ME, {"form": form, "channel": channel.pk}).status_code == 404
        boxes = {"shown": [f"c{channel.pk}"]}
        me.post(ME, {"form": "choices", **boxes})
        channel.refresh_from_db()
        assert channel.enabled
        assert me.patch(f"/api/me/channels/{channel.pk}/", {}, "application/json").status_code == 404
        assert me.delete(f"/api/me/channels/{channel.pk}/").status_code == 404
        assert me.post(f"/api/me/channels/{channel.pk}/test/").status_code == 404
    assert "theirs" not in text(me.get(ME))


def test_removing_takes_it_away(me: Client, person: Any, hook: Callable[..., Channel]) -> None:
    channel = hook("a", user=person)
    me.post(ME, {"form": "remove", "channel": channel.pk})
    assert not Channel.objects.exists()
    assert AuditEntry.objects.filter(verb="channel.delete").exists()


def test_a_form_nobody_knows_is_refused(me: Client) -> None:
    assert me.post(ME, {"form": "explode"}).status_code == 422


def test_the_page_costs_the_same_with_many_rows(
    me: Client, person: Any, hook: Callable[..., Channel], django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        channel = hook(f"h{number}", user=person)
        channels.send_test(actor=person, channel=channel)
    me.get(ME)  # the session is written down once
    with django_assert_max_num_queries(8):
        me.get(ME)


# -- a project's ------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(person: Any) -> Any:
    return world.project(person, "shop")


def test_maintainers_say_who_is_told_and_others_do_not(shop: Any, hook: Callable[..., Channel]) -> None:
    channel = hook("group", project="shop")
    page = reverse("project-channels", args=["shop"])
    maintainer = browser(world.member(shop, "maintainer"))
    assert "group" in text(maintainer.get(page))
    assert 'id="told"' in text(maintainer.get(reverse("project-settings", args=["shop"])))
    developer, stranger = browser(world.member(shop, "developer")), browser(world.person("zoe"))
    for form in ("choices", "add", "remove", "test"):
        given = {"form": form, "channel": channel.pk, "kind": "webhook", "name": "x", "address": "https://x.example/"}
        assert developer.post(page, given).status_code == 403
        assert stranger.post(page, given).status_code == 404
    refusal = developer.get(page)
    assert refusal.status_code == 403
    assert "maintainer" in text(refusal)
    assert Channel.objects.count() == 1
    assert not Delivery.objects.exists()


def test_a_maintainer_adds_chooses_tests_and_removes(shop: Any, me: Client, receiver: Receiver) -> None:
    page = reverse("project-channels", args=["shop"])
    given = {
        "kind": "dingtalk",
        "name": "group",
        "address": f"{receiver.url}/robot/send?access_token=k",
        "language": "",
    }
    me.post(page, {"form": "add", **given})
    channel = Channel.objects.get(project="shop")
    assert "build.failed" in channel.events
    me.post(page, {"form": "choices", "shown": [f"c{channel.pk}"], f"c{channel.pk}": ["grant.expired"], "on": []})
    channel.refresh_from_db()
    assert (channel.events, channel.enabled) == (["grant.expired"], False)
    receiver.reply = Reply(200, b'{"errcode": 0}')
    me.post(page, {"form": "test", "channel": channel.pk})
    work()
    assert 'data-delivery="sent"' in text(me.get(page, {"part": "deliveries"}))
    me.post(page, {"form": "remove", "channel": channel.pk})
    assert not Channel.objects.exists()


def test_a_mailing_list_may_be_told_about_a_project(shop: Any, me: Client, mail: MailServer) -> None:
    page = reverse("project-channels", args=["shop"])
    given = {"kind": "email", "name": "list", "address": "team@example.org; ops@example.org", "language": "zh-hans"}
    me.post(page, {"form": "add", **given})
    channel = Channel.objects.get(project="shop")
    assert channel.config == {"to": ["team@example.org", "ops@example.org"]}
    me.post(page, {"form": "test", "channel": channel.pk})
    work()
    assert mail.letters[0]["To"] == "team@example.org, ops@example.org"


def test_another_projects_channel_is_out_of_reach(shop: Any, me: Client, hook: Callable[..., Channel]) -> None:
    world.project(world.person("bob"), "web")
    theirs = hook("theirs", project="web")
    page = reverse("project-channels", args=["shop"])
    for form in ("test", "remove"):
        assert me.post(page, {"form": form, "channel": theirs.pk}).status_code == 404
    assert me.delete(f"/api/projects/shop/channels/{theirs.pk}/").status_code == 404
    assert me.delete(f"/api/projects/web/channels/{theirs.pk}/").status_code == 404


# -- API --------------------------------------------------------------------------------------------------------------


def test_the_whole_way_by_api(me: Client, receiver: Receiver) -> None:
    given = {"kind": "webhook", "name": "ci", "address": f"{receiver.url}/hook-key-99", "events": ["build.failed"]}
    made = me.post("/api/me/channels/", given, "application/json").json()
    assert len(made["secret"]) >= 32
    assert made["events"] == ["build.failed"]
    (listed,) = me.get("/api/me/channels/").json()["results"]
    assert listed["secret"] == ""
    assert "hook-key-99" not in str(listed)
    where = f"/api/me/channels/{made['id']}/"
    changed = me.patch(where, {"enabled": False, "events": [], "name": "other"}, "application/json").json()
    assert (changed["enabled"], changed["events"], changed["name"]) == (False, [], "other")
    assert me.post(f"{where}test/").status_code == 202
    assert me.post(f"{where}test/").status_code == 409
    work()
    (sent,) = me.get("/api/me/deliveries/").json()["results"]
    assert (sent["state"], sent["reason"]) == ("sent", "")
    assert sent["key"] == receiver.posts[0].headers["X-FDD-Delivery"]
    assert me.delete(where).status_code == 204


def test_choices_by_api(me: Client, person: Any) -> None:
    answer = me.patch("/api/me/notifications/", {"language": "zh-hans", "by_mail": ["security"]}, "application/json")
    assert answer.json()["by_mail"] == ["security"]
    assert me.get("/api/me/notifications/").json()["language"] == "zh-hans"
    assert me.patch("/api/me/notifications/", {"language": "tlh"}, "application/json").status_code == 422


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "pigeon"},
        {"events": ["nothing"]},
        {"address": "https://169.254.169.254/"},
        {"name": ""},
        {"kind": "email"},
    ],
)
def test_what_cannot_work_is_refused_by_api(me: Client, change: dict[str, Any]) -> None:
    good = {"kind": "webhook", "name": "ci", "address": "https://hooks.example.org/x"}
    answer = me.post("/api/me/channels/", {**good, **change}, "application/json")
    assert answer.status_code in {400, 404, 422}
    assert answer["Content-Type"] == "application/problem+json"


# -- ops --------------------------------------------------------------------------------------------------------------


def test_ops_make_change_test_and_delete_their_own_in_the_admin(receiver: Receiver) -> None:
    ops = browser(world.ops())
    where = "/admin/notifications/channel/"
    given = {"kind": "webhook", "name": "alarm", "address": f"{receiver.url}/admin-key-3", "secret": HOOK_SECRET}
    assert ops.post(f"{where}add/", {**given, "events": ["security"], "language": ""}).status_code == 302
    channel = Channel.objects.get()
    assert (channel.audience, channel.events) == ("ops", ["security"])
    one = f"{where}{channel.pk}/change/"
    page = text(ops.get(one))
    assert "admin-key-3" not in page
    assert HOOK_SECRET not in page
    assert (
        ops.post(one, {"name": "bell", "events": ["build.failed"], "language": "", "enabled": "on"}).status_code == 302
    )
    channel.refresh_from_db()
    assert (channel.name, channel.events, channel.enabled) == ("bell", ["build.failed"], True)
    ops.post(where, {"action": "send_test", "_selected_action": [channel.pk]})
    work()
    assert len(receiver.posts) == 1
    ops.post(where, {"action": "switch_off", "_selected_action": [channel.pk]})
    channel.refresh_from_db()
    assert not channel.enabled
    ops.post(f"{where}{channel.pk}/delete/", {"post": "yes"})
    assert not Channel.objects.exists()


@pytest.mark.parametrize("change", [{"address": "https://169.254.169.254/"}, {"secret": ""}, {"secret": "short"}])
def test_ops_are_told_what_cannot_work(change: dict[str, str]) -> None:
    good = {"kind": "webhook", "name": "x", "address": "https://hooks.example.org/", "secret": HOOK_SECRET}
    answer = browser(world.ops()).post("/admin/notifications/channel/add/", {**good, "language": "", **change})
    assert answer.status_code == 200
    assert "errorlist" in text(answer)
    assert not Channel.objects.exists()


def test_ops_see_channels_of_others_and_leave_them_alone(person: Any, hook: Callable[..., Channel]) -> None:
    ops = browser(world.ops())
    channel = hook("mine", user=person)
    one = f"/admin/notifications/channel/{channel.pk}/change/"
    assert "mine" in text(ops.get(one))
    assert ops.post(one, {"name": "taken"}).status_code == 403
    assert ops.post(f"/admin/notifications/channel/{channel.pk}/delete/", {"post": "yes"}).status_code == 403
    channel.refresh_from_db()
    assert channel.name == "mine"


def test_ops_try_a_failed_message_again(mail: MailServer, person: Any) -> None:
    mail.handler.refuses["ann@example.org"] = "550 no"
    row = channels.send_test(actor=person)
    work()
    mail.handler.refuses.clear()
    browser(world.ops()).post("/admin/notifications/delivery/", {"action": "try_again", "_selected_action": [row.pk]})
    work()
    assert Delivery.objects.get().state == "sent"
    assert AuditEntry.objects.filter(verb="delivery.try_again").exists()
