"""Who is told when a deployment has ended: whoever started it, and the project's channels."""

from __future__ import annotations

from django.urls import reverse

from deployments.models import Deployment
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.notifications import outbox
from permissions import policy


def deployment_ended(deployment: Deployment) -> None:
    """Tell of a deployment that reached its goal or failed. Called in the transaction that ends it."""
    if deployment.state == "cancelled":
        return  # somebody meant it
    project = deployment.service.project
    starter = deployment.started_by
    outbox.tell(
        "deployment.finished",
        _sentence(deployment),
        people=[starter] if starter is not None and policy.may(starter, "view_project", project) else [],
        project=project.slug,
        link=reverse("deployment", args=[deployment.pk]),
        once=f"deployment:{deployment.pk}:ended",
    )


def _sentence(deployment: Deployment) -> Sentence:
    facts: dict[str, str | int] = {
        "project": deployment.service.project.slug,
        "machine": deployment.service.machine.name,
        "number": deployment.version.number if deployment.version else 0,
        "replicas": deployment.replicas,
    }
    if deployment.state == "failed":
        return _failed(deployment.action, facts)
    if deployment.action == Deployment.Action.ROLLBACK:
        return S("%(project)s was rolled back to #%(number)s on %(machine)s.", **facts)
    if deployment.action == Deployment.Action.RESTART:
        return S("%(project)s was restarted on %(machine)s.", **facts)
    if deployment.action == Deployment.Action.SCALE:
        return S("%(project)s has %(replicas)s instances on %(machine)s now.", **facts)
    if deployment.action == Deployment.Action.REMOVE:
        return S("%(project)s was removed from %(machine)s.", **facts)
    return S("%(project)s #%(number)s runs on %(machine)s now.", **facts)


def _failed(action: str, facts: dict[str, str | int]) -> Sentence:
    if action == Deployment.Action.ROLLBACK:
        return S("Rolling %(project)s back to #%(number)s on %(machine)s failed.", **facts)
    if action == Deployment.Action.RESTART:
        return S("Restarting %(project)s on %(machine)s failed.", **facts)
    if action == Deployment.Action.SCALE:
        return S("Scaling %(project)s to %(replicas)s instances on %(machine)s failed.", **facts)
    if action == Deployment.Action.REMOVE:
        return S("Removing %(project)s from %(machine)s failed.", **facts)
    return S("Deploying %(project)s #%(number)s to %(machine)s failed.", **facts)
