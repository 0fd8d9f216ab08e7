"""Who may change a service: asked by every door before a change is queued, and by the engine before it begins one."""

from __future__ import annotations

from typing import Any

from clusters.models import Machine
from deployments.models import Deployment
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Denied
from fangduoduo_release.common.sentence import S
from permissions import policy
from projects import grants
from projects.deciders import OWNERS_DECIDE
from projects.models import Project


def require_change(actor: Any, project: Project, machine: Machine, action: str) -> None:
    """May this actor make this kind of change on this machine? Raises NotFound, Denied."""
    operating = action in {Deployment.Action.RESTART, Deployment.Action.SCALE, Deployment.Action.REMOVE}
    if machine.environment == "test" and action != Deployment.Action.REMOVE:
        policy.require(actor, "deploy_test_project", project)
    else:
        policy.require(actor, "operate_project" if operating else "deploy_project", project)
    if action != Deployment.Action.REMOVE and not grants.has_machine(project, machine):
        raise Denied(
            S("%(project)s has no grant for the machine %(machine)s.", project=project.slug, machine=machine.name),
            rule="machine_grant",
            granted_by=policy.owners_of(project) if machine.environment in OWNERS_DECIDE else ["ops"],
            request_url=policy.request_url(project, machine=machine.name),
        )


def require_still(deployment: Deployment) -> None:
    """May whoever asked for a change that waited in the queue still make it? Raises NotFound, Denied."""
    service = deployment.service
    require_change(deployment.started_by or SYSTEM, service.project, service.machine, deployment.action)
