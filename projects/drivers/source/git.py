"""Kind `git`: repositories that live here as bare repositories, and others bound by URL through a local mirror.

`<root>/<slug>.git` is the truth for embedded ones; `<mirrors>/<slug>.git` is a cache that may be thrown away. It must
not know who may read what, nor how pushes arrive (`projects/git_http` serves the same folders).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from fangduoduo_release.common.errors import Conflict, Invalid, NotFound
from fangduoduo_release.common.sentence import S

from . import git_leftovers, git_mirror, git_read, git_starters, git_tips
from .base import (
    HEADS,
    TAGS,
    Commit,
    FileContent,
    FileEntry,
    NewRepository,
    Person,
    Poll,
    Ref,
    Repository,
    RepositoryState,
    Starter,
)
from .git_command import Git, clean_env
from .git_names import check_sha, check_slug
from .git_remote import parse_url

PORTAL = Person("fangduoduo_release", "portal@localhost")

# Written into every repository that lives here, for people who look; the serving side sets the binding ones again.
_REPOSITORY_CONFIG = """\
[http]
	receivepack = true
	uploadpack = true
[receive]
	fsckObjects = true
	denyNonFastForwards = false
	denyDeletes = false
	autogc = false
[core]
	logAllRefUpdates = always
	hooksPath = /dev/null
[gc]
	auto = 0
"""


@dataclass(frozen=True, slots=True)
class GitConfig:
    """What kind `git` needs to know of its place. Sizes in bytes, times in seconds.

    `clone_base` is the address `/git` is served at, without a slash at its end. `allow_private` lets bound
    repositories live on loopback and private networks. A fetch that takes longer than `fetch_wait` goes on in the
    background, for at most `fetch_timeout`. `ca`: PEM; when given, servers' certificates must come from it.
    """

    root: Path
    mirrors: Path
    starters: Path
    clone_base: str
    allow_private: bool = False
    program: str = "git"
    timeout: float = 20.0
    look_timeout: float = 20.0
    fetch_wait: float = 15.0
    fetch_timeout: float = 600.0
    max_pack: int = 2 << 30
    ca: str = field(default="", repr=False)


class GitSource:
    """Implements `base.Source`. Safe to share between threads: it keeps no state but its configuration."""

    kind: ClassVar[str] = "git"

    def __init__(self, config: GitConfig) -> None:
        self.config = config
        self.git = Git(config.program, timeout=config.timeout)

    def starters(self) -> Sequence[Starter]:
        return git_starters.available(self.config.starters)

    def path(self, repository: Repository) -> Path:
        """Where the repository, or its mirror, is on this machine; says nothing about its being there."""
        base = self.config.mirrors if repository.bound else self.config.root
        return base / f"{check_slug(repository.name)}.git"

    def create_repository(
        self,
        repository: Repository,
        *,
        starter: str = "",
        author: Person | None = None,
        wishes: NewRepository | None = None,
    ) -> str:
        if repository.bound:
            raise Invalid(S("A repository that is bound by its address is not created here."), code="bound_repository")
        target = self.path(repository)
        if target.exists():
            raise self._exists_already(repository)
        self.config.root.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".new-", dir=self.config.root))
        try:
            made = building / "repository.git"
            self.git.run("init", "--quiet", "--bare", "--initial-branch=main", "--template=", "--", str(made))
            with (made / "config").open("a", encoding="ascii") as config:
                config.write(_REPOSITORY_CONFIG)
            sha = ""
            if starter:
                files = git_starters.folder(self.config.starters, starter)
                sha = git_starters.first_commit(self.git, made, files, author or PORTAL)
            try:
                made.rename(target)  # one step: there is never half a repository under its final name
            except OSError as error:
                if target.exists():
                    raise self._exists_already(repository) from error
                raise
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return sha

    def exists(self, repository: Repository) -> bool:
        path = self.path(repository)
        return git_mirror.is_filled(path) if repository.bound else (path / "HEAD").is_file()

    def state(self, repository: Repository) -> RepositoryState:
        if repository.bound:
            remote = git_mirror.look(self.git, self.config, repository)
            return RepositoryState(remote.default_branch, empty=not remote.tips)
        return git_read.state(self.git, self._here(repository))

    def refresh(self, repository: Repository, *, ref: str = "") -> None:
        """Fetch a bound repository into its mirror. NotFound (`ref`), Rejected, Unavailable, Invalid (address).

        Unavailable with the code STILL_FETCHING when it takes long: it goes on, and a later call finds what it brought.
        """
        if repository.bound:
            more = (ref,) if ref.startswith("refs/") and not ref.startswith((HEADS, TAGS)) else ()
            git_mirror.fetch(self.git, self.config, repository, self.path(repository), more=more)

    def branches(self, repository: Repository, *, limit: int = 10_000) -> Sequence[Ref]:
        return git_read.refs(self.git, self._here(repository), "refs/heads", limit)

    def tags(self, repository: Repository, *, limit: int = 10_000) -> Sequence[Ref]:
        return git_read.refs(self.git, self._here(repository), "refs/tags", limit)

    def resolve(self, repository: Repository, ref: str) -> Commit:
        return git_read.resolve(self.git, self._here(repository), ref)

    def held(self, repository: Repository, sha: str) -> bool:
        return git_read.held(self.git, self._here(repository), sha)

    def log(
        self, repository: Repository, ref: str, *, after: str = "", path: str = "", limit: int = 100
    ) -> list[Commit]:
        return git_read.log(self.git, self._here(repository), ref, after=after, path=path, limit=limit)

    def read_file(self, repository: Repository, ref: str, path: str, *, max_bytes: int = 1 << 20) -> FileContent:
        return git_read.read_file(self.git, self._here(repository), ref, path, max_bytes)

    def list_files(self, repository: Repository, ref: str, path: str = "", *, limit: int = 10_000) -> list[FileEntry]:
        return git_read.list_files(self.git, self._here(repository), ref, path, limit)

    def changed_files(self, repository: Repository, old: str, new: str, *, limit: int = 10_000) -> list[str] | None:
        return git_read.changed_files(self.git, self._here(repository), old, new, limit)

    def poll(self, repository: Repository, seen: Mapping[str, str] | None, *, limit: int = 500) -> Poll:
        """For a bound repository this asks its server for the tips and fetches only when one has moved."""
        if not repository.bound:
            here = self._here(repository)
            return git_tips.compare(self.git, here, git_tips.tips(self.git, here), seen, limit)
        remote = git_mirror.look(self.git, self.config, repository)
        mirror = self.path(repository)
        if seen is None or remote.tips != dict(seen) or not self.exists(repository):
            git_mirror.fetch(self.git, self.config, repository, mirror)
            # What was fetched may already be newer than what was looked at: the mirror is what builds will see.
            return git_tips.compare(self.git, mirror, git_tips.tips(self.git, mirror), seen, limit)
        return Poll((), remote.tips)

    def clone_url(self, repository: Repository) -> str:
        if repository.bound:
            return parse_url(repository.url).text
        return f"{self.config.clone_base}/{check_slug(repository.name)}.git"

    def checkout(self, repository: Repository, sha: str, into: Path) -> None:
        """A clone that borrows the repository's objects instead of copying them, so it costs only the work tree."""
        here = self._here(repository)
        commit = git_read.resolve(self.git, here, check_sha(sha)).sha
        env = clean_env(transports="file")
        wait = self.config.fetch_timeout
        self.git.run(
            "clone",
            "--quiet",
            "--shared",
            "--no-checkout",
            "--template=",
            "--",
            str(here),
            str(into),
            env=env,
            timeout=wait,
        )
        inside = into / ".git"
        self.git.run("config", "--", "remote.origin.url", self.clone_url(repository), repository=inside)
        work_tree = f"--work-tree={into}"
        self.git.run(
            work_tree, "checkout", "--quiet", "--force", "--detach", commit, "--", repository=inside, timeout=wait
        )

    def tidy(self, repository: Repository) -> bool:
        """Remove what killed pushes left, and pack what has piled up, if enough has; pushes never do it themselves.

        For a quiet moment, as packing a large repository takes minutes. True when git had work.
        """
        here = self._here(repository)
        git_leftovers.sweep(here)
        before = self.git.run("count-objects", repository=here)
        env = clean_env((("gc.auto", "2000"), ("gc.autoDetach", "false"), ("gc.reflogExpireUnreachable", "90.days")))
        self.git.run("gc", "--auto", "--quiet", repository=here, env=env, timeout=self.config.fetch_timeout)
        return before != self.git.run("count-objects", repository=here)

    def _here(self, repository: Repository) -> Path:
        path = self.path(repository)
        if not self.exists(repository):
            if repository.bound:
                self.refresh(repository)
                return path
            raise NotFound(S("There is no repository “%(name)s” here.", name=repository.name), code="no_repository")
        return path

    def _exists_already(self, repository: Repository) -> Conflict:
        return Conflict(S("A repository “%(name)s” exists already.", name=repository.name), code="repository_exists")
