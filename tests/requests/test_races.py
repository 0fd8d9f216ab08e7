"""Two people at once, in real threads on a real database: one decision, one owner left, one request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from clusters.models import Machine
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import AppError, Conflict
from permissions.models import User
from projects import actions, decisions, grants, requests
from projects.models import AccessRequest, MachineGrant, Project, RoleGrant
from tests import world

from .conftest import Ask

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    connection.close()


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run them together; each answers what it returned or the AppError it raised."""
    gate = threading.Barrier(len(calls))
    answers: list[Any] = [None] * len(calls)

    def run(number: int, call: Callable[[], Any]) -> None:
        try:
            gate.wait(120)
            answers[number] = call()
        except AppError as error:
            answers[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n, call)) for n, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return answers


def refused(answers: list[Any]) -> list[Any]:
    return [answer for answer in answers if isinstance(answer, AppError)]


def test_of_many_deciders_one_decides(zoe: User, ann: User, olga: User, omar: User, ask: Ask) -> None:
    made = ask(zoe, role="developer")

    def approve(who: User) -> Callable[[], Any]:
        return lambda: decisions.approve(actor=who, request=made, sha256=made.asked_sha256)

    def reject(who: User) -> Callable[[], Any]:
        return lambda: decisions.reject(actor=who, request=made, sha256=made.asked_sha256, note="no")

    answers = at_once(approve(ann), reject(olga), approve(omar), reject(ann))
    lost = refused(answers)
    assert len(lost) == 3
    assert {error.code for error in lost} == {"already_decided"}
    assert all(isinstance(error, Conflict) for error in lost)
    made.refresh_from_db()
    assert RoleGrant.objects.filter(user=zoe).count() == (1 if made.state == "approved" else 0)
    assert AuditEntry.objects.filter(verb__in=["request.approve", "request.reject"]).count() == 1


def test_withdrawing_and_approving_at_once_does_one_of_them(zoe: User, ann: User, ask: Ask) -> None:
    made = ask(zoe, role="developer")
    answers = at_once(
        lambda: decisions.approve(actor=ann, request=made, sha256=made.asked_sha256),
        lambda: requests.withdraw(actor=zoe, request=made),
    )
    assert len(refused(answers)) == 1
    made.refresh_from_db()
    assert RoleGrant.objects.filter(user=zoe).exists() is (made.state == "approved")


def test_two_first_signatures_do_not_grant_by_themselves(
    dev: User, olga: User, omar: User, ask: Ask, prod: Machine
) -> None:
    made = ask(dev, machine=prod, emergency=True)

    def sign(who: User) -> Callable[[], Any]:
        return lambda: decisions.approve(actor=who, request=made, sha256=made.asked_sha256)

    answers = at_once(sign(olga), sign(olga), sign(olga))
    made.refresh_from_db()
    assert len(refused(answers)) == 2
    assert (made.state, made.decided_by) == ("pending", olga)
    assert not MachineGrant.objects.exists()


def test_the_same_wish_twice_at_once_is_one_request(zoe: User, ask: Ask) -> None:
    answers = at_once(lambda: ask(zoe, role="viewer"), lambda: ask(zoe, role="viewer"))
    assert [error.code for error in refused(answers)] == ["already_asked"]
    assert AccessRequest.objects.count() == 1


def test_two_owners_leaving_at_once_leave_one(project: Project, ann: User) -> None:
    eve = world.member(project, "owner", "eve")

    def leave(who: User) -> Callable[[], Any]:
        return lambda: actions.set_member(actor=SYSTEM, project=project, user=who, role=None)

    answers = at_once(leave(ann), leave(eve))
    assert [error.code for error in refused(answers)] == ["last_owner"]
    assert grants.is_owned(project)
