"""What came in for a project lately: pushes and changes, and what became of each. Two questions, however many rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from builds.models import Build
from fangduoduo_release.common.models import InboxItem
from fangduoduo_release.common.sentence import told_by
from projects import pushes
from projects.drivers.source.base import TAGS, ZERO, short_name
from projects.models import Project

HEARD = {
    pushes.Via.PUSH: _("pushed here"),
    pushes.Via.STREAM: _("the server said so"),
    pushes.Via.HOOK: _("webhook"),
    pushes.Via.COMPARE: _("found by comparing"),
}
KINDS = (pushes.KIND, pushes.CHANGE)


@dataclass(frozen=True, slots=True)
class Came:
    """One piece of news. `build` is None while nothing came of it, or nothing did; `why_not` is a stored sentence."""

    item: InboxItem
    build: Build | None

    @property
    def payload(self) -> dict[str, Any]:
        return dict(self.item.payload)

    @property
    def is_change(self) -> bool:
        return self.item.kind == pushes.CHANGE

    @property
    def is_tag(self) -> bool:
        return str(self.item.payload.get("ref", "")).startswith(TAGS)

    @property
    def name(self) -> str:
        """The branch or tag that moved; for a change the branch it is meant for."""
        said = self.item.payload.get("branch") if self.is_change else self.item.payload.get("ref")
        return short_name(str(said or ""))

    @property
    def sha(self) -> str:
        return str(self.item.payload.get("new", ""))

    @property
    def gone(self) -> bool:
        return self.sha == ZERO

    @property
    def forced(self) -> bool:
        return bool(self.item.payload.get("forced"))

    @property
    def subject(self) -> str:
        """Of the change, or of what was built of the push."""
        return str(self.item.payload.get("subject") or (self.build.commit_subject if self.build else ""))

    @property
    def who(self) -> str:
        author = self.item.payload.get("author") or [""]
        return str(self.item.payload.get("actor") or author[0] or "")

    @property
    def via(self) -> str:
        return str(self.item.payload.get("via") or pushes.Via.PUSH)

    @property
    def heard(self) -> Any:
        return HEARD.get(self.via, self.via)  # type: ignore[call-overload]

    @property
    def happened_at(self) -> datetime | None:
        """By the server's own clock, where it says."""
        seconds = self.item.payload.get("happened_at")
        return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int | float) and seconds > 0 else None

    @property
    def result(self) -> dict[str, Any]:
        return dict(self.item.result or {})

    @property
    def latency_ms(self) -> int | None:
        found = self.result.get("latency_ms")
        return round(found) if isinstance(found, int | float) else None

    @property
    def why_not(self) -> dict[str, Any] | None:
        return None if self.build else self.result.get("skipped") or told_by(self.item.error)

    @property
    def state(self) -> str:
        """As `state` shows it: that of the build, else what became of the news."""
        if self.item.needs_ops:
            return "needs_ops"
        if self.build is not None:
            return "needs_ops" if self.build.needs_ops else self.build.state
        return {"new": "queued", "failed": "failed"}.get(self.item.state, "skipped")


def items_of(project: Project) -> QuerySet[InboxItem]:
    """What came in for the project."""
    return InboxItem.objects.filter(topic=pushes.topic_of(project), kind__in=KINDS)


def with_builds(items: Iterable[InboxItem]) -> list[Came]:
    """Each with the build that came of it."""
    rows = list(items)
    wanted = {(row.result or {}).get("build") for row in rows} - {None}
    builds = Build.objects.defer("parameters").in_bulk(wanted) if wanted else {}
    return [Came(row, builds.get((row.result or {}).get("build"))) for row in rows]
