"""What happens at a place where repositories live, as plain values: a ref moved, a change got a new text, a repository
came or went. Part of the border in `base.py`, which gives these names to everybody."""

from __future__ import annotations

from dataclasses import dataclass

ZERO = "0" * 40
"""What git writes for "nothing": the old side of a created ref, the new side of a deleted one."""

HEADS = "refs/heads/"
TAGS = "refs/tags/"


@dataclass(frozen=True, slots=True)
class Person:
    """Who wrote a commit."""

    name: str
    email: str


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
    happened_at: float = 0.0
    """When it happened, by the source's own clock (seconds since 1970); 0 where it does not say."""
    gap: bool = False
    """Whoever tells of it was not there when it happened: several pushes may stand behind it."""

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
class PatchSet:
    """One text of a change under review. `number` is the change's, `patch_set` this text's; `ref` is where it is
    fetched from (`refs/changes/01/1/2`), `branch` the short name of the branch it is meant for.

    `status` is the change's: NEW, MERGED or ABANDONED. `kind` says how it differs from the text before, in the
    server's own word (REWORK, TRIVIAL_REBASE, NO_CODE_CHANGE…). Times are seconds since 1970 by the server's clock.
    """

    number: int
    patch_set: int
    sha: str
    ref: str
    branch: str
    change_id: str = ""
    subject: str = ""
    message: str = ""
    author: Person | None = None
    actor: str = ""
    url: str = ""
    kind: str = ""
    status: str = "NEW"
    happened_at: float = 0.0

    @property
    def key(self) -> str:
        return f"{self.number}:{self.patch_set}"


@dataclass(frozen=True, slots=True)
class Moved:
    """News of a server: a ref of one of its repositories moved."""

    repository: str
    event: PushEvent


@dataclass(frozen=True, slots=True)
class ChangeMoved:
    """News of a server: a change got a new text, was merged or abandoned (`patch_set.status`)."""

    repository: str
    patch_set: PatchSet


@dataclass(frozen=True, slots=True)
class RepositoryNews:
    """News of a server: a repository was made, renamed (`renamed_to`) or deleted (`gone`)."""

    repository: str
    renamed_to: str = ""
    gone: bool = False


News = Moved | ChangeMoved | RepositoryNews


def short_name(ref: str) -> str:
    """`refs/heads/main` -> `main`; anything that is no branch and no tag stays whole."""
    for prefix in (HEADS, TAGS):
        if ref.startswith(prefix):
            return ref[len(prefix) :]
    return ref
