"""What moved in a repository: its tips now against the tips remembered.

This finds every push, also one whose notice was lost with a killed process; the same move has the same key as the
notice, so nothing happens twice. It must not know who remembers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .base import HEADS, TAGS, ZERO, Poll, PushEvent
from .git_command import Git

_FORMAT = "--format=%(refname)%00%(objectname)"


def tips(git: Git, repository: Path) -> dict[str, str]:
    """Full name -> what every branch and tag holds, in one call."""
    out = git.run("for-each-ref", _FORMAT, "--", HEADS, TAGS, repository=repository)
    found = {}
    for line in out.decode(errors="surrogateescape").splitlines():
        name, sha = line.split("\0")
        found[name] = sha
    return found


def compare(git: Git, repository: Path, now: Mapping[str, str], seen: Mapping[str, str] | None, limit: int) -> Poll:
    """The moves from `seen` to `now`, deletions first, at most `limit`; the rest waits for the next poll."""
    if seen is None:
        return Poll((), dict(now))
    gone = [PushEvent(name, old, ZERO) for name, old in seen.items() if name not in now]
    moved = [(name, seen.get(name, ZERO), new) for name, new in now.items() if seen.get(name) != new]
    known = dict(seen)
    events = []
    for event in gone[:limit]:
        events.append(event)
        del known[event.ref]
    for name, old, new in moved[: limit - len(events)]:
        events.append(PushEvent(name, old, new, forced=is_forced(git, repository, old, new)))
        known[name] = new
    return Poll(tuple(events), known, more=len(gone) + len(moved) > limit)


def is_forced(git: Git, repository: Path, old: str, new: str) -> bool:
    """Whether commits were left behind: `old` is not an ancestor of `new`, or is not even there any more."""
    if ZERO in (old, new):
        return False
    return git.ask("merge-base", "--is-ancestor", old, new, repository=repository).code != 0
