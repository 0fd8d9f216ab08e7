"""Home: what needs me, what is changing now, where everything runs."""

from __future__ import annotations

from typing import Any

from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Count,
    Exists,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from builds.finding import commit_is, is_commit
from builds.models import Build, InputRequest, Version
from clusters import observed
from clusters.models import Machine
from deployments import board
from deployments.models import Deployment, DeploymentApproval
from fangduoduo_release.common.models import InboxItem
from fangduoduo_release.common.paging import near_to
from permissions import policy
from permissions.enforce import SIGNED_IN, Page
from permissions.roles import Role, mark_of
from projects import deciders, grants, listening
from projects.models import MachineGrant, Project, RoleGrant
from projects.pages import SOON

ROWS = 20  # by twelve machines that is as much as a page may cost
FEW = 8
FOUND = 20


def needs_me(actor: Any) -> dict[str, Any]:
    """Questions to answer, my builds that failed and were not mended since, runs that wait for ops."""
    projects = policy.visible_projects(actor, "build_project").values("pk")
    mended = Build.objects.filter(
        project=OuterRef("project"), ref=OuterRef("ref"), pk__gt=OuterRef("pk"), state="succeeded"
    )
    failed = Build.objects.filter(started_by=actor, state__in=("failed", "unstable")).filter(~Exists(mended))
    found: dict[str, Any] = {
        "questions": InputRequest.objects.filter(answer="", build__state="running", build__project__in=projects)
        .select_related("build__project")
        .order_by("id")[:FEW],
        "failed": failed.select_related("project").order_by("-id")[:FEW],
        **counted(actor),
    }
    found["nothing"] = not any(found.values())
    return found


def counted(actor: Any) -> dict[str, Any]:
    """How many requests wait for my decision, emergencies for my review, grants of mine end soon, runs wait for ops,
    servers are not listened to, clusters are not followed: one question for all. Where it is one request, its number leads straight to it."""
    soon = {"until__lte": timezone.now() + SOON, "emergency": False}
    kept = Project.objects.none() if policy.is_ops(actor) else policy.visible_projects(actor, "change_project")
    parts: list[tuple[str, QuerySet[Any]]] = [
        ("decide", deciders.waiting_for(actor)),
        ("ending", RoleGrant.objects.filter(grants.live(), user=actor, **soon)),
        ("ending", MachineGrant.objects.filter(grants.live(), project__in=kept.only("pk"), **soon)),
    ]
    if policy.is_ops(actor):
        parts += [("stuck", model._default_manager.filter(needs_ops=True)) for model in (Build, Deployment, InboxItem)]
        parts.append(("review", deciders.reviews_due(actor)))
        parts.append(("silent", listening.silent(listening.ALARM_S)))
        parts.append(("unfollowed", observed.unfollowed(observed.ALARM_S)))
    rows = [
        part.order_by().annotate(what=Value(what, CharField())).values("what").annotate(n=Count("pk"), first=Min("pk"))
        for what, part in parts
    ]
    found: dict[str, Any] = {
        "decide": 0,
        "review": 0,
        "ending": 0,
        "stuck": 0,
        "silent": 0,
        "unfollowed": 0,
        "only": {},
    }
    for what, n, first in (
        rows[0]
        .values_list("what", "n", "first")
        .union(*(row.values_list("what", "n", "first") for row in rows[1:]), all=True)
    ):
        found[what] += n
        if n == 1:
            found["only"][what] = first
    return found


def waits_for(actor: Any) -> Q:
    """Deployments that wait for a decision this person may make and has not made."""
    allowed = Q()
    if not policy.is_ops(actor):
        for role in Role.values:
            mine = policy.visible_projects(actor, mark_of(role)).values("pk")
            allowed |= Q(service__machine__approver_role=role, service__project__in=mine)
    decided = DeploymentApproval.objects.filter(deployment=OuterRef("pk"), decided_by=actor)
    asked_by_others = Q(started_by=None) | ~Q(started_by=actor)
    return allowed & asked_by_others & Q(state="awaiting_approval") & Q(~Exists(decided))


def changing_now(actor: Any) -> dict[str, Any]:
    """Runs under way that the actor may see; `waiting` are the deployments that wait for the actor (one question for
    both, those first)."""
    builds = policy.visible(actor, Build.objects.filter(state__in=Build.STATES.active).select_related("project"))
    asks_me = Case(When(waits_for(actor), then=Value(True)), default=Value(False), output_field=BooleanField())
    deployments = policy.visible(
        actor,
        Deployment.objects.filter(state__in=Deployment.STATES.active)
        .select_related("service__project", "service__machine", "version", "started_by")
        .defer("manifest", "diff")
        .annotate(asks_me=asks_me),
    )
    found = list(deployments.order_by("-asks_me", "-id")[: 2 * FEW])  # type: ignore[misc]
    return {
        "builds": builds.order_by("-id")[:FEW],
        "waiting": [one for one in found if one.asks_me][:FEW],
        "deployments": [one for one in found if not one.asks_me][:FEW],
    }


def board_of(request: HttpRequest, actor: Any) -> dict[str, Any]:
    """One page of the matrix, by slug."""
    projects = policy.visible(actor, Project.objects.filter(archived=False)).order_by("slug")
    wanted = request.GET.get("q", "").strip()[:100]
    if wanted:
        projects = projects.filter(Q(slug__icontains=wanted) | Q(name__icontains=wanted))
    start = request.GET.get("from", "")[:60]
    shown = list((projects.filter(slug__gte=start) if start else projects)[: ROWS + 1])
    more = shown[ROWS].slug if len(shown) > ROWS else ""
    shown = shown[:ROWS]
    machines, rows = board.matrix(shown)
    query = request.GET.copy()
    query["from"] = more
    return {
        "machines": machines,
        "rows": rows,
        "q": wanted,
        "next": f"?{query.urlencode()}" if more else None,
        "first": request.path if start else None,
    }


class Home(Page):
    permission = SIGNED_IN

    def get(self, request: HttpRequest) -> HttpResponse:
        context = {"needs": needs_me(self.actor), "now": changing_now(self.actor), **board_of(request, self.actor)}
        part = request.GET.get("part")
        template = "deployments/home_parts.html" if part == "live" else "deployments/home.html"
        return render(request, template, context)


class Search(Page):
    """One field over projects, builds by number or commit, machines."""

    permission = SIGNED_IN

    def get(self, request: HttpRequest) -> HttpResponse:
        text = request.GET.get("q", "").strip()[:100]
        context: dict[str, Any] = {"q": text}
        if text:
            mine = policy.visible(self.actor, Project.objects.all())
            exact = mine.filter(slug=text.lower()).first()
            if exact is not None:
                return redirect(reverse("project", args=[exact.slug]))
            context["projects"] = mine.filter(Q(slug__icontains=text) | Q(name__icontains=text)).order_by("slug")[:20]
            context["builds"] = self.builds(text)
            if is_commit(text):
                versions = policy.visible(self.actor, Version.objects.select_related("project"))
                context["versions"] = versions.filter(commit_is(text)).order_by("-id")[:FOUND]
            context["machines"] = Machine.objects.filter(name__icontains=text)[:FOUND]
        return render(request, "deployments/search.html", context)

    def builds(self, text: str) -> list[Build]:
        """By number or commit of all builds, where an index helps; by words of the newest only."""
        rows = policy.visible(self.actor, Build.objects.select_related("project"))
        number = text.lstrip("#")
        match = Q()
        if number.isdecimal() and len(number) < 10:
            match |= Q(number=int(number))
        if is_commit(text):
            match |= commit_is(text)
        named = list(rows.filter(match).order_by("-id")[:FOUND]) if match else []
        words = near_to(rows).filter(commit_subject__icontains=text).order_by("-id")[: FOUND - len(named)]
        return list({build.pk: build for build in [*named, *words]}.values())
