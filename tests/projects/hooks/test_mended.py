"""What the sender's server refuses now is waited for until somebody mended it; and what it tells of repositories' names."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from fangduoduo_release.common import engines
from fangduoduo_release.common.models import Connection
from projects.hooks.engine import HookEngine
from projects.models import HookDelivery, Project
from tests.projects.git.serve import PEOPLE
from tests.projects.listening.ground import connect, make_project
from tests.simulators.gerrit.fixtures import gerrit_rig
from tests.simulators.gerrit_rig import Rig

from . import letters
from .ground import Bound, bound, built, deliver, forge, remote, said, work

__all__ = ["bound", "forge", "gerrit_rig", "remote"]
pytestmark = pytest.mark.django_db


def wrong_password(forge: Connection, password: str) -> None:
    forge.secrets = {**forge.secrets, "password": password}
    forge.save()


def test_a_refused_sign_in_is_waited_for_by_all_deliveries_and_one_knocks(bound: Bound) -> None:
    before, after = bound.push("one")
    wrong_password(bound.forge, "wrong")
    first, second = bound.told(before, after), bound.told(before, after, ident="again")
    begun = timezone.now()
    work()
    for one in (first, second):
        one.refresh_from_db()
        assert one.state == "new"
        assert one.next_at > begun + timedelta(seconds=50)
    assert "refused the sign-in" in said(first)
    assert second.attempts == 0
    assert first.next_at > second.next_at, "next time the other one knocks"
    wrong_password(bound.forge, PEOPLE["dev"])
    HookDelivery.objects.update(next_at=Now())
    work()
    assert built(bound.project) == [after]
    assert {one.state for one in HookDelivery.objects.all()} == {"done"}


def test_patience_with_a_refused_sign_in_ends_after_a_day_and_sent_again_it_is_worked_on(bound: Bound) -> None:
    before, after = bound.push("one")
    wrong_password(bound.forge, "wrong")
    delivery = bound.told(before, after)
    HookDelivery.objects.update(received_at=timezone.now() - timedelta(hours=23))
    work()
    assert "refused the sign-in" in said(delivery)
    assert delivery.state == "new"
    HookDelivery.objects.update(received_at=timezone.now() - timedelta(hours=25), next_at=Now())
    work()
    delivery.refresh_from_db()
    assert delivery.state == "failed"
    wrong_password(bound.forge, PEOPLE["dev"])
    assert bound.told(before, after).pk == delivery.pk  # the sender's “Redeliver”
    work()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.replays) == ("done", 1)
    assert built(bound.project) == [after]
    assert bound.told(before, after).pk == delivery.pk
    delivery.refresh_from_db()
    assert (delivery.state, delivery.replays) == ("done", 1)  # what went well is known


def told_of_names(connection: Connection, **event: str) -> HookDelivery:
    delivery = deliver(connection, "gerrit", letters.basic(json.dumps(event).encode()))
    engines.drive(HookEngine(), delivery.pk)
    return delivery


def test_a_rename_that_is_told_by_webhook_is_followed_and_a_deletion_said(gerrit_rig: Rig) -> None:
    """As where nobody can listen."""
    review = connect(gerrit_rig, ssh_host="")
    app, gone = (make_project(gerrit_rig, review, f"team/{name}", slug=name) for name in ("app", "gone"))
    gerrit_rig.gerrit.rename("team/app", "team/shop")
    told_of_names(review, type="project-renamed", oldProjectName="team/app", newProjectName="team/shop")
    told_of_names(review, type="project-deleted", projectName="team/gone")
    assert Project.objects.get(pk=app.pk).repository == "team/shop"
    assert "was deleted" in str(Project.objects.get(pk=gone.pk).source_error)
