"""The page of one service: what is wanted, what runs, what differs and why. Reads rows only, never a cluster."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from clusters import freezing
from deployments import config_shown, configuring, freshness, plans, scaling
from deployments.addresses import address_of
from deployments.api.services import rows
from deployments.cards import cards, rows_of, versions_of
from deployments.models import Deployment, Service
from deployments.views.services import terminal_of
from fangduoduo_release.common.errors import Invalid
from permissions import policy
from permissions.enforce import OBJECT, Page
from permissions.roles import Role
from projects import grants

LAST = 8  # deployments


class ServicePage(Page):
    permission = OBJECT

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        service = policy.fetch(self.actor, shown_rows(), pk=pk)
        part = request.GET.get("part") == "live"
        template = "deployments/service_part.html" if part else "deployments/service.html"
        return render(request, template, self.context(service))

    def context(self, service: Service) -> dict[str, Any]:
        project, machine = service.project, service.machine
        held = policy.permissions_on(self.actor, project)
        last = list(of_service(service)[:LAST])
        active = next((one for one in last if not one.is_final), None)
        return {
            "service": service,
            "project": project,
            "machine": machine,
            "instances": instances_of(service, active),
            "by_load": scaling.load_decides(service, service.spec_revision),
            "known": freshness.of_services([service])[service.pk],
            "digest": pinned_digest(service),
            "config": config_shown.shown(service.config),
            "config_drift": drift_of(service, may_read="build_project" in held),
            "deployments": last,
            "active": active,
            "can_roll_back": plans.can_roll_back(service),
            "address": address_of(service),
            "logs_url": reverse("service-logs", args=[service.pk]),
            "freeze": freezing.badges([machine]).get(machine.pk),
            **self.rights(service, held),
        }

    def rights(self, service: Service, held: Any) -> dict[str, Any]:
        """What the reader may do here, and whom to ask for the rest."""
        project = service.project
        may_deploy = "deploy_test_project" in held
        granted = grants.has_machine(project, service.machine)
        return {
            "may_deploy": may_deploy,
            "granted": granted,
            "terminal": terminal_of(self.actor, service, granted=granted),
            "owners": [] if may_deploy else policy.owners_of(project),
            "ask_developer": policy.request_url(project, Role.DEVELOPER),
        }


def shown_rows() -> Any:
    """Services with what the page shows of them, and none of the long texts that it does not."""
    heavy = ("last_deployment__manifest", "last_deployment__diff", "spec_revision__secrets")
    return rows().select_related("last_deployment__started_by").defer(*heavy)


def of_service(service: Service) -> Any:
    found = Deployment.objects.filter(service=service.pk).select_related("version", "previous_version", "started_by")
    return found.defer("manifest", "diff").order_by("-id")


def pinned_digest(service: Service) -> str:
    """What every instance should run; "" when nobody knows it (yet)."""
    if service.version is None:
        return ""
    last = service.last_deployment
    known = str(last.pins.get("digest") or "") if last is not None else ""
    return service.version.pin_on(service.machine.cluster.kind) or known


def instances_of(service: Service, active: Deployment | None) -> list[dict[str, Any]]:
    """As cards; while something is deployed, its instances are the new ones."""
    digest, rows = pinned_digest(service), rows_of(service)
    known = {digest: service.version.number} if digest and service.version is not None else {}
    if active is None or active.version is None:
        return cards(rows, known, digest)
    active.service = service
    return cards(rows, known | versions_of(active), str(active.pins.get("digest") or ""))


def drift_of(service: Service, *, may_read: bool) -> dict[str, Any] | None:
    """What the configuration's source says by now and did not when this was deployed; the texts only for those who may
    deploy them."""
    try:
        found = configuring.drift(service)
    except Invalid:
        return None  # what its spec names is no configuration any more: whoever deploys is told why
    if found is None:
        return None
    items = [
        {
            "path": one.path,
            "key": one.key,
            "was": one.was,
            "now": one.now,
            "author": one.author,
            "at": one.at,
            "diff": one.diff if may_read else "",
        }
        for one in found.items
    ]
    return {"source": found.source, "items": items, "seen_at": found.seen_at, "trouble": found.trouble}
