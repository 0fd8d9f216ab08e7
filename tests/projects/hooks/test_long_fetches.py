"""A repository that is long in coming: what is pushed there waits for it, however long, and nobody else does."""

from __future__ import annotations

import zlib
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from builds.actions import start_build
from builds.models import Build
from fangduoduo_release.common import engines
from fangduoduo_release.common.errors import Unavailable
from fangduoduo_release.common.models import Connection, InboxItem
from projects.drivers.source.base import STILL_FETCHING, Repository
from projects.models import BranchTip, HookDelivery, Project
from projects.sources import source_of
from projects.watching import compare_tips
from tests import world
from tests.projects.git.conftest import Server
from tests.projects.git.somebody import fetching

from .ground import MAIN, Bound, bound, built, forge, remote, said, work

__all__ = ["bound", "forge", "remote"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def other(remote: Server, forge: Connection, tmp_path: Path, request: pytest.FixtureRequest) -> Bound:
    """Another repository of the same server."""
    return Bound(remote, forge, f"other-{zlib.crc32(request.node.name.encode())}", tmp_path)


def mirror(project: Project) -> Path:
    return Path(settings.MIRRORS_ROOT) / f"{project.slug}.git"


def due() -> None:
    for model in (HookDelivery, InboxItem):
        model.objects.filter(state="new").update(next_at=Now())


def test_what_a_server_tells_of_others_is_heard_meanwhile(bound: Bound, other: Bound) -> None:
    large, small = bound.push("one"), other.push("two")
    waits, goes_on = bound.told(*large), other.told(*small)
    with fetching(mirror(bound.project)):
        work()
        assert said(goes_on) == f"{other.project.slug}: New: 1."
        assert built(other.project) == [small[1]]
        assert "still being fetched" in said(waits)
    due()
    work()
    assert built(bound.project) == [large[1]]


def test_however_often_it_is_asked_for_a_delivery_is_not_given_up(bound: Bound) -> None:
    before, after = bound.push("one")
    waits = bound.told(before, after)
    with fetching(mirror(bound.project)):
        for _ in range(engines.MAX_ATTEMPTS + 2):
            due()
            work()
    waits.refresh_from_db()
    assert (waits.state, waits.needs_ops) == ("new", False)
    due()
    work()
    assert built(bound.project) == [after]


def test_others_of_the_server_are_compared_meanwhile(bound: Bound, other: Bound) -> None:
    large, small = bound.push("one"), other.push("two")
    Project.objects.filter(pk=bound.project.pk).update(polled_at=None)  # asked first
    Project.objects.filter(pk=other.project.pk).update(polled_at=timezone.now() - timedelta(days=1))
    with fetching(mirror(bound.project)):
        compare_tips()
    tip = BranchTip.objects.get(project=other.project, ref=MAIN)
    assert tip.sha == small[1]
    assert BranchTip.objects.get(project=bound.project, ref=MAIN).sha == large[0]
    Project.objects.update(polled_at=None)
    compare_tips()
    assert BranchTip.objects.get(project=bound.project, ref=MAIN).sha == large[1]


def test_it_can_be_bound_before_all_of_it_is_here(remote: Server, forge: Connection, tmp_path: Path) -> None:
    remote.create("large")
    with fetching(Path(settings.MIRRORS_ROOT) / "large.git"):
        project = world.project(
            owner=world.ops(), slug="large", starter="", repository=remote.url("large", who=""), connection=forge
        )
    assert project.default_branch == "main"
    source, repository = source_of(project)
    assert source.resolve(repository, "main").sha == remote.source.resolve(Repository("large"), "main").sha


def test_who_starts_a_build_meanwhile_is_told(bound: Bound) -> None:
    with fetching(mirror(bound.project)), pytest.raises(Unavailable) as refusal:
        start_build(actor=bound.project.created_by, project=bound.project)
    assert refusal.value.code == STILL_FETCHING
    assert not Build.objects.exists()
