"""From a noticed push to a build: the engine over inbox items of kind "push". One build per move of a ref."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from builds.actions import queue_build
from builds.models import Build
from fangduoduo_release.common import runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.engines import Again
from fangduoduo_release.common.errors import AppError, NotFound, Unavailable
from fangduoduo_release.common.models import InboxItem
from permissions.models import User
from projects import pushes
from projects.drivers.source.base import HEADS, TAGS, ZERO
from projects.models import Project
from projects.sources import source_of


class PushIntake:
    """Turns one accepted push into at most one build (the item's own id is the build's dedupe key)."""

    kind = "push"
    model = InboxItem

    def mine(self, rows: QuerySet[InboxItem]) -> QuerySet[InboxItem]:
        return rows.filter(kind=pushes.KIND, state=InboxItem.State.NEW)

    def advance(self, item: InboxItem) -> Again | None:
        payload: dict[str, Any] = item.payload
        project = Project.objects.filter(pk=payload["project"]).first()
        if project is None or project.archived or not _buildable(payload):
            self._end(item, result={"build": None})
            return None
        try:
            build = self._build(project, payload, item)
        except Unavailable:
            raise
        except NotFound as error:  # the branch moved on or went away before we looked
            self._end(item, result={"build": None}, error=error)
            return None
        self._end(item, result={"build": build.pk, "number": build.number})
        return None

    def _build(self, project: Project, payload: dict[str, Any], item: InboxItem) -> Build:
        source, repository = source_of(project)
        commit = source.resolve(repository, payload["new"])
        actor = User.objects.filter(username=payload.get("actor") or "").first() or SYSTEM
        return queue_build(
            actor=actor,
            project=project,
            ref=payload["ref"],
            commit=commit,
            parameters={},
            trigger=Build.Trigger.PUSH,
            dedupe_key=f"inbox:{item.pk}",
        )

    def _end(self, item: InboxItem, *, result: dict[str, Any], error: AppError | None = None) -> None:
        runs.write(
            item,
            state=InboxItem.State.DONE,
            result=result,
            error=error.sentence.as_json() if error else None,
            handled_at=Now(),
            next_at=None,
            lease_until=None,
        )


def _buildable(payload: dict[str, Any]) -> bool:
    return payload["new"] != ZERO and payload["ref"].startswith((HEADS, TAGS))
