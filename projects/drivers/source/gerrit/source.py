"""Kind `gerrit` of the source family: what REST can say is asked there, what only git can is asked of a mirror.

The mirror is kind `git`'s, fetched over HTTP with the connection's credentials. It must not know projects of the portal,
nor who listens to events (`stream`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from fangduoduo_release.common.errors import NotFound

from ..base import (
    ZERO,
    Commit,
    FileContent,
    FileEntry,
    NewRepository,
    PatchSet,
    Person,
    Poll,
    Ref,
    Repository,
    RepositoryState,
    Starter,
)
from ..git import PORTAL, GitSource
from ..git_names import check_sha, is_sha
from . import changes, checking, creating, gaps, reading, stream
from .config import GerritConfig
from .names import check_name
from .rest import Rest, client_of

QUICK = stream.Patience(connect_s=5.0, answer_s=4.0)  # somebody waits in front of a page


class GerritSource:
    """Implements `base.Source` and `base.Reviewing`. Safe to share between threads: its state is its configuration and the
    process's kept connections."""

    kind: ClassVar[str] = "gerrit"
    Config: ClassVar[type[GerritConfig]] = GerritConfig

    def __init__(self, config: GerritConfig) -> None:
        self.config = config
        self._mirrors = GitSource(config.git)

    @property
    def rest(self) -> Rest:
        return client_of(self.config)

    def check(self) -> checking.Facts:
        """Whether the server answers over REST, and what the account lacks. Rejected, Unavailable."""
        return checking.check(self.rest)

    def look_ssh(self) -> stream.Facts | None:
        """What the server says over SSH; None for a connection without it. Not from within a loop. Rejected, Unavailable."""
        config = self.config
        if not config.ssh_host:
            return None
        return stream.look(
            stream.StreamAddress(
                config.ssh_host, config.ssh_port, config.ssh_user, config.ssh_key, config.known_hosts, QUICK
            )
        )

    def may_read(self, repository: Repository, account: str) -> bool | None:
        """Whether Gerrit lets the account with this user name read the repository; None where the portal may not ask."""
        return checking.may_read(self.rest, repository.name, account)

    # -- over REST ------------------------------------------------------------------------------------------------------

    def starters(self) -> Sequence[Starter]:
        return self._mirrors.starters()

    def create_repository(
        self,
        repository: Repository,
        *,
        starter: str = "",
        author: Person | None = None,
        wishes: NewRepository | None = None,
    ) -> str:
        """Always with a first, empty commit; the starter's files come in a second one."""
        git, name = self._mirrors.git, check_name(repository.name)
        return creating.create(self.rest, git, name, starter, author or PORTAL, wishes or NewRepository())

    def exists(self, repository: Repository) -> bool:
        return reading.exists(self.rest, repository.name)

    def state(self, repository: Repository) -> RepositoryState:
        return reading.state(self.rest, repository.name)

    def branches(self, repository: Repository, *, limit: int = 10_000) -> Sequence[Ref]:
        return reading.branches(self.rest, repository.name, limit)

    def tags(self, repository: Repository, *, limit: int = 10_000) -> Sequence[Ref]:
        return reading.tags(self.rest, repository.name, limit)

    def resolve(self, repository: Repository, ref: str) -> Commit:
        found = reading.resolve(self.rest, repository.name, ref)
        return found or self._resolve_by_git(repository, ref)

    def read_file(self, repository: Repository, ref: str, path: str, *, max_bytes: int = 1 << 20) -> FileContent:
        sha = ref if is_sha(ref) else self.resolve(repository, ref).sha
        return reading.read_file(self.rest, repository.name, sha, path, ref, max_bytes)

    def open_changes(self, repository: Repository, *, limit: int = 100) -> Sequence[PatchSet]:
        return changes.open_changes(self.rest, repository.name, limit)

    def patch_set(self, repository: Repository, number: int) -> PatchSet:
        return changes.patch_set(self.rest, repository.name, number)

    def review(
        self, repository: Repository, number: int, sha: str, *, message: str, value: int | None = None, tag: str = ""
    ) -> None:
        changes.review(self.rest, repository.name, number, sha, message, value, tag)

    def reviewed(self, repository: Repository, number: int, sha: str, text: str) -> bool:
        return changes.reviewed(self.rest, repository.name, number, sha, text)

    def poll(self, repository: Repository, seen: Mapping[str, str] | None, *, limit: int = 500) -> Poll:
        """Two requests; git is asked only when something moved."""
        now = reading.tips(self.rest, repository.name)
        return gaps.compare(
            self.rest, self._mirrors.git, repository.name, now, seen, limit, lambda: self._fetched(repository)
        )

    # -- over git -------------------------------------------------------------------------------------------------------

    def path(self, repository: Repository) -> Path:
        """Where its mirror is on this machine; says nothing about its being there."""
        return self._mirrors.path(self.config.bound(repository))

    def clone_url(self, repository: Repository) -> str:
        return self._mirrors.clone_url(self.config.bound(repository))

    def ssh_url(self, repository: Repository, user: str = "") -> str:
        """Where `user` (else: the portal's own account) clones over SSH; "" for a connection without SSH."""
        if not self.config.ssh_host:
            return ""
        host = f"[{self.config.ssh_host}]" if ":" in self.config.ssh_host else self.config.ssh_host
        name = check_name(repository.name)
        return f"ssh://{user or self.config.ssh_user}@{host}:{self.config.ssh_port}/{name}"

    def refresh(self, repository: Repository, *, ref: str = "") -> None:
        self._mirrors.refresh(self.config.bound(repository), ref=ref)

    def held(self, repository: Repository, sha: str) -> bool:
        return self._mirrors.held(self.config.bound(repository), self._fetched_sha(repository, check_sha(sha)))

    def log(
        self, repository: Repository, ref: str, *, after: str = "", path: str = "", limit: int = 100
    ) -> list[Commit]:
        sha, known = self._fetched_sha(repository, ref), self._fetched_sha(repository, after) if after else ""
        return self._mirrors.log(self.config.bound(repository), sha, after=known, path=path, limit=limit)

    def list_files(self, repository: Repository, ref: str, path: str = "", *, limit: int = 10_000) -> list[FileEntry]:
        sha = self._fetched_sha(repository, ref)
        return self._mirrors.list_files(self.config.bound(repository), sha, path, limit=limit)

    def changed_files(self, repository: Repository, old: str, new: str, *, limit: int = 10_000) -> list[str] | None:
        self._fetched_sha(repository, check_sha(new))
        if old != ZERO and not self._has(repository, check_sha(old)):
            return None
        return self._mirrors.changed_files(self.config.bound(repository), old, new, limit=limit)

    def checkout(self, repository: Repository, sha: str, into: Path) -> None:
        self._mirrors.checkout(self.config.bound(repository), self._fetched_sha(repository, check_sha(sha)), into)

    def _fetched(self, repository: Repository) -> Path:
        self.refresh(repository)
        return self.path(repository)

    def _fetched_sha(self, repository: Repository, ref: str) -> str:
        """The commit that `ref` leads to at the server, and it is in the mirror."""
        if is_sha(ref) and self._has(repository, ref):
            return ref
        sha = self.resolve(repository, ref).sha
        if not self._has(repository, sha):
            self.refresh(repository)
        if not self._has(repository, sha):  # no branch or tag leads to it: a change's
            self.refresh(repository, ref=changes.ref_of(self.rest, repository.name, sha))
        return sha

    def _has(self, repository: Repository, sha: str) -> bool:
        place = self.path(repository)
        if not (place / "HEAD").is_file():
            return False
        return self._mirrors.git.ask("cat-file", "-e", f"{sha}^{{commit}}", repository=place).code == 0

    def _resolve_by_git(self, repository: Repository, ref: str) -> Commit:
        """What is no branch and no tag: a short sha, or a tag's object. The mirror may not have it yet."""
        bound = self.config.bound(repository)
        if self._mirrors.exists(bound):
            try:
                return self._mirrors.resolve(bound, ref)
            except NotFound:
                pass  # newer than the mirror, perhaps
        if not self.exists(repository):
            raise reading.unknown_ref(self.rest, repository.name, ref)
        self.refresh(repository)
        return self._mirrors.resolve(bound, ref)
