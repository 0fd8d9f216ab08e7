"""A push is noticed once, whoever saw it and however often; nothing is missed."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from django.utils import timezone

from builds.intake import LAG, PushIntake
from builds.models import Build
from fangduoduo_release.common import engines
from fangduoduo_release.common.models import InboxItem
from projects import pushes
from projects.drivers.source.base import ZERO, Moved, PushEvent
from projects.models import BranchTip, Project
from projects.noticing import Batch
from projects.sources import source_of
from tests import world

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return world.project(starter="python-http")


@pytest.fixture
def clone(project: Project, tmp_path: Path) -> Path:
    source, repository = source_of(project)
    run("git", "clone", "-q", str(source.path(repository)), str(tmp_path / "work"), cwd=tmp_path)
    return tmp_path / "work"


def run(*argv: str, cwd: Path) -> str:
    env = {
        "GIT_AUTHOR_NAME": "Ann",
        "GIT_AUTHOR_EMAIL": "a@x",
        "GIT_COMMITTER_NAME": "Ann",
        "GIT_COMMITTER_EMAIL": "a@x",
    }
    import os

    done = subprocess.run(argv, cwd=cwd, check=True, capture_output=True, text=True, env={**os.environ, **env})
    return done.stdout.strip()


def commit(clone: Path, text: str) -> str:
    (clone / "NOTES").write_text(text)
    run("git", "add", "NOTES", cwd=clone)
    run("git", "commit", "-qm", text, cwd=clone)
    run("git", "push", "-q", "--force", "origin", "HEAD", cwd=clone)
    return run("git", "rev-parse", "HEAD", cwd=clone)


def take_in() -> int:
    """Let the intake engine work on everything that waits, in the order in which it came."""
    waiting = InboxItem.objects.filter(state="new").order_by("pk").values_list("pk", flat=True)
    return sum(engines.drive(PushIntake(), pk) for pk in waiting)


def test_a_thousand_equal_notices_make_one_build(project: Project, clone: Path) -> None:
    old = run("git", "rev-parse", "HEAD", cwd=clone)
    event = PushEvent("refs/heads/main", old, commit(clone, "one"), actor=project.created_by.username)
    for _ in range(1000):
        pushes.notice(project, event)
    take_in()
    build = Build.objects.get()
    assert (build.commit_sha, build.commit_subject, build.trigger) == (event.new, "one", "push")
    assert build.started_by == project.created_by


def test_a_push_nobody_told_us_of_is_found_by_comparing_tips(project: Project, clone: Path) -> None:
    sha = commit(clone, "silent")
    assert pushes.compare(project) == 1
    assert pushes.compare(project) == 0
    take_in()
    assert Build.objects.get().commit_sha == sha


def test_told_and_compared_is_still_one_build(project: Project, clone: Path) -> None:
    old = run("git", "rev-parse", "HEAD", cwd=clone)
    pushes.notice(project, PushEvent("refs/heads/main", old, commit(clone, "both")))
    assert pushes.compare(project) == 0
    take_in()
    assert Build.objects.count() == 1


def test_going_back_and_forth_builds_each_move(project: Project, clone: Path) -> None:
    first = run("git", "rev-parse", "HEAD", cwd=clone)
    second = commit(clone, "two")
    pushes.notice(project, PushEvent("refs/heads/main", first, second))
    run("git", "push", "-q", "--force", "origin", f"{first}:refs/heads/main", cwd=clone)
    pushes.notice(project, PushEvent("refs/heads/main", second, first, forced=True))
    run("git", "push", "-q", "origin", f"{second}:refs/heads/main", cwd=clone)
    pushes.notice(project, PushEvent("refs/heads/main", first, second))
    take_in()
    assert list(Build.objects.order_by("id").values_list("commit_sha", flat=True)) == [second, first, second]


def test_notices_out_of_order_build_both_and_never_move_the_tip_back(project: Project, clone: Path) -> None:
    first = run("git", "rev-parse", "HEAD", cwd=clone)
    second, third = commit(clone, "two"), commit(clone, "three")
    pushes.notice(project, PushEvent("refs/heads/main", second, third))
    pushes.notice(project, PushEvent("refs/heads/main", first, second))
    take_in()
    assert set(Build.objects.values_list("commit_sha", flat=True)) == {second, third}
    assert BranchTip.objects.get(project=project, ref="refs/heads/main").sha == third
    assert pushes.compare(project) == 0


def test_a_push_of_several_commits_that_was_found_commit_by_commit_is_not_built_once_more_when_it_is_told(
    project: Project, clone: Path
) -> None:
    """The comparison was faster than the server's notices of two pushes of two commits each."""
    shas = [run("git", "rev-parse", "HEAD", cwd=clone), *(commit(clone, str(n)) for n in range(4))]
    for old, new in pairwise(shas):
        pushes.notice(project, PushEvent("refs/heads/main", old, new), pushes.Heard.now(pushes.Via.COMPARE))
    for old, new in ((shas[0], shas[2]), (shas[2], shas[4])):
        pushes.notice(project, PushEvent("refs/heads/main", old, new), pushes.Heard.now(pushes.Via.STREAM))
    take_in()
    assert sorted(Build.objects.values_list("commit_sha", flat=True)) == sorted(shas[1:])


def test_a_late_notice_that_two_processes_take_at_once_is_taken_once(project: Project, clone: Path) -> None:
    """Both asked the repository before either had stored it; a further push came in between."""
    shas = [run("git", "rev-parse", "HEAD", cwd=clone), *(commit(clone, str(n)) for n in range(3))]
    heard = pushes.Heard.now(pushes.Via.STREAM)
    pushes.notice(project, PushEvent("refs/heads/main", shas[1], shas[2]), heard)
    late = [(project, Moved(project.repository, PushEvent("refs/heads/main", shas[0], shas[1])))]
    first, second = (Batch(late, heard, settled=False) for _ in range(2))
    first.store()
    pushes.notice(project, PushEvent("refs/heads/main", shas[2], shas[3]), heard)
    second.store()
    assert (len(first.stored), len(second.stored)) == (1, 0)


def test_tips_are_taken_once_and_what_moved_since_is_a_push(project: Project, clone: Path) -> None:
    """A comparison that began while the project was made still thinks that nobody took them."""
    stale = Project.objects.get(pk=project.pk)
    stale.tips_taken_at = None
    run("git", "push", "-q", "origin", "HEAD:refs/heads/topic", cwd=clone)
    pushes.compare(stale)
    assert pushes.compare(Project.objects.get(pk=project.pk)) == 1


def test_a_deleted_branch_builds_nothing_and_may_come_back(project: Project, clone: Path) -> None:
    run("git", "push", "-q", "origin", "HEAD:refs/heads/topic", cwd=clone)
    sha = run("git", "rev-parse", "HEAD", cwd=clone)
    assert pushes.compare(project) == 1
    run("git", "push", "-q", "origin", ":refs/heads/topic", cwd=clone)
    pushes.notice(project, PushEvent("refs/heads/topic", sha, ZERO))
    run("git", "push", "-q", "origin", "HEAD:refs/heads/topic", cwd=clone)
    assert pushes.compare(project) == 1
    take_in()
    assert Build.objects.filter(ref="refs/heads/topic").count() == 2


def test_tags_build_and_other_refs_do_not(project: Project, clone: Path) -> None:
    sha = run("git", "rev-parse", "HEAD", cwd=clone)
    for ref in ("refs/tags/v1", "refs/notes/x", "refs/changes/01/1/1"):
        pushes.notice(project, PushEvent(ref, ZERO, sha))
    take_in()
    assert [b.ref for b in Build.objects.all()] == ["refs/tags/v1"]
    assert not InboxItem.objects.filter(state="new").exists()


def test_an_archived_project_builds_nothing(project: Project, clone: Path) -> None:
    Project.objects.update(archived=True)
    commit(clone, "late")
    pushes.compare(project)
    take_in()
    assert not Build.objects.exists()


def test_what_a_server_tells_of_a_project_in_the_making_builds_nothing(project: Project, clone: Path) -> None:
    sha = commit(clone, "begin")
    Project.objects.update(tips_taken_at=None)
    BranchTip.objects.all().delete()
    project.refresh_from_db()
    for via in (pushes.Via.STREAM, pushes.Via.HOOK):
        assert pushes.notice(project, PushEvent("refs/heads/main", ZERO, sha), pushes.Heard.now(via)) is None
    assert pushes.compare(project) == 0
    assert BranchTip.objects.get(project=project, ref="refs/heads/main").sha == sha
    pushes.notice(project, PushEvent("refs/heads/main", sha, commit(clone, "go on")), pushes.Heard.now(pushes.Via.HOOK))
    take_in()
    assert Build.objects.get().commit_subject == "go on"


def test_the_first_push_to_an_empty_repository_builds(project: Project, clone: Path) -> None:
    Project.objects.update(tips_taken_at=timezone.now())
    BranchTip.objects.all().delete()  # as of one that was empty when it was bound
    project.refresh_from_db()
    assert pushes.compare(project) == 1
    take_in()
    assert Build.objects.get().ref == "refs/heads/main"


def test_a_commit_that_is_gone_ends_the_item_with_its_reason(project: Project) -> None:
    pushes.notice(project, PushEvent("refs/heads/main", BranchTip.objects.get(project=project).sha, "1" * 40))
    InboxItem.objects.update(received_at=timezone.now() - LAG)  # it may have been on its way until now
    take_in()
    item = InboxItem.objects.get()
    assert item.state == "done"
    assert item.error
