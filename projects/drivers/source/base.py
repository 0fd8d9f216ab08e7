"""The contract of the source family: what the portal may ask of a place where repositories live.

A kind (`git` here, `gerrit` and others beside it) answers in these frozen values and raises only the errors of
`fangduoduo_release.common.errors`: Invalid (malformed name), NotFound (no such ref, file, repository), Conflict (exists
already), Unavailable (try again later), Rejected (the server said no). It must not know projects, builds or Django.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

ZERO = "0" * 40
"""What git writes for "nothing": the old side of a created ref, the new side of a deleted one."""

HEADS = "refs/heads/"
TAGS = "refs/tags/"


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
class Person:
    """Who wrote a commit."""

    name: str
    email: str


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
class PushEvent:
    """A ref that moved. `old` is ZERO for a created ref, `new` is ZERO for a deleted one.

    Both are what the ref holds, as git's own hooks have it: for an annotated tag the tag's object, which
    `Source.resolve` follows to its commit.

    `forced` says that `old` is not an ancestor of `new`. The same move seen twice (by the push itself and by a poll) has
    the same `key`, so an inbox with a unique key takes it once.
    """

    ref: str
    old: str
    new: str
    forced: bool = False
    actor: str = ""

    @property
    def deleted(self) -> bool:
        return self.new == ZERO

    @property
    def created(self) -> bool:
        return self.old == ZERO

    @property
    def key(self) -> str:
        return f"{self.ref}:{self.old}:{self.new}"


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


@runtime_checkable
class Source(Protocol):
    """A place where repositories live. Every call is bounded in time and in what it returns.

    A `ref` argument is a branch, a tag, a full ref name, or a (possibly short) sha; nothing else is understood.
    """

    kind: ClassVar[str]

    def starters(self) -> Sequence[Starter]:
        """What `create_repository` can begin with; empty for kinds that cannot."""

    def create_repository(self, repository: Repository, *, starter: str = "", author: Person | None = None) -> str:
        """Make it, with a first commit from `starter` (empty without one); its sha or "". Conflict if it exists."""

    def exists(self, repository: Repository) -> bool:
        """Whether it is there. Never raises NotFound."""

    def state(self, repository: Repository) -> RepositoryState:
        """Look at the repository itself (for a bound one: at its server). NotFound, Rejected, Unavailable."""

    def refresh(self, repository: Repository) -> None:
        """Bring what this side keeps up to date; nothing to do for repositories that live here."""

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

    def poll(self, repository: Repository, seen: Mapping[str, str] | None, *, limit: int = 500) -> Poll:
        """Compare tips of branches and tags with `seen` (full name -> sha). None takes them as they are: no events."""

    def clone_url(self, repository: Repository) -> str:
        """The address people and builders clone from; carries no credentials."""

    def checkout(self, repository: Repository, sha: str, into: Path) -> None:
        """Put a work tree of that commit, with its history at hand, into the empty or absent directory `into`."""


@runtime_checkable
class Listening(Protocol):
    """What a kind adds when its server tells of pushes by itself (a stream of events) instead of being polled."""

    def listen(self, *, cursor: str = "") -> Iterator[tuple[str, str, PushEvent]]:
        """(cursor, repository name, event) for ever, from after `cursor` where the server can; Unavailable ends it."""


def short_name(ref: str) -> str:
    """`refs/heads/main` -> `main`; anything that is no branch and no tag stays whole."""
    for prefix in (HEADS, TAGS):
        if ref.startswith(prefix):
            return ref[len(prefix) :]
    return ref
