"""The mirror of a bound repository as it gets old: what killed fetches left in it, and what piled up in it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fangduoduo_release.common.errors import AppError
from projects.drivers.source.base import Credentials, Repository
from projects.drivers.source.git import GitSource
from tests.projects.git.conftest import Server, commit, git, new_source, start_server
from tests.projects.git.serve import PEOPLE

DEV = Credentials("dev", PEOPLE["dev"])


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Somebody else's git server."""
    made = start_server("uvicorn", tmp_path_factory.mktemp("remote"))
    yield made
    made.stop()


@pytest.fixture
def here(tmp_path: Path) -> GitSource:
    """Our side, which may reach private networks."""
    return new_source(tmp_path / "here", allow_private=True)


@pytest.fixture
def work(remote: Server, tmp_path: Path) -> Path:
    """A clone of a repository of this test's own on the server, with a second branch."""
    slug = f"app-{tmp_path.name}".lower().replace("_", "-")[:60].strip("-")
    remote.create(slug)
    made = remote.clone(slug, tmp_path / slug)
    git("push", "--quiet", "origin", "main:side", cwd=made)
    return made


@pytest.fixture
def bound(remote: Server, here: GitSource, work: Path) -> Repository:
    """That repository, fetched once."""
    made = Repository("mine", remote.url(work.name, who=""), DEV)
    here.refresh(made)
    return made


def leave(mirror: Path, name: str, *, age: float) -> Path:
    """A lock as a killed git leaves it."""
    path = mirror / name
    path.touch()
    then = time.time() - age
    os.utime(path, (then, then))
    return path


LOCKS = ["refs/heads/main.lock", "packed-refs.lock", "packed-refs.new", "HEAD.lock", "shallow.lock", "config.lock"]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_that_a_killed_fetch_left_holds_up_no_later_one(
    here: GitSource, bound: Repository, work: Path, name: str
) -> None:
    mirror = here.path(bound)
    git("pack-refs", "--all", cwd=mirror)  # so that the branch that goes has to go from the packed ones too
    left = leave(mirror, name, age=here.config.fetch_timeout + 10)
    new = commit(work, "a", "a")
    git("push", "--quiet", "origin", "main", ":side", cwd=work)
    here.refresh(bound)
    assert here.resolve(bound, "main").sha == new
    assert [ref.short for ref in here.branches(bound)] == ["main"]
    assert not left.exists()


def test_a_lock_that_somebody_may_hold_is_left_alone(here: GitSource, bound: Repository, work: Path) -> None:
    mirror = here.path(bound)
    young = [leave(mirror, name, age=here.config.fetch_timeout - 60) for name in LOCKS]
    commit(work, "a", "a")
    git("push", "--quiet", "origin", "main", cwd=work)
    with pytest.raises(AppError):
        here.refresh(bound)
    assert all(lock.exists() for lock in young)
