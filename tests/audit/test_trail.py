"""Writing a row: who, what, where from, which project, and its place in the chain; or nothing of the action at all."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db import connection, transaction

from clusters import actions as clusters
from deployments.actions import start_deployment
from fangduoduo_release.audit import anchor, chain, trail, verifying
from fangduoduo_release.audit.masking import MASK
from fangduoduo_release.audit.models import AuditEntry, AuditHead
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Conflict
from fangduoduo_release.common.http import RequestFacts, current_request
from fangduoduo_release.common.models import Connection
from projects import actions as projects
from projects.models import Project
from tests import world

from .rows import THING, by_hand, write

pytestmark = pytest.mark.django_db


def last(verb: str) -> AuditEntry:
    return AuditEntry.objects.filter(verb=verb).latest("id")


def test_a_row_says_who_did_what_to_what_from_where() -> None:
    token = current_request.set(RequestFacts("192.0.2.1", "Firefox", "abc"))
    try:
        entry = trail.record(world.person("ann"), "thing.do", THING, before={"a": 1}, after={"a": 2})
    finally:
        current_request.reset(token)
    row = AuditEntry.objects.get(pk=entry.pk)
    assert (row.actor, row.verb, row.object_kind, row.object_id) == ("ann", "thing.do", "tests.thing", "1")
    assert (row.object_label, row.project, row.before, row.after) == ("a thing", "shop", {"a": 1}, {"a": 2})
    assert (row.address, row.user_agent, row.request_id) == ("192.0.2.1", "Firefox", "abc")


def test_rows_follow_each_other_without_a_gap() -> None:
    rows = write(4)
    assert [row.seq for row in rows] == [1, 2, 3, 4]
    assert [row.previous for row in rows] == [chain.NOTHING, *(row.digest for row in rows[:-1])]
    head = AuditHead.objects.get()
    assert (head.seq, head.entry, head.digest) == (4, rows[-1].pk, rows[-1].digest)


def test_an_actor_is_never_nobody() -> None:
    with pytest.raises(TypeError):
        trail.record(None, "thing.do", THING)


def test_values_too_long_or_odd_for_their_columns_are_cut_and_stay_verifiable() -> None:
    odd = "x\x00\ud800" + "y" * 400
    token = current_request.set(RequestFacts(odd, odd, odd))
    try:
        trail.record(world.person("ann"), odd, trail.Named(odd, odd, odd, odd), after={odd: odd})
    finally:
        current_request.reset(token)
    assert verifying.verify().sound


@pytest.mark.parametrize(
    "text", ["中文 – “x”", "a\nb\tc", '"quoted" \\ back', "\u2028 \U0001f600", "é vs e\u0301", "'; DROP TABLE x"]
)
def test_text_of_all_kinds_reads_back_as_it_was_signed(text: str) -> None:
    trail.record(
        SYSTEM, "thing.do", trail.Named("k", "1", text), before={text: 1}, after={"x": [text, 1.5, 1e100, None]}
    )
    assert verifying.verify().sound
    assert last("thing.do").object_label == text


def test_the_project_is_found_from_whatever_row_it_is() -> None:
    project = world.project(slug="shop")
    machine = world.granted(project, "test-a")
    version = world.version(project)
    projects.save_spec(actor=SYSTEM, project=project, spec={"command": ["./run"]})
    deployment = start_deployment(actor=SYSTEM, project=project, machine=machine, action="deploy", version=version)
    for row in (project, version, version.build, deployment, deployment.service, project.machine_grants.get()):
        assert trail.project_of(row) == "shop", row
    assert trail.project_of(machine) == ""
    assert trail.project_of(world.person()) == ""
    assert {row.project for row in AuditEntry.objects.all()} == {"shop"}


def test_a_caller_may_name_the_project() -> None:
    assert trail.record(SYSTEM, "thing.do", THING, project="other").project == "other"
    assert trail.record(SYSTEM, "thing.do", world.machine("m"), project="shop").project == "shop"


def test_an_action_that_fails_leaves_no_row() -> None:
    write(1)

    def fail() -> None:
        write(2)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        fail()
    assert (AuditEntry.objects.count(), AuditHead.objects.get().seq) == (1, 1)
    assert [row.seq for row in write(1)] == [2]


def test_what_cannot_be_written_down_is_not_done() -> None:
    project = world.project(slug="shop")
    by_hand("UPDATE audit_audithead SET signature = 'x'")
    with pytest.raises(chain.Broken):
        projects.update_project(actor=SYSTEM, project=project, name="Other")
    assert Project.objects.get().name == "shop"


def test_a_key_is_changed_by_putting_a_new_one_in_front(settings: Any) -> None:
    old = settings.AUDIT_KEYS
    first = write(2)[0].key
    settings.AUDIT_KEYS = ["a new key that nobody can guess, really", *old]
    write(2)
    assert [row.key for row in AuditEntry.objects.order_by("id")] == [
        first,
        first,
        chain.signing_key(),
        chain.signing_key(),
    ]
    assert first != chain.signing_key()
    assert verifying.verify().sound
    settings.AUDIT_KEYS = settings.AUDIT_KEYS[:1]
    (finding, *_) = verifying.verify().findings
    assert "not among AUDIT_KEYS" in str(finding)


def test_without_a_key_that_knows_the_head_nothing_goes_on(settings: Any) -> None:
    write(1)
    settings.AUDIT_KEYS = ["quite another key, of enough characters"]
    with pytest.raises(chain.Broken):
        write(1)


def test_no_key_is_ever_written_down(settings: Any) -> None:
    write(2)
    dump = str(list(AuditEntry.objects.values())) + str(list(AuditHead.objects.values()))
    assert settings.AUDIT_KEYS[0] not in dump


@pytest.mark.django_db(transaction=True)
def test_after_the_commit_the_anchor_and_the_log_know(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "audit")
    with transaction.atomic():
        write(2)
        assert anchor.read() is None, "nothing is known before the commit"
    head = AuditHead.objects.get()
    assert anchor.read() == chain.Point(2, head.digest)
    assert [record.getMessage() for record in caplog.records if record.name == "audit"][-1] == f"2:{head.digest}"
    assert connection.in_atomic_block is False


@pytest.mark.django_db(transaction=True)
def test_an_anchor_that_cannot_be_written_stops_nothing(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.AUDIT_ANCHOR.parent.parent.joinpath("audit").write_text("a file where a folder should be")
    write(1)
    assert AuditEntry.objects.count() == 1
    assert "anchor could not be moved" in caplog.text


def test_the_anchor_never_goes_back() -> None:
    high, low = chain.Point(9, "a" * 64), chain.Point(5, "b" * 64)
    anchor.move(high)
    anchor.move(low)
    assert anchor.read() == high
    anchor.move(low, back=True)
    assert anchor.read() == low


def test_a_garbled_anchor_is_not_overwritten(settings: Any) -> None:
    anchor.move(chain.Point(9, "a" * 64))
    settings.AUDIT_ANCHOR.write_text("9:zzz")
    with pytest.raises(anchor.Unreadable):
        anchor.move(chain.Point(10, "b" * 64))
    assert settings.AUDIT_ANCHOR.read_text() == "9:zzz"


# --- what actions say ------------------------------------------------------------------------------------------
def test_a_changed_spec_is_told_value_by_value_and_its_secrets_by_name() -> None:
    project = world.project()
    projects.save_spec(
        actor=SYSTEM, project=project, spec={"command": ["./a"], "env": {"A": "1"}, "secrets": {"T": "s3cret-one"}}
    )
    spec = {"command": ["./b"], "env": {"A": "1"}, "secrets": {"T": "s3cret-two", "U": "s3cret-3"}}
    projects.save_spec(actor=SYSTEM, project=project, spec=spec)
    row = last("project.spec")
    assert row.before is not None
    assert row.after is not None
    assert (row.before["command"], row.after["command"]) == (["./a"], ["./b"])
    assert (row.before["secrets"], row.after["secrets"]) == ({"T": MASK}, {"T": MASK, "U": MASK})
    assert "env" not in row.after
    assert "s3cret" not in str(list(AuditEntry.objects.values()))


def test_a_changed_role_is_told_with_the_one_before() -> None:
    project, ann = world.project(), world.person("ann")
    projects.set_member(actor=SYSTEM, project=project, user=ann, role="viewer")
    projects.set_member(actor=SYSTEM, project=project, user=ann, role="developer")
    row = last("member.set")
    viewer, developer = ({"role": role, "until": None, "emergency": False} for role in ("viewer", "developer"))
    assert row.before == {"roles": [viewer]}
    assert row.after == {"holder": "ann", "role": "developer", "roles": [developer]}
    projects.set_member(actor=SYSTEM, project=project, user=ann, role=None)
    assert last("member.set").before == {"roles": [developer]}


def test_a_changed_connection_is_told_without_its_secrets() -> None:
    made = clusters.save_connection(
        actor=SYSTEM, name="origin", kind="git", config={"username": "x"}, secrets={"password": "s3cret-one"}
    )
    clusters.save_connection(
        actor=SYSTEM, name="origin", config={"username": "y"}, secrets={"password": "s3cret-two"}, connection=made
    )
    row = last("connection.update")
    assert (row.before, row.after) == (
        {"config": {"username": "x"}, "secrets": {"password": MASK}},
        {"config": {"username": "y"}, "secrets": {"password": MASK}},
    )
    clusters.delete_connection(actor=SYSTEM, connection=made)
    gone = last("connection.delete")
    assert (gone.object_label, gone.object_id, gone.after) == ("origin", row.object_id, None)
    assert "s3cret" not in str(list(AuditEntry.objects.values()))


def test_a_deletion_that_is_refused_leaves_no_row() -> None:
    made = clusters.save_connection(actor=SYSTEM, name="origin", kind="git")
    Project.objects.create(slug="shop", name="shop", source_connection=made)
    with pytest.raises(Conflict):
        clusters.delete_connection(actor=SYSTEM, connection=made)
    assert Connection.objects.exists()
    assert not AuditEntry.objects.filter(verb="connection.delete").exists()


def test_a_machine_taken_away_is_named_although_its_grant_is_gone() -> None:
    project = world.project(slug="shop")
    machine = world.granted(project, "prod")
    projects.revoke_machine(actor=SYSTEM, project=project, machine=machine)
    row = last("machine.revoke")
    assert (row.object_label, row.project, row.before) == ("shop → prod", "shop", {"machine": "prod"})
    assert row.object_id.isdecimal()
