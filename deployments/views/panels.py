"""The panels that slide in: one shows what a change would do and confirms it, whatever the change."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from builds import versions as version_files
from builds.models import Version
from clusters.models import Machine
from deployments import actions, approvals, config_shown, frozen, plans, rights, scaling
from deployments.api.views import fetch_deployment
from deployments.models import Deployment, Service
from fangduoduo_release.common.errors import AppError, Denied, Invalid, NotFound, Unavailable
from fangduoduo_release.common.sentence import S, Sentence
from permissions import policy
from permissions.enforce import OBJECT, Page
from projects import grants
from projects.models import Project
from projects.pages import fetch_project

CHOICES = 50


class ChangePanel(Page):
    """GET shows the panel for `?action=&machine=&version=&replicas=`; POST confirms and goes to the deployment."""

    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        return self.show(request, fetch_project(self.actor, slug), request.GET)

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        asked = self.asked(project, request.POST)
        asked.pop("machines")
        try:
            deployment = actions.start_deployment(
                actor=self.actor, project=project, reason=request.POST.get("reason", ""), **asked
            )
        except AppError as error:
            return self.show(request, project, request.POST, refused=error)
        response = HttpResponse(status=204)
        response["HX-Redirect"] = reverse("deployment", args=[deployment.pk])
        return response

    def asked(self, project: Project, given: Any) -> dict[str, Any]:
        """The form's words as rows. Raises NotFound, Invalid."""
        granted = self.machines(project)
        name = given.get("machine", "")
        machine = next((known for known in granted if known.name == name), None)
        if machine is None and name:
            machine = Machine.objects.select_related("cluster").filter(name=name).first()
        if machine is None:
            if not granted:
                raise Denied(
                    S("This project may not use any machine yet; ask for one."),
                    rule="machine_grant",
                    granted_by=["ops"],
                    request_url=policy.request_url(project, machine=""),
                )
            machine = granted[0]
        version = None
        number = given.get("version", "")
        if number:
            if not number.isdecimal() or len(number) > 9:
                raise Invalid(S("A version is a number."))
            version = project.versions.select_related("build__pipeline").filter(number=int(number)).first()
            if version is None:
                raise NotFound(S("There is no version #%(number)s in this project.", number=number))
        replicas = given.get("replicas", "")
        if replicas and not (replicas.isdecimal() and len(replicas) < 6):
            raise Invalid(S("Replicas are a number from 0 to 100."))
        return {
            "machine": machine,
            "machines": granted,
            "action": given.get("action", "deploy"),
            "version": version,
            "replicas": int(replicas) if replicas else None,
            "take_over": given.get("take_over") == "1",
        }

    def show(self, request: HttpRequest, project: Project, given: Any, refused: AppError | None = None) -> HttpResponse:
        asked = self.asked(project, given)
        machine, action = asked["machine"], asked["action"]
        service = actions.draft_service(project, machine)
        rule = approvals.rule_for(self.actor, project, machine, action)
        if action == Deployment.Action.SCALE and asked["replicas"] is None:
            asked["replicas"] = service.replicas
        choice, preview, problem = self.foresee(service, asked, rule, refused)
        context = {
            "project": project,
            "machine": machine,
            "service": service,
            "action": action,
            "action_url": reverse("project-change", args=[project.slug]),
            "production": machine.name if machine.is_production else "",
            "choice": choice,
            "preview": preview,
            "problem": problem,
            "denied": isinstance(problem, Denied),
            "unreachable": isinstance(problem, Unavailable),
            "reasons": reasons_of(problem),
            "machines": asked["machines"],
            "versions": self.versions(project, service, action),
            "chosen": choice.version if choice else asked["version"],
            "replicas": choice.replicas if choice else asked["replicas"],
            "by_load": scaling.load_decides(service, choice.spec if choice else service.spec_revision),
            "take_over": asked["take_over"],
            "config": config_shown.shown(choice.config, service.config) if choice else None,
            "rule": rule,
            "kept": bool(preview and preview.choice.version and is_kept(preview.choice.version, machine)),
            "reason": given.get("reason", ""),
        }
        return render(request, "deployments/change_panel.html", context)

    def foresee(
        self, service: Service, asked: dict[str, Any], rule: approvals.Rule, refused: AppError | None
    ) -> tuple[plans.Choice | None, plans.Preview | None, AppError | None]:
        """What is chosen, what it would do, and what is in the way; each as far as it can be known."""
        project, machine, action = service.project, service.machine, asked["action"]
        choice = preview = None
        try:
            rights.require_change(self.actor, project, machine, action, granted=machine in asked["machines"])
            words = {name: asked[name] for name in ("version", "replicas", "take_over")}
            choice = plans.choose(service, action, **words)
            if isinstance(refused, Unavailable):
                return choice, None, refused  # it was asked a moment ago
            preview = plans.preview(service, choice)
            self.judge_freeze(preview, project, machine)
        except AppError as error:
            return choice, preview, refused or error
        if not rule.needed:
            preview.warnings = [w for w in preview.warnings if w != approvals.rule_of(machine, action).warning]
        told = {(one.what, one.field, one.owner) for one in preview.conflicts}
        preview.warnings = [w for w in preview.warnings if _field_of(w) not in told]  # a table shows them
        return choice, preview, refused

    def judge_freeze(self, preview: plans.Preview, project: Project, machine: Machine) -> None:
        """A freeze is either the refusal that is shown, or a warning that it is overridden. Raises Denied."""
        if preview.freeze is None:
            return
        preview.warnings.remove(preview.freeze.sentence)
        frozen.require_emergency(self.actor, project, machine, preview.freeze)
        preview.warnings[:0] = [preview.freeze.sentence, frozen.OVERRIDDEN]

    @staticmethod
    def machines(project: Project) -> list[Machine]:
        return list(grants.granted_machines(project).select_related("cluster"))

    @staticmethod
    def versions(project: Project, service: Any, action: str) -> list[Version]:
        if action == Deployment.Action.ROLLBACK:
            return plans.rollback_versions(service, CHOICES)
        if action == Deployment.Action.DEPLOY:
            return list(project.versions.filter(removed_at=None).order_by("-number")[:CHOICES])
        return []


def is_kept(version: Version, machine: Machine) -> bool:
    """Whether what would run is still here, where this host runs it."""
    return machine.cluster.kind == "local" and version_files.is_there(version)


def _field_of(warning: Sentence) -> tuple[Any, ...]:
    return tuple(warning.params.get(name) for name in ("what", "field", "owner"))


def reasons_of(problem: AppError | None) -> list[Sentence]:
    """Every further sentence of a refusal that has several."""
    if not isinstance(problem, Invalid):
        return []
    return [one for told in problem.fields.values() for one in told if one != problem.sentence]


class DeploymentVerb(Page):
    """Approve, reject, cancel, pause or resume from the deployment's page."""

    permission = OBJECT

    def post(self, request: HttpRequest, pk: int, verb: str) -> HttpResponse:
        deployment = fetch_deployment(self.actor, pk)
        if verb == "cancel":
            actions.cancel_deployment(actor=self.actor, deployment=deployment)
        elif verb in {"pause", "resume"}:
            actions.pause_deployment(actor=self.actor, deployment=deployment, paused=verb == "pause")
        elif verb in {"approve", "reject"}:
            decide = approvals.approve_deployment if verb == "approve" else approvals.reject_deployment
            note, seen = request.POST.get("note", ""), request.POST.get("sha256", "")
            decide(actor=self.actor, deployment=deployment, note=note, seen=seen)
        else:
            raise NotFound(S("There is nothing here, or you may not see it."))
        response = HttpResponse(status=204)
        response["HX-Redirect"] = reverse("deployment", args=[deployment.pk])
        return response
