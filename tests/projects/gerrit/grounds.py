"""Where the contract of the source family is tried: kind `git`, kind `gerrit` on the simulator, and on a real server.

Everybody who pushes does so with a git client, so that a contract test reads the same on all of them.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from projects.drivers.source.base import Repository, Source
from projects.drivers.source.gerrit import GerritConfig, GerritSource
from projects.drivers.source.git import GitSource
from tests.projects.gerrit.conftest import git_config, source_of
from tests.projects.git.conftest import commit, git
from tests.simulators.gerrit_rig import Rig

LIVE = ("FDD_LIVE_GERRIT_URL", "FDD_LIVE_GERRIT_USER", "FDD_LIVE_GERRIT_PASSWORD")
PARENT = "FDD_LIVE_GERRIT_PARENT"


@dataclass
class Ground:
    """A source, the name of a repository that is not there yet, and where a client pushes to it (secrets included)."""

    source: Source
    repository: Repository
    remote: str
    folder: Path
    branch: str = "main"
    starter: str = "blank"
    _clones: int = field(default=0, repr=False)

    def create(self) -> str:
        sha = self.source.create_repository(self.repository, starter=self.starter)
        self.branch = self.source.state(self.repository).default_branch
        return sha

    def clone(self) -> Clone:
        self._clones += 1
        into = self.folder / f"clone{self._clones}"
        git("clone", "--quiet", self.remote, str(into), cwd=self.folder)
        return Clone(into, self.branch)


@dataclass
class Clone:
    """A person's clone."""

    path: Path
    branch: str

    def commit(self, name: str = "a.txt", text: str = "a", message: str = "") -> str:
        return commit(self.path, name, text, message)

    def push(self, *what: str) -> None:
        git("push", "--quiet", "--force", "origin", *(what or (f"HEAD:refs/heads/{self.branch}",)), cwd=self.path)

    def git(self, *words: str) -> str:
        return git(*words, cwd=self.path).stdout.strip()


@contextmanager
def git_ground(folder: Path) -> Iterator[Ground]:
    source = GitSource(git_config(folder))
    repository = Repository("shop")
    yield Ground(source, repository, str(source.path(repository)), folder)


@contextmanager
def simulated_ground(folder: Path) -> Iterator[Ground]:
    with Rig(folder / "gerrit") as rig:
        source = source_of(rig, folder)
        yield Ground(source, Repository("team/shop"), rig.git_url("team/shop"), folder)


@contextmanager
def live_ground(folder: Path) -> Iterator[Ground]:
    """On the server that the environment names; what is made there stays, under `FDD_LIVE_GERRIT_PARENT`."""
    url, user, password = (os.environ[name] for name in LIVE)
    config = {"url": url, "username": user, "parent": os.environ.get(PARENT, "")}
    source = GerritSource(GerritConfig.of(config, {"password": password}, git_config(folder)))
    name = f"fdd-live/{uuid.uuid4().hex[:12]}"
    scheme, _, rest = source.config.base.partition("://")
    remote = f"{scheme}://{_quoted(user)}:{_quoted(password)}@{rest}/a/{name}"
    yield Ground(source, Repository(name), remote, folder)


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


GROUNDS = {"git": git_ground, "gerrit": simulated_ground, "live": live_ground}
