"""What moved since the tips were last seen, push by push: from the branch's reflog where Gerrit lets us read it, else one
push for each commit on the first-parent line, else (too many, or history rewritten) one move.

Same rules as for kind `git`: deletions first, at most `limit`, what is left waits for the next poll. It must not know who
remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from fangduoduo_release.common.errors import Conflict, NotFound, Rejected
from fangduoduo_release.common.storable import storable

from .. import git_tips
from ..base import HEADS, ZERO, Poll, PushEvent
from ..git_command import Git
from ..git_names import is_sha
from .names import encoded, project_url
from .reading import when
from .rest import Rest

MOST_PUSHES = 100
REFLOG_LINES = 500


def compare(
    rest: Rest,
    git: Git,
    name: str,
    now: Mapping[str, str],
    seen: Mapping[str, str] | None,
    limit: int,
    mirror: Callable[[], Path],
) -> Poll:
    """`mirror` brings the mirror up to date and says where it is; asked at most once, and only when something moved."""
    if seen is None:
        return Poll((), dict(now))
    gone = [PushEvent(ref, old, ZERO) for ref, old in seen.items() if ref not in now]
    moved = [(ref, seen.get(ref, ZERO), new) for ref, new in now.items() if seen.get(ref) != new]
    known, events = dict(seen), gone[:limit]
    for event in events:
        del known[event.ref]
    place = mirror() if moved and len(events) < limit else None
    more = len(gone) > limit
    for ref, old, new in moved:
        left = limit - len(events)
        if left <= 0 or place is None:
            more = True
            break
        pushes = _pushes(rest, git, place, name, ref, old, new)
        events.extend(pushes[:left])
        known[ref] = pushes[:left][-1].new
        more = more or len(pushes) > left
    return Poll(tuple(events), known, more=more)


def _pushes(rest: Rest, git: Git, mirror: Path, name: str, ref: str, old: str, new: str) -> list[PushEvent]:
    """One move of a ref as the pushes it was made of, oldest first."""
    whole = [PushEvent(ref, old, new)]
    if git_tips.is_forced(git, mirror, old, new):
        return [PushEvent(ref, old, new, forced=True)]
    if not ref.startswith(HEADS):
        return whole
    told = _reflog(rest, name, ref, old, new)
    if told:
        return _still_there(git, mirror, told) or whole
    if old == ZERO:
        return whole  # a new branch brings history that nobody pushed just now
    line = _first_parents(git, mirror, old, new)
    return [PushEvent(ref, before, after) for before, after in pairwise([old, *line])] if line else whole


def _reflog(rest: Rest, name: str, ref: str, old: str, new: str) -> list[PushEvent]:
    """The chain of pushes from `old` to `new`, oldest first; empty when it does not reach that far, or is not to be had."""
    path = f"{project_url(name)}/branches/{encoded(ref.removeprefix(HEADS))}/reflog"
    try:
        lines = rest.get(path, (("n", str(REFLOG_LINES)),))
    except (NotFound, Conflict, Rejected):  # not the owner, or a store that keeps none
        return []
    chain: list[PushEvent] = []
    wanted = new
    for line in lines if isinstance(lines, list) else ():
        if not isinstance(line, dict):
            return []
        before, after = _sha(line, "old_id"), _sha(line, "new_id")
        if not before or after != wanted:
            if chain:
                return []  # a hole: something moved the branch without a line
            continue  # newer than what we compare with
        chain.append(_push(ref, before, after, line.get("who")))
        if before == old:
            return chain[::-1]
        wanted = before
    return []


def _push(ref: str, before: str, after: str, who: object) -> PushEvent:
    told: Mapping[str, Any] = who if isinstance(who, dict) else {}
    at = when(told.get("date"))
    actor = str(storable(told.get("email") or ""))  # full names are what people choose them to be
    return PushEvent(ref, before, after, actor=actor, happened_at=at.timestamp() if at else 0.0)


def _still_there(git: Git, mirror: Path, chain: Sequence[PushEvent]) -> list[PushEvent]:
    """Without the pushes that were taken back meanwhile: their commits can be had no more."""
    old, new = chain[0].old, chain[-1].new
    reached = {new, *_commits(git, mirror, old, new)}
    kept: list[PushEvent] = []
    at = old
    for push in chain:
        if push.new in reached and push.new != at:
            kept.append(PushEvent(push.ref, at, push.new, actor=push.actor, happened_at=push.happened_at))
            at = push.new
    return kept


def _commits(git: Git, mirror: Path, old: str, new: str) -> list[str]:
    """What `new` brings over `old`; of a new branch as much as its reflog could name and more."""
    since = [f"^{old}"] if old != ZERO else []
    out = git.run("rev-list", "--max-count=100000", new, *since, "--", repository=mirror)
    return out.decode().split()


def _first_parents(git: Git, mirror: Path, old: str, new: str) -> list[str]:
    """The commits from `old` (not among them) to `new` along first parents, oldest first; empty when there are too many, or
    when `old` is not on that line."""
    out = git.run(
        "rev-list", "--first-parent", f"--max-count={MOST_PUSHES + 1}", "--parents", new, f"^{old}", "--",
        repository=mirror,
    )  # fmt: skip
    lines = [line.split() for line in out.decode().splitlines()]
    if not lines or len(lines) > MOST_PUSHES or lines[-1][1:2] != [old]:
        return []
    return [line[0] for line in reversed(lines)]


def _sha(line: Mapping[str, Any], name: str) -> str:
    value = line.get(name)
    if not isinstance(value, str) or not is_sha(value):
        return ""
    return value if value.strip("0") else ZERO
