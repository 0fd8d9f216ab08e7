"""A comparison is overtaken: while it asked the repository what moved, a server told of the same moves.

What a server tells are the pushes as they were made; a comparison often can only guess, one for each commit. Who looked
first must not decide how many builds a push makes.
"""

from __future__ import annotations

from collections.abc import Iterable

from fangduoduo_release.common.models import InboxItem
from projects.drivers.source.base import PushEvent
from projects.models import Project
from projects.noticing import KIND, topic_of


def newest_of(project: Project) -> int:
    """The newest thing that was noticed of a project; for `told_since`."""
    row = InboxItem.objects.filter(topic=topic_of(project)).order_by("-pk").values_list("pk", flat=True).first()
    return row or 0


def told_since(project: Project, mark: int, events: Iterable[PushEvent]) -> set[PushEvent]:
    """Which of these moves, found by comparison, are parts of pushes that were noticed after `mark`. A move before the
    first of those pushes is not: nobody told of it."""
    chains: dict[str, list[PushEvent]] = {}
    for event in events:
        chains.setdefault(event.ref, []).append(event)
    rows = InboxItem.objects.filter(topic=topic_of(project), kind=KIND, pk__gt=mark).values_list("payload", flat=True)
    covered: set[PushEvent] = set()
    for payload in rows:
        chain = chains.get(payload["ref"], [])
        first = next((at for at, event in enumerate(chain) if event.old == payload["old"]), None)
        if first is None:
            continue
        last = next(
            (at for at, event in enumerate(chain) if at >= first and event.new == payload["new"]), len(chain) - 1
        )
        covered.update(chain[first : last + 1])  # one that ends elsewhere went beyond what we saw
    return covered
