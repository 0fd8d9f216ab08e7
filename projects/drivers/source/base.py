"""The contract of the source family: what the portal may ask of a place where repositories live.

A kind (`git` here, `gerrit` and others beside it) answers in these frozen values and raises only the errors of
`fangduoduo_release.common.errors`: Invalid (malformed name), NotFound (no such ref, file, repository), Conflict (exists
already), Unavailable (try again later), Rejected (the server said no). It must not know projects, builds or Django.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from .news import (
    HEADS,
    TAGS,
    ZERO,
    ChangeMoved,
    Moved,
    News,
    PatchSet,
    Person,
    PushEvent,
    RepositoryNews,
    short_name,
)

__all__ = [
    "HEADS", "STILL_FETCHING", "TAGS", "ZERO", "ChangeMoved", "Commit", "Credentials", "FileContent", "FileEntry", "Moved", "News",
    "PatchSet", "Person", "Poll", "PushEvent", "Ref", "Repository", "RepositoryNews", "RepositoryState", "Reviewing",
    "Source", "Starter", "short_name",
]  # fmt: skip


STILL_FETCHING = "still_fetching"
"""The code of an Unavailable that says nothing against the server: what is asked for is on its way."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to sign in at a bound repository. Never printed: only `username` shows in a repr.

    Over HTTP `username` and `secret` (password or token); over SSH `ssh_key`, an unencrypted private key's text.
    """

    username: str = ""
    secret: str = field(default="", repr=False)
    ssh_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository as the driver is asked for it.

    `name` is the portal's slug (kind `git`) or the server's project name (kinds with a server); `url` is set only
    for a repository that lives elsewhere and is bound by its address.
    """

    name: str
    url: str = ""
    credentials: Credentials = field(default_factory=Credentials)

    @property
    def bound(self) -> bool:
        return bool(self.url)


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit; times are aware and in UTC; `message` is the whole text, `subject` its first line."""

    sha: str
    parents: tuple[str, ...]
    author: Person
    authored_at: datetime
    committed_at: datetime
    message: str

    @property
    def subject(self) -> str:
        return self.message.partition("\n")[0].strip()

    @property
    def short(self) -> str:
        return self.sha[:10]


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch or a tag: full name, the commit it leads to (annotated tags peeled), that commit's time and subject."""

    name: str
    sha: str
    committed_at: datetime | None = None
    subject: str = ""

    @property
    def short(self) -> str:
        return short_name(self.name)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A path at a commit. `kind` is file, executable, link or submodule; `size` is in bytes (0 for submodules)."""

    path: str
    kind: str
    size: int
    sha: str


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file's bytes at a commit; `sha` is the blob's."""

    path: str
    sha: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Poll:
    """What moved since `seen`, and the tips to remember for the next poll.

    `more` says that further moves wait: they are left out of `events` *and* of `tips`, the next poll reports them.
    """

    events: tuple[PushEvent, ...]
    tips: Mapping[str, str]
    more: bool = False


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """The answer to "is this a repository we can work with?"; `default_branch` is a short name, "" when unknown."""

    default_branch: str
    empty: bool


@dataclass(frozen=True, slots=True)
class Starter:
    """A set of files a new repository can begin with; `title` and `summary` come from its README."""

    name: str
    title: str
    summary: str


@dataclass(frozen=True, slots=True)
class NewRepository:
    """What is wished of a new repository besides its name; kinds take what they know and ignore the rest.

    `parent`: what it takes its access rights from. `group`: who owns it. Empty: as the connection says. `branches`: short
    names, the first one is the default; empty: as the server does it.
    """

    description: str = ""
    parent: str = ""
    group: str = ""
    branches: tuple[str, ...] = ()


@runtime_checkable
class Source(Protocol):
    """A place where repositories live. Every call is bounded in time and in what it returns.

    A `ref` argument is a branch, a tag, a full ref name, or a (possibly short) sha; nothing else is understood.
    """

    kind: ClassVar[str]

    def starters(self) -> Sequence[Starter]:
        """What `create_repository` can begin with; empty for kinds that cannot."""

    def create_repository(
        self,
        repository: Repository,
        *,
        starter: str = "",
        author: Person | None = None,
        wishes: NewRepository | None = None,
    ) -> str:
        """Make it, with a first commit from `starter` (empty without one); its sha or "". Conflict if it exists."""

    def exists(self, repository: Repository) -> bool:
        """Whether it is there. Never raises NotFound."""

    def state(self, repository: Repository) -> RepositoryState:
        """Look at the repository itself (for a bound one: at its server). NotFound, Rejected, Unavailable."""

    def refresh(self, repository: Repository, *, ref: str = "") -> None:
        """Bring what this side keeps up to date, and `ref` too where it is neither a branch nor a tag (a change's);
        nothing to do for repositories that live here. Unavailable STILL_FETCHING: it goes on by itself."""

    def branches(self, repository: Repository, *, limit: int = 10_000) -> Sequence[Ref]:
        """Newest commit first."""

    def tags(self, repository: Repository, *, limit: int = 10_000) -> Sequence[Ref]:
        """Newest commit first."""

    def resolve(self, repository: Repository, ref: str) -> Commit:
        """The commit that `ref` leads to. NotFound (codes `unknown_ref`, `empty_repository`), Invalid."""

    def log(
        self, repository: Repository, ref: str, *, after: str = "", path: str = "", limit: int = 100
    ) -> list[Commit]:
        """Commits that lead to `ref` and are not yet in `after`, newest first, at most `limit`."""

    def read_file(self, repository: Repository, ref: str, path: str, *, max_bytes: int = 1 << 20) -> FileContent:
        """A file at a commit. NotFound, Invalid (`file_too_large`, not a plain file)."""

    def list_files(self, repository: Repository, ref: str, path: str = "", *, limit: int = 10_000) -> list[FileEntry]:
        """Every file below `path` in name order, at most `limit`."""

    def changed_files(self, repository: Repository, old: str, new: str, *, limit: int = 10_000) -> list[str] | None:
        """Paths that differ between two commits (`old` ZERO: that `new` brings, compared with its first parent), at
        most `limit`; None when there are more, or when `old` is not there any more."""

    def poll(self, repository: Repository, seen: Mapping[str, str] | None, *, limit: int = 500) -> Poll:
        """Compare tips of branches and tags with `seen` (full name -> sha). None takes them as they are: no events."""

    def clone_url(self, repository: Repository) -> str:
        """The address people and builders clone from; carries no credentials."""

    def checkout(self, repository: Repository, sha: str, into: Path) -> None:
        """Put a work tree of that commit, with its history at hand, into the empty or absent directory `into`."""


@runtime_checkable
class Reviewing(Protocol):
    """What a kind adds whose server has changes under review, with votes and comments."""

    def open_changes(self, repository: Repository, *, limit: int = 100) -> Sequence[PatchSet]:
        """The newest text of each open change, last changed first."""

    def held(self, repository: Repository, sha: str) -> bool:
        """Whether a branch or a tag leads to this commit; else it is only under review. NotFound."""

    def patch_set(self, repository: Repository, number: int) -> PatchSet:
        """The newest text of a change. NotFound."""

    def review(
        self, repository: Repository, number: int, sha: str, *, message: str, value: int | None = None, tag: str = ""
    ) -> None:
        """Comment on this text of the change and vote `value` (None: no vote) on the connection's label.
        Rejected: `no_label`, `bad_vote`, `no_permission`, `closed`; NotFound."""

    def reviewed(self, repository: Repository, number: int, sha: str, text: str) -> bool:
        """Whether a message that contains `text` stands there already; asked after an answer was lost."""
