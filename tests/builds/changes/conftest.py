"""A project whose changes are reviewed, a clone to push from, and the engines at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from django.conf import settings
from django.test import override_settings

from builds.intake import ChangeIntake, PushIntake
from builds.models import Build, BuildRules, Review
from builds.reviews import ReviewEngine
from fangduoduo_release.common import engines, runs
from fangduoduo_release.common.models import Connection, InboxItem
from projects.drivers.source.base import PatchSet, Repository
from projects.models import Project
from projects.sources import source_of_kind
from tests import world
from tests.builds.changes import reviewed
from tests.projects.git.conftest import commit, git

KIND = "tests.builds.changes.reviewed.ReviewedSource"


@pytest.fixture
def desk() -> Iterator[reviewed.Desk]:
    """The reviewing server; the setting names its driver."""
    reviewed.DESK = reviewed.Desk()
    drivers = {**settings.DRIVERS, "source": {**settings.DRIVERS["source"], "reviewed": KIND}}
    with override_settings(DRIVERS=drivers):
        yield reviewed.DESK


def reviewed_project(slug: str = "", **rules: Any) -> Project:
    """A project of kind `reviewed`, with its real repository."""
    project = world.project(slug=slug, starter="blank")
    connection, _ = Connection.objects.get_or_create(name="review", defaults={"kind": "reviewed"})
    Project.objects.filter(pk=project.pk).update(
        source_kind="reviewed", source_connection=connection, repository=project.slug
    )
    BuildRules.objects.create(project=project, **{"changes": True, **rules})
    return Project.objects.get(pk=project.pk)


@pytest.fixture
def project(db: None, desk: reviewed.Desk) -> Project:
    return reviewed_project("shop")


@dataclass
class Work:
    """A clone that pushes branches and texts of changes straight into the repository."""

    folder: Path

    def head(self) -> str:
        return git("rev-parse", "HEAD", cwd=self.folder).stdout.strip()

    def commit(self, name: str = "a.txt", message: str = "Change it") -> str:
        count = git("rev-list", "--count", "HEAD", cwd=self.folder).stdout.strip()
        return commit(self.folder, name, f"{count} {message}", message)

    def push(self, *what: str) -> None:
        git("push", "--quiet", "--force", "origin", *(what or ("HEAD:refs/heads/main",)), cwd=self.folder)

    def text(
        self, number: int, patch_set: int, *, name: str = "a.txt", message: str = "Change it", **facts: Any
    ) -> PatchSet:
        """Commit and push a text of a change, as a server would tell of it."""
        sha = self.commit(name, message)
        ref = f"refs/changes/{number % 100:02}/{number}/{patch_set}"
        self.push(f"HEAD:{ref}")
        told = {"branch": "main", "change_id": "I" + "0" * 40, "subject": message, "url": f"https://review/c/{number}"}
        return PatchSet(number, patch_set, sha, ref, message=message, **{**told, **facts})


@pytest.fixture
def work(project: Project, tmp_path: Path) -> Work:
    return clone_of(project, tmp_path / "work")


def clone_of(project: Project, into: Path) -> Work:
    path = source_of_kind("git").path(Repository(project.slug))  # type: ignore[attr-defined]
    git("clone", "--quiet", str(path), into.name, cwd=into.parent)
    return Work(into)


@pytest.fixture
def take_in() -> Callable[[], int]:
    """Let the intake engines work on everything that is due."""

    def work() -> int:
        return sum(
            engines.drive(cast(Any, engine), pk)
            for engine in (PushIntake(), ChangeIntake())
            for pk in InboxItem.objects.filter(state="new", kind=engine.kind)
            .order_by("pk")
            .values_list("pk", flat=True)
        )

    return work


@pytest.fixture
def send() -> Callable[[], list[str]]:
    """Let the reviews' engine work on all that waits; the states of all messages afterwards."""

    def work() -> list[str]:
        for pk in Review.objects.filter(state="new").order_by("pk").values_list("pk", flat=True):
            Review.objects.filter(pk=pk).update(next_at=runs.in_seconds(-1))
            engines.drive(cast(Any, ReviewEngine()), pk)
        return list(Review.objects.order_by("pk").values_list("state", flat=True))

    return work


def end(build: Build, state: str = "succeeded") -> Build:
    """The build runs and ends, as its engine would end it."""
    Build.objects.filter(pk=build.pk).update(next_at=runs.in_seconds(-1))
    held = runs.claim(Build, build.pk)
    assert held is not None
    if held.state == "queued" and state != "cancelled":
        held = runs.transition(held, "running")
    runs.transition(held, state)
    return Build.objects.get(pk=build.pk)
