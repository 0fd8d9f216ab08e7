"""Which projects follow which template, as queries: asked by pages and the API, always within what a person may see."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery

from builds.models import PipelineRevision, Template
from permissions import policy
from projects.models import Project


def library() -> QuerySet[Template]:
    """Every template with its `newest` revision's number and when that was made, `changed`."""
    return Template.objects.annotate(newest=Max("revisions__number"), changed=Max("revisions__created_at"))


def following(projects: QuerySet[Any]) -> QuerySet[Any]:
    """Projects with the template their pipeline comes from (`template`, `followed` its revision's number), where any."""
    now = PipelineRevision.objects.filter(project=OuterRef("pk")).order_by("-number")
    now = now.filter(Q(origin=OuterRef("pipeline_origin")) | Q(origin=PipelineRevision.Origin.SERVICE))
    return projects.annotate(
        template=Subquery(now.values("template_revision__template")[:1]),
        followed=Subquery(now.values("template_revision__number")[:1]),
        follows_by=Subquery(now.values("origin")[:1]),
    )


def counts(actor: Any) -> dict[int, int]:
    """How many projects the actor may see follow each template, by the template's id."""
    found = following(_seen(actor)).filter(template__isnull=False).values("template")
    return {row["template"]: row["n"] for row in found.annotate(n=Count("pk"))}


def projects_of(actor: Any, template: Template) -> QuerySet[Any]:
    """The projects the actor may see that follow the template."""
    return following(_seen(actor)).filter(template=template.pk).order_by("slug")


def _seen(actor: Any) -> QuerySet[Any]:
    return policy.visible(actor, Project.objects.filter(archived=False))
