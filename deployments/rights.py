"""Who may change a service: asked by every door before a change is queued, and by the engine before it begins one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clusters.models import Machine
from deployments import configuring
from deployments.models import Deployment, Service
from fangduoduo_release.common.errors import Denied
from fangduoduo_release.common.sentence import S
from permissions import policy
from projects import grants
from projects.deciders import OWNERS_DECIDE
from projects.models import Project

HIDDEN = S("What changes holds texts of its configuration; they are for those who may build the project.")


def require_change(actor: Any, project: Project, machine: Machine, action: str, *, granted: bool | None = None) -> None:
    """May this actor make this kind of change on this machine? `granted`: whether the project may use it, where that is
    known. Raises NotFound, Denied."""
    operating = action in {Deployment.Action.RESTART, Deployment.Action.SCALE, Deployment.Action.REMOVE}
    if machine.environment == "test" and action != Deployment.Action.REMOVE:
        policy.require(actor, "deploy_test_project", project)
    else:
        policy.require(actor, "operate_project" if operating else "deploy_project", project)
    if granted is None:
        granted = action == Deployment.Action.REMOVE or grants.has_machine(project, machine)
    if action != Deployment.Action.REMOVE and not granted:
        raise Denied(
            S("%(project)s has no grant for the machine %(machine)s.", project=project.slug, machine=machine.name),
            rule="machine_grant",
            granted_by=policy.owners_of(project) if machine.environment in OWNERS_DECIDE else ["ops"],
            request_url=policy.request_url(project, machine=machine.name),
        )


def may_read_texts(actor: Any, project: Project, pin: Mapping[str, Any] | None) -> bool:
    """A manifest repeats the texts of the configuration that is pinned; those are for whoever may build with them."""
    return configuring.pinned(pin) is None or policy.may(actor, "build_project", project)


def unreadable(project: Project) -> Denied:
    """Why a manifest is not shown."""
    return Denied(HIDDEN, rule="config_texts", granted_by=policy.owners_of(project))


def require_terminal(actor: Any, service: Service) -> None:
    """May this actor open a terminal in its instances? Whoever may restart them: a shell can do that, and more."""
    require_change(actor, service.project, service.machine, Deployment.Action.RESTART)


def may_open_terminal(actor: Any, service: Service, *, granted: bool) -> bool:
    """The same as a quick yes or no, for pages that show many."""
    codename = "deploy_test_project" if service.machine.environment == "test" else "operate_project"
    return granted and policy.may(actor, codename, service.project)
