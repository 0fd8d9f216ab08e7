"""Pages of one project's board, of deployments, and of one deployment."""

from __future__ import annotations

from typing import Any

from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from clusters import freezing
from clusters.models import Machine
from deployments import approvals, board, config_shown, freshness, plans, rights, scaling
from deployments.addresses import address_of
from deployments.api.views import DeploymentFilter, fetch_deployment, rows
from deployments.cards import cards, rows_of, versions_of
from deployments.models import Deployment
from deployments.views.services import terminal_of
from fangduoduo_release.common.models import Event
from fangduoduo_release.common.paging import page_of
from permissions import policy
from permissions.enforce import OBJECT, SIGNED_IN, Page
from projects.models import Project
from projects.pages import fetch_project, machines_asked, project_context

EVENTS = 300
_LAST_LINES, _CLUSTER = _("The last lines it wrote"), _("What the cluster says")
EVIDENCE = {
    **dict.fromkeys(("crash_loop", "not_ready", "start_failed"), _LAST_LINES),
    "probe_failing": _("What the check answered, and the last lines it wrote"),
    **dict.fromkeys(("image_pull", "unschedulable", "quota", "webhook_denied", "deadline", "rejected"), _CLUSTER),
}
SHOWN = 10  # projects of each machine


class ProjectBoard(Page):
    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        row = board.matrix([project])[1][0]
        prefetch_related_objects([cell.service for cell in row.cells if cell.service], "instances")
        context = {
            **project_context(self.actor, project, "board"),
            "row": row,
            "lanes": board.lanes(row),
            "asked": machines_asked(project),
        }
        asked = {one.machine_id: one for one in context["asked"]}
        frozen = freezing.badges([cell.machine for cell in row.cells])
        services = [cell.service for cell in row.cells if cell.service is not None]
        known, changed = freshness.of_services(services), config_shown.changed_since(services)
        for cell in row.cells:
            cell.freeze, cell.asked = frozen.get(cell.machine.pk), asked.get(cell.machine.pk)
            if cell.service is not None:
                cell.service.project = project  # whoever judges by it need not fetch it again
                cell.terminal = terminal_of(self.actor, cell.service, granted=cell.granted)
                cell.known, cell.config_changed = known[cell.service.pk], changed.get(cell.service.pk, 0)
        part = request.GET.get("part") == "live"
        return render(request, "deployments/board_part.html" if part else "deployments/board.html", context)


class ProjectDeployments(Page):
    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        found = DeploymentFilter(request.GET, rows().filter(service__project=project)).qs
        context = {**project_context(self.actor, project, "deployments"), "page": page_of(request, found)}
        return render(request, "deployments/project_deployments.html", context)


class Deployments(Page):
    permission = SIGNED_IN

    def get(self, request: HttpRequest) -> HttpResponse:
        found = DeploymentFilter(request.GET, policy.visible(self.actor, rows())).qs
        states = Deployment.STATES.choices
        context = {"page": page_of(request, found), "states": states, "chosen": request.GET.getlist("state")}
        return render(request, "deployments/deployments.html", context)


class DeploymentPage(Page):
    permission = OBJECT

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        deployment = fetch_deployment(self.actor, pk)
        if request.GET.get("part") == "manifest":
            if not self.may_read(deployment):
                raise rights.unreadable(deployment.service.project)
            return render(request, "deployments/manifest.html", {"deployment": deployment})
        part = request.GET.get("part") == "live"
        template = "deployments/deployment_part.html" if part else "deployments/deployment.html"
        return render(request, template, self.context(deployment))

    def may_read(self, deployment: Deployment) -> bool:
        return rights.may_read_texts(self.actor, deployment.service.project, deployment.pins.get("config"))

    def context(self, deployment: Deployment) -> dict[str, Any]:
        service = deployment.service
        project: Project = service.project
        events = list(Event.objects.filter(topic=deployment.topic).order_by("seq")[:EVENTS])
        held = policy.permissions_on(self.actor, project)
        latest = not service.deployments.filter(pk__gt=deployment.pk).exists()
        pins = deployment.pins
        return {
            "deployment": deployment,
            "service": service,
            "project": project,
            "machine": service.machine,
            "events": events,
            "instances": cards(rows_of(service), versions_of(deployment), pins.get("digest") or ""),
            "config": config_shown.shown(pins.get("config")),
            "tag_only": deployment.version is not None and not pins.get("digest"),
            "logs_url": reverse("service-logs", args=[service.pk]),
            "evidence_title": EVIDENCE.get((deployment.error or {}).get("code", "")),
            "address": address_of(service),
            "latest": latest,
            "hidden": None if self.may_read(deployment) else rights.HIDDEN,
            "by_load": scaling.decided_by_load(deployment),
            "may_change": bool({"deploy_project", "deploy_test_project"} & held),
            "can_roll_back": latest and deployment.is_final and plans.can_roll_back(service),
            **self.approval(deployment),
        }

    def approval(self, deployment: Deployment) -> dict[str, Any]:
        """Who has decided, who may, and whether the reader is asked; costs nothing where nobody has to agree."""
        if not deployment.asked_sha256:
            return {}
        now = approvals.standing(deployment)
        found: dict[str, Any] = {"standing": now, "decisions": deployment.approvals.all()}
        if deployment.state != "awaiting_approval":
            return found
        decided = any(row.decided_by_id == self.actor.pk for row in found["decisions"])
        refusal = approvals.why_not(self.actor, deployment)
        return {
            **found,
            "asks_me": refusal is None and not decided and now.rejected is None,
            "refusal": refusal,
            "mine": deployment.started_by_id == self.actor.pk,
            "to_ask": approvals.people_to_ask(deployment)[: approvals.NAMED] if now.missing else [],
        }


class Machines(Page):
    """Every machine, what runs there of mine, and whether my projects may use it."""

    permission = SIGNED_IN

    def get(self, request: HttpRequest) -> HttpResponse:
        machines = list(Machine.objects.select_related("cluster"))
        projects = policy.visible(self.actor, Project.objects.filter(archived=False))
        uses = board.uses(projects)
        chosen = {pk for pks in uses.values() for pk in pks[:SHOWN]}
        found: dict[int, list[Any]] = {m.pk: [] for m in machines}
        mine = list(Project.objects.filter(pk__in=chosen).order_by("slug"))
        for row in board.matrix(mine, with_builds=False)[1]:
            for cell in row.cells:
                if row.project.pk in uses.get(cell.machine.pk, [])[:SHOWN]:
                    found[cell.machine.pk].append({"project": row.project, "cell": cell})
        frozen = freezing.badges(machines)
        shown = [
            (machine, found[machine.pk], len(uses.get(machine.pk, [])), frozen.get(machine.pk)) for machine in machines
        ]
        return render(request, "deployments/machines.html", {"machines": shown})
