"""Branches and tags that are not shown for a while: what comes back as it was is no push, and most of them gone at once
is not believed for a day."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from fangduoduo_release.common.models import InboxItem
from projects import pushes
from projects.drivers.source.base import TAGS, ZERO, PushEvent
from projects.models import BranchTip, Project
from projects.sources import source_of
from projects.vanished import MANY
from tests import world
from tests.projects.git.conftest import commit, git

pytestmark = pytest.mark.django_db
MAIN = "refs/heads/main"


@pytest.fixture
def project() -> Project:
    return world.project(starter="blank")


def bare(project: Project) -> Path:
    source, repository = source_of(project)
    return Path(source.path(repository))  # type: ignore[attr-defined]


def head(project: Project) -> str:
    return git("rev-parse", MAIN, cwd=bare(project)).stdout.strip()


def tags(project: Project, count: int) -> list[str]:
    """So many tags, and everything there is is known."""
    names = [f"{TAGS}v{number}" for number in range(count)]
    for name in names:
        git("update-ref", name, MAIN, cwd=bare(project))
    compare(project)
    InboxItem.objects.all().delete()
    return names


def hide(project: Project, names: list[str]) -> None:
    for name in names:
        git("update-ref", "-d", name, cwd=bare(project))


def show(project: Project, names: list[str], at: str = MAIN) -> None:
    for name in names:
        git("update-ref", name, at, cwd=bare(project))


def compare(project: Project, *, via: pushes.Via = pushes.Via.COMPARE, told_gone: set[str] | None = None) -> int:
    fresh = Project.objects.get(pk=project.pk)
    return pushes.compare(fresh, pushes.Heard.now(via), told_gone=told_gone or ())


def tip(project: Project, ref: str) -> str:
    return str(BranchTip.objects.values_list("sha", flat=True).get(project=project, ref=ref))


def trouble(project: Project) -> str:
    return str((Project.objects.get(pk=project.pk).source_error or {}).get("msgid", ""))


def seen_first(project: Project, ago: timedelta) -> None:
    """It has been so for this long."""
    told = dict(Project.objects.get(pk=project.pk).source_error or {})
    told["params"] = {**told["params"], "since": (timezone.now() - ago).isoformat(timespec="seconds")}
    Project.objects.filter(pk=project.pk).update(source_error=told)


# -- and are back ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("via", [pushes.Via.COMPARE, pushes.Via.HOOK])
def test_tags_that_were_hidden_and_are_back_as_they_were_are_no_pushes(project: Project, via: pushes.Via) -> None:
    names = tags(project, 5)
    for _ in range(2):
        hide(project, names)
        assert compare(project, via=via) == 5  # deletions, which build nothing
        assert tip(project, names[0]) == ZERO
        show(project, names)
        assert compare(project, via=via) == 0
        assert tip(project, names[0]) == head(project)
    assert set(InboxItem.objects.values_list("payload__new", flat=True)) == {ZERO}


def test_one_that_comes_back_elsewhere_is_a_push(project: Project, tmp_path: Path) -> None:
    names = tags(project, 2)
    hide(project, names)
    compare(project)
    git("clone", "--quiet", str(bare(project)), "work", cwd=tmp_path)
    sha = commit(tmp_path / "work", "NOTES", "one")
    git("push", "--quiet", "origin", f"HEAD:{names[0]}", cwd=tmp_path / "work")
    show(project, names[1:])
    assert compare(project) == 1
    assert tip(project, names[0]) == sha
    assert InboxItem.objects.filter(payload__new=sha).count() == 1


def test_one_whose_deletion_was_told_is_a_push_when_it_is_back(project: Project) -> None:
    """Whoever deletes a tag and pushes it again wants it built again."""
    first, second = tags(project, 2)
    sha = head(project)
    hide(project, [first, second])
    pushes.notice(project, PushEvent(first, sha, ZERO), pushes.Heard.now(pushes.Via.STREAM))
    assert compare(project, via=pushes.Via.HOOK, told_gone={second}) == 1
    show(project, [first, second])
    assert compare(project) == 2


def test_one_that_is_told_to_be_back_is_a_push(project: Project) -> None:
    (name,) = tags(project, 1)
    hide(project, [name])
    compare(project)
    show(project, [name])
    assert pushes.notice(project, PushEvent(name, ZERO, head(project)), pushes.Heard.now(pushes.Via.STREAM))
    assert compare(project) == 0


def test_a_branch_that_is_new_is_a_push_as_ever(project: Project) -> None:
    show(project, ["refs/heads/topic"])
    assert compare(project) == 1


# -- most of them at once -------------------------------------------------------------------------------------------
def test_most_of_a_repository_gone_at_once_is_not_believed_and_told(project: Project) -> None:
    names = tags(project, MANY + 10)
    hide(project, names)
    assert compare(project) == 0
    assert tip(project, names[0]) == head(project)
    assert not InboxItem.objects.exists()
    assert "no longer" in trouble(project)
    show(project, names)
    assert compare(project) == 0
    assert trouble(project) == ""


def test_what_is_pushed_meanwhile_is_taken(project: Project, tmp_path: Path) -> None:
    hide(project, tags(project, MANY + 10))
    git("clone", "--quiet", str(bare(project)), "work", cwd=tmp_path)
    sha = commit(tmp_path / "work", "NOTES", "one")
    git("push", "--quiet", "origin", "HEAD:main", cwd=tmp_path / "work")
    assert compare(project) == 1
    assert tip(project, MAIN) == sha
    assert compare(project) == 0
    assert "no longer" in trouble(project)


def test_more_than_one_look_can_take_are_not_believed_either(project: Project) -> None:
    """A comparison takes so many moves at a time; those alone would be less than half."""
    count = 1_100
    lines = "".join(f"create {TAGS}v{number} {head(project)}\n" for number in range(count))
    refs = bare(project) / "lines"
    refs.write_text(lines)
    git("-c", "alias.take=!git update-ref --stdin < lines", "take", cwd=bare(project))
    compare(project)
    InboxItem.objects.all().delete()
    refs.write_text(lines.replace("create", "delete"))
    git("-c", "alias.take=!git update-ref --stdin < lines", "take", cwd=bare(project))
    assert compare(project) == 0
    assert not InboxItem.objects.exists()


def test_a_list_with_nothing_in_it_is_not_believed(project: Project) -> None:
    hide(project, [MAIN])
    assert compare(project) == 0
    assert tip(project, MAIN) != ZERO
    assert "no longer" in trouble(project)


def test_the_only_branch_under_another_name_is_believed(project: Project) -> None:
    show(project, ["refs/heads/trunk"])
    hide(project, [MAIN])
    assert compare(project) == 2
    assert tip(project, MAIN) == ZERO


def test_what_the_server_told_of_is_believed(project: Project) -> None:
    names = tags(project, MANY + 10)
    hide(project, names)
    assert compare(project, told_gone=set(names)) == len(names)
    assert trouble(project) == ""


def test_after_a_day_they_are_deleted_and_back_as_they_were_still_no_pushes(project: Project) -> None:
    names = tags(project, MANY + 10)
    hide(project, names)
    compare(project)
    seen_first(project, timedelta(hours=23))
    assert compare(project) == 0
    seen_first(project, timedelta(hours=25))
    assert compare(project) == len(names)
    assert tip(project, names[0]) == ZERO
    assert trouble(project) == ""
    show(project, names)
    assert compare(project) == 0
    assert tip(project, names[0]) == head(project)
