"""A commit that is told of before it can be seen (replicas, caches) is waited for; one that is gone for good is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from builds.intake import LAG
from builds.models import Build, BuildRules
from fangduoduo_release.common.models import InboxItem
from projects import pushes
from projects.drivers.source.base import PatchSet, PushEvent
from projects.models import BranchTip, Project
from tests.builds.changes.conftest import Work
from tests.projects.git.conftest import git
from tests.projects.listening.ground import connect, make_project
from tests.simulators.gerrit.fixtures import gerrit_rig
from tests.simulators.gerrit_rig import Rig

__all__ = ["gerrit_rig"]
pytestmark = pytest.mark.django_db
TakeIn = Callable[[], int]
MAIN = "refs/heads/main"


def told(project: Project, new: str) -> InboxItem:
    item = pushes.notice(project, PushEvent(MAIN, BranchTip.objects.get(project=project, ref=MAIN).sha, new))
    assert item is not None
    return item


def now(item: InboxItem) -> InboxItem:
    item.refresh_from_db()
    return item


def again(take_in: TakeIn, ago: timedelta = timedelta()) -> None:
    waits = InboxItem.objects.filter(state="new")
    if ago:
        waits.update(received_at=timezone.now() - ago)
    waits.update(next_at=Now())
    take_in()


def test_a_push_that_is_told_before_its_commit_is_there_builds_when_it_is(
    project: Project, work: Work, take_in: TakeIn
) -> None:
    item = told(project, work.commit())
    take_in()
    assert now(item).state == "new"
    assert "There is no branch" in str(item.error), "and who looks sees why it waits"
    work.push()
    again(take_in)
    assert Build.objects.get().commit_sha == work.head()
    assert now(item).error is None


def test_one_that_never_comes_ends_with_its_reason(project: Project, work: Work, take_in: TakeIn) -> None:
    item = told(project, "1" * 40)
    take_in()
    again(take_in, LAG)
    assert now(item).state == "done"
    assert "There is no branch" in str(item.error)
    assert not Build.objects.exists()


def test_one_whose_branch_went_on_is_not_waited_for(project: Project, work: Work, take_in: TakeIn) -> None:
    gone = told(project, "1" * 40)
    sha = work.commit()
    work.push()
    told(project, sha)
    take_in()
    assert now(gone).state == "done"
    assert Build.objects.get().commit_sha == sha


def test_a_text_of_a_change_is_waited_for_too_but_not_when_a_newer_one_came(
    project: Project, work: Work, take_in: TakeIn
) -> None:
    first = PatchSet(7, 1, work.commit(), "refs/changes/07/7/1", branch="main", change_id="I1", subject="x")
    item = pushes.notice_change(project, first)
    assert item is not None
    take_in()
    assert now(item).state == "new"
    git("push", "--quiet", "origin", "HEAD:refs/changes/07/7/1", cwd=work.folder)
    again(take_in)
    assert Build.objects.get().commit_sha == first.sha
    lost = pushes.notice_change(project, PatchSet(7, 2, "2" * 40, "refs/changes/07/7/2", branch="main"))
    pushes.notice_change(project, work.text(7, 3))
    take_in()
    assert lost is not None
    assert now(lost).state == "done"


def test_a_text_that_gerrit_does_not_show_over_rest_is_fetched_by_its_own_ref(
    gerrit_rig: Rig, transactional_db: None, take_in: TakeIn
) -> None:
    app = make_project(gerrit_rig, connect(gerrit_rig))
    BuildRules.objects.update_or_create(project=app, defaults={"changes": True})
    gerrit_rig.gerrit.upload("team/app")
    assert pushes.compare(app) == 1
    gerrit_rig.gerrit.faults.status(404, "/commits/")
    take_in()
    assert Build.objects.get().is_change
