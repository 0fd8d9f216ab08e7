"""Servers with repositories at the ops screen: connected by fields, host keys pinned by somebody who compared them, how the
listening goes, and messages to reviewers that were not sent."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from builds import review_actions
from builds.models import Review
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common import runs
from fangduoduo_release.common.errors import Conflict, Denied, Invalid
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from permissions.models import User
from projects import listening, source_actions
from projects.models import HookDelivery, Project, SourceListener
from tests import world
from tests.simulators.gerrit.fixtures import gerrit_rig
from tests.simulators.gerrit_rig import Rig

__all__ = ["gerrit_rig"]
pytestmark = pytest.mark.django_db
ADD = "/admin/common/connection/add/"
AWAY = S("“%(host)s” does not answer.", host="review")


def change(connection: Connection) -> str:
    return reverse("admin:common_connection_change", args=[connection.pk])


def host_key(connection: Connection) -> str:
    return reverse("admin:common_connection_host_key", args=[connection.pk])


def html(answer: Any) -> str:
    return str(answer.content.decode())


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def form(rig: Rig, **more: Any) -> dict[str, Any]:
    config, secrets = rig.connection_facts()
    return {"kind": "gerrit", "name": "review", **config, **secrets, **more}


@pytest.fixture
def deaf(gerrit_rig: Rig) -> Connection:
    """A connection that is not listened to yet, with the key to listen with."""
    config, secrets = gerrit_rig.connection_facts(ssh=False)
    secrets["ssh_key"] = gerrit_rig.user_key
    return Connection.objects.create(name="review", kind="gerrit", config=config, secrets=secrets)


@pytest.fixture
def ann() -> User:
    return world.ops("ann")


class TestTheForm:
    def test_a_gerrit_is_connected_by_fields_and_tried(self, ops: Client, gerrit_rig: Rig) -> None:
        answer = ops.post(ADD, form(gerrit_rig), follow=True)
        connection = Connection.objects.get()
        assert connection.config["ssh_port"] == gerrit_rig.ssh_port
        assert connection.secrets["ssh_key"].strip() == gerrit_rig.user_key.strip()
        assert connection.secrets["webhook_secret"] == "a-webhook-secret"
        assert "answers over HTTP and SSH" in said(answer)
        page = html(ops.get(change(connection)))
        for secret in (gerrit_rig.password, gerrit_rig.user_key.splitlines()[1], "a-webhook-secret"):
            assert secret not in page
        assert "/hooks/gerrit/review/" in page
        assert f'href="{host_key(connection)}"' in page

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *(("url", "ftp://x"), ("username", ""), ("password", ""), ("ssh_port", "99999"), ("ssh_key", "planted")),
            *(("known_hosts", "planted"), ("label", "no label"), ("ca", "planted")),
        ],
    )
    def test_a_mistake_stands_at_its_field(self, ops: Client, gerrit_rig: Rig, field: str, value: str) -> None:
        answer = ops.post(ADD, form(gerrit_rig, **{field: value}))
        assert answer.status_code == 200
        assert list(answer.context["adminform"].errors) == [field]
        assert gerrit_rig.password not in html(answer)
        assert gerrit_rig.user_key.splitlines()[1] not in html(answer)

    def test_a_host_without_its_key_leads_to_the_page_that_pins_it(self, ops: Client, gerrit_rig: Rig) -> None:
        answer = ops.post(ADD, form(gerrit_rig, known_hosts=""), follow=True)
        connection = Connection.objects.get()
        assert answer.redirect_chain[-1][0] == f"{host_key(connection)}?host=127.0.0.1"
        assert 'value="127.0.0.1"' in html(answer)
        assert f'value="{gerrit_rig.ssh_port}"' in html(answer)
        assert "until it is pinned, the portal does not listen" in said(answer)
        assert "ssh_host" not in connection.config  # nobody listens to a server that cannot be told from another
        assert connection.secrets["ssh_key"].strip() == gerrit_rig.user_key.strip()
        where = {"ssh_host": "127.0.0.1", "ssh_port": gerrit_rig.ssh_port, "line": gerrit_rig.known_hosts.strip()}
        assert "answers over HTTP and SSH" in said(ops.post(host_key(connection), where, follow=True))

    def test_a_host_without_its_key_still_needs_the_rest(self, ops: Client, gerrit_rig: Rig) -> None:
        answer = ops.post(ADD, form(gerrit_rig, known_hosts=" ", ssh_key=""))
        assert list(answer.context["adminform"].errors) == ["ssh_key"]
        assert not Connection.objects.exists()

    def test_a_good_webhook_secret_is_offered_another_each_time(self, ops: Client) -> None:
        found = [
            re.search(r"A good one, made just now: <code>([\w-]{40,})</code>", html(ops.get(f"{ADD}?kind={kind}")))
            for kind in ("gerrit", "git", "git")
        ]
        assert all(found)
        assert len({one.group(1) for one in found if one}) == 3

    def test_old_rows_of_a_git_server_keep_what_the_fields_do_not_know(self, ops: Client) -> None:
        old = Connection.objects.create(
            name="origin", kind="git", config={"username": "x", "team": "red"}, secrets={"token": "t", "old": "2"}
        )
        page = html(ops.get(change(old)))
        assert "/hooks/github/origin/" in page
        assert "/hooks/generic/origin/" in page
        ops.post(change(old), {"name": "origin", "username": "y", "webhook_secret": "w"})
        old.refresh_from_db()
        assert old.config == {"username": "y", "team": "red"}
        assert old.secrets == {"token": "t", "old": "2", "webhook_secret": "w"}


class TestPinning:
    def test_what_the_server_shows_is_compared_and_then_pinned(
        self, ops: Client, deaf: Connection, gerrit_rig: Rig
    ) -> None:
        assert "does not listen" in html(ops.get(change(deaf)))
        where = {"ssh_host": "127.0.0.1", "ssh_port": gerrit_rig.ssh_port}
        shown = html(ops.post(host_key(deaf), where))
        assert "None is pinned for this server yet." in shown
        assert "SHA256:" in shown
        deaf.refresh_from_db()
        assert not deaf.config.get("known_hosts")  # looking pins nothing
        line = re.search(r'name="line" value="([^"]+)"', shown)
        assert line is not None
        assert line.group(1).split()[2] == gerrit_rig.known_hosts.split()[2]
        answer = ops.post(host_key(deaf), {**where, "line": line.group(1)}, follow=True)
        deaf.refresh_from_db()
        assert deaf.config["known_hosts"] == line.group(1)
        assert deaf.config["ssh_port"] == gerrit_rig.ssh_port
        assert "answers over HTTP and SSH" in said(answer)
        assert AuditEntry.objects.filter(verb="connection.update").exists()
        again = html(ops.post(host_key(deaf), where))
        assert "It is the one that is pinned." in again
        assert "pin it and listen" not in again

    def test_another_key_is_shown_as_another_and_replaces_only_its_own(
        self, ann: User, deaf: Connection, gerrit_rig: Rig
    ) -> None:
        other = "[elsewhere]:29418 " + gerrit_rig.public_key.strip()
        old = f"[127.0.0.1]:{gerrit_rig.ssh_port} " + " ".join(gerrit_rig.public_key.split()[:2])
        deaf.config["known_hosts"] = f"{other}\n\n{old}\n"
        deaf.save()
        where = {"host": "127.0.0.1", "port": gerrit_rig.ssh_port}
        key = source_actions.look_at_host_key(actor=ann, connection=deaf, **where)
        assert key.pinned.startswith("SHA256:")
        assert not key.known
        source_actions.pin_host_key(actor=ann, connection=deaf, line=key.line, **where)
        assert deaf.config["known_hosts"].splitlines() == [other, key.line]

    def test_what_else_listening_needs_is_said(self, ops: Client, deaf: Connection, gerrit_rig: Rig) -> None:
        deaf.secrets = {"password": gerrit_rig.password}
        deaf.save()
        body = {"ssh_host": "127.0.0.1", "ssh_port": gerrit_rig.ssh_port, "line": gerrit_rig.known_hosts.strip()}
        assert "Give the private SSH key" in said(ops.post(host_key(deaf), body))
        assert "no lines of a file known_hosts" in said(ops.post(host_key(deaf), {**body, "line": "nonsense"}))

    def test_a_server_that_is_not_there_or_has_no_name(self, ops: Client, deaf: Connection) -> None:
        assert said(ops.post(host_key(deaf), {"ssh_host": "127.0.0.1", "ssh_port": 9}))
        assert "no valid host name" in said(ops.post(host_key(deaf), {"ssh_host": "a b", "ssh_port": 22}))
        assert ops.post(host_key(deaf), {"ssh_host": "", "ssh_port": 0}).context["form"].errors

    def test_ops_only_and_gerrit_only(
        self, ops: Client, dev: Client, clerk: Client, ann: User, deaf: Connection
    ) -> None:
        assert dev.get(host_key(deaf)).status_code == 302
        assert clerk.get(host_key(deaf)).status_code in {302, 403, 404}
        origin = Connection.objects.create(name="origin", kind="git")
        assert ops.get(host_key(origin)).status_code == 404
        person: Any = world.person()
        for act in (
            lambda: source_actions.look_at_host_key(actor=person, connection=deaf, host="x", port=1),
            lambda: source_actions.pin_host_key(actor=person, connection=deaf, host="x", port=1, line="a b c"),
            lambda: source_actions.compare_now(actor=person, connection=deaf),
        ):
            with pytest.raises(Denied):
                act()
        with pytest.raises(Invalid):
            source_actions.look_at_host_key(actor=ann, connection=deaf, host="-oProxyCommand=x", port=1)


class TestListening:
    @pytest.fixture
    def heard(self, gerrit_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> SourceListener:
        monkeypatch.setattr(listening, "STALE_S", 600.0)  # what was just seen is so on a busy machine too
        config, secrets = gerrit_rig.connection_facts()
        connection = Connection.objects.create(name="review", kind="gerrit", config=config, secrets=secrets)
        now = timezone.now()
        return SourceListener.objects.create(
            connection=connection, state="listening", connected_at=now, seen_at=now, last_event_at=now, events=7
        )

    def test_the_connection_says_how_it_goes(self, ops: Client, heard: SourceListener) -> None:
        project = world.bare_project(None, "app", source_kind="gerrit", source_connection=heard.connection)
        where = change(heard.connection)
        assert "no push yet" in html(ops.get(where))
        world.news(project, build=world.build(project))
        page = html(ops.get(where))
        assert "✓ listening" in page
        assert "p50 42 ms · p95 42 ms" in page
        SourceListener.objects.update(state="down", trouble=AWAY.as_json(), down_since=timezone.now())
        page = html(ops.get(where))
        assert "✗ not listening" in page
        assert "“review” does not answer." in page

    def test_the_list_shows_all_servers_and_their_trouble(self, ops: Client, heard: SourceListener) -> None:
        page = reverse("admin:projects_sourcelistener_changelist")
        assert "✓ listening" in html(ops.get(page))
        SourceListener.objects.update(skew_s=99.5, reconnects=3)
        assert "+99.5 s" in html(ops.get(page))
        SourceListener.objects.update(seen_at=timezone.now() - timedelta(hours=1))
        Connection.objects.update(changed_at=timezone.now() - timedelta(hours=1))  # no longer about to begin
        assert "the watch is not running" in html(ops.get(page))
        one = html(ops.get(reverse("admin:projects_sourcelistener_change", args=[heard.pk])))
        assert "✗" in one
        for secret in (heard.connection.secrets or {}).values():
            assert secret.strip().splitlines()[-1] not in one

    def test_its_connection_can_be_removed_with_it(self, ops: Client, heard: SourceListener) -> None:
        HookDelivery.objects.create(connection=heard.connection, kind="gerrit", dedupe_key="one", body=b"")
        where = reverse("admin:common_connection_delete", args=[heard.connection.pk])
        assert "review" in html(ops.get(where))
        assert ops.post(where, {"post": "yes"}).status_code == 302
        assert not SourceListener.objects.exists()
        assert not HookDelivery.objects.exists()

    def test_all_tips_are_compared_next_when_ops_say_so(self, ops: Client, heard: SourceListener) -> None:
        now = timezone.now()
        mine = world.bare_project(None, "app", source_connection=heard.connection, polled_at=now)
        other = world.bare_project(None, "other", polled_at=now)
        body = {"action": "compare_now", "_selected_action": [heard.pk]}
        ops.post(reverse("admin:projects_sourcelistener_changelist"), body)
        assert Project.objects.get(pk=mine.pk).polled_at is None
        assert Project.objects.get(pk=other.pk).polled_at == now
        entry = AuditEntry.objects.get(verb="source.compare")
        assert entry.after == {"projects": 1}


class TestReviews:
    @pytest.fixture
    def unsent(self) -> Review:
        build = world.change_build(world.bare_project(None, "app"))
        return Review.objects.create(
            build=build, what="ended", value=-1, message="m", state="failed", attempts=5,
            error=runs.error_of("away", AWAY, "HTTP 500"),
        )  # fmt: skip

    def test_what_was_not_sent_says_why(self, ops: Client, unsent: Review) -> None:
        page = html(ops.get(reverse("admin:builds_review_changelist")))
        assert "“review” does not answer." in page
        assert "−1" in page
        assert "HTTP 500" in html(ops.get(reverse("admin:builds_review_change", args=[unsent.pk])))

    def test_it_is_sent_again_or_given_up(self, ops: Client, unsent: Review) -> None:
        page = reverse("admin:builds_review_changelist")
        ops.post(page, {"action": "try_again", "_selected_action": [unsent.pk]})
        unsent.refresh_from_db()
        assert (unsent.state, unsent.attempts, unsent.error) == ("new", 0, None)
        assert unsent.next_at is not None
        ops.post(page, {"action": "give_up", "_selected_action": [unsent.pk]})
        unsent.refresh_from_db()
        assert (unsent.state, unsent.next_at) == ("failed", None)
        assert [one.verb for one in AuditEntry.objects.filter(verb__startswith="review.").order_by("seq")] == [
            "review.try_again", "review.give_up",
        ]  # fmt: skip

    def test_what_is_settled_or_in_somebodys_hands_is_left_alone(self, unsent: Review, ann: User) -> None:
        with pytest.raises(Denied):
            review_actions.try_again(actor=world.person(), review=unsent)
        with pytest.raises(Conflict):
            review_actions.give_up(actor=ann, review=unsent)
        Review.objects.update(state="sent")
        with pytest.raises(Conflict):
            review_actions.try_again(actor=ann, review=unsent)
        Review.objects.update(state="new", lease_until=timezone.now() + timedelta(minutes=1))
        with pytest.raises(Conflict):
            review_actions.give_up(actor=ann, review=unsent)
