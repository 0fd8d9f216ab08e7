"""Who reads which rows of the trail: ops all of them, a project's owners and maintainers those of their project."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.errors import NotFound
from fangduoduo_release.common.sentence import S
from permissions import policy

CODENAME = "change_project"


def entries_for(actor: Any, project: str) -> QuerySet[AuditEntry]:
    """What the actor may read, of one project (a slug) or of all. Raises NotFound, Denied."""
    if policy.is_ops(actor):
        return AuditEntry.objects.filter(project=project) if project else AuditEntry.objects.all()
    if not project:
        policy.require_ops(actor)
    found = policy.visible_projects(actor).filter(slug=project).first()
    if found is None:
        raise NotFound(S("There is nothing here, or you may not see it."))
    policy.require(actor, CODENAME, found)
    return AuditEntry.objects.filter(project=found.slug)


def may_decide(actor: Any, project: str) -> bool:
    """Whether the actor decides requests of that project, and so may open them."""
    return policy.is_ops(actor) or policy.visible_projects(actor, "own_project").filter(slug=project).exists()
