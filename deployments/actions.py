"""What people do to services: one function starts every change, whatever door it came through."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Max
from django.db.models.functions import Now
from django.utils import timezone

from builds.models import Version
from clusters.freezing import Freeze
from clusters.models import Machine
from clusters.runtimes import local_traffic
from deployments import approvals, frozen, plans
from deployments.models import Deployment, Service
from deployments.rights import require_change
from fangduoduo_release.audit import trail
from fangduoduo_release.common import events, runs
from fangduoduo_release.common.actor import name_of, user_or_none
from fangduoduo_release.common.errors import Conflict, Invalid
from fangduoduo_release.common.models import Event
from fangduoduo_release.common.queue import ring
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.settling import settle
from permissions import policy
from projects.models import Project

MAX_REASON = 300


def ensure_service(project: Project, machine: Machine) -> Service:
    """The service row for this project on this machine, with its stable port on kinds that have one."""
    service = plans.service_for(project, machine)
    while service is None:
        port = None
        if machine.cluster.kind == "local":
            used = Service.objects.exclude(port=None).values_list("port", flat=True)
            port = local_traffic().free_port([number for number in used if number is not None])
        try:
            with transaction.atomic():
                Service.objects.create(project=project, machine=machine, port=port)
        except IntegrityError:
            pass  # somebody made it, or took the port, in between: look again
        service = plans.service_for(project, machine)
    return service


def draft_service(project: Project, machine: Machine) -> Service:
    """The service, or an unsaved one to preview with."""
    return plans.service_for(project, machine) or Service(project=project, machine=machine)


def preview_deployment(
    *,
    actor: Any,
    project: Project,
    machine: Machine,
    action: str,
    version: Version | None = None,
    replicas: int | None = None,
    take_over: bool = False,
) -> plans.Preview:
    """What the change would do; changes nothing. Raises NotFound (may not see), Invalid, Conflict, Rejected."""
    policy.require(actor, "view_project", project)
    service = draft_service(project, machine)
    choice = plans.choose(service, action, version=version, replicas=replicas, take_over=take_over)
    return plans.preview(service, choice)


def start_deployment(
    *,
    actor: Any,
    project: Project,
    machine: Machine,
    action: str,
    version: Version | None = None,
    replicas: int | None = None,
    strategy: str = Deployment.Strategy.ROLLING,
    reason: str = "",
    take_over: bool = False,
) -> Deployment:
    """Queue one change to one service, or let it wait where others must approve. `take_over`: of fields that somebody else
    set in the cluster. Raises Denied, Invalid, Conflict (one is active; nothing to do; such fields are in the way)."""
    require_change(actor, project, machine, action)
    if project.archived and action != Deployment.Action.REMOVE:
        raise Conflict(S("The project is archived; restore it before deploying."), code="archived")
    if strategy not in Deployment.Strategy.values:
        raise Invalid(S("There is no strategy “%(strategy)s” here.", strategy=strategy), fields={"strategy": []})
    draft = draft_service(project, machine)
    _refuse_second(draft)
    choice = plans.choose(draft, action, version=version, replicas=replicas, take_over=take_over)
    freeze = frozen.overridden(actor, project, machine, choice.action)
    service = draft if draft.pk else ensure_service(project, machine)  # a refused wish takes no stable port
    facts = plans.preview(service, choice)
    if facts.conflicts and not take_over:
        raise Conflict(facts.warning_of_conflicts, code="field_conflict")
    try:
        with transaction.atomic():
            _refuse_stale(service)
            deployment = _create(actor, service, choice, facts, strategy, reason[:MAX_REASON])
            if freeze is not None:
                _pass_freeze(actor, deployment, freeze)
    except IntegrityError as error:
        raise _already_active(service) from error
    return deployment


def _create(
    actor: Any, service: Service, choice: plans.Choice, facts: plans.Preview, strategy: str, reason: str
) -> Deployment:
    last = Deployment.objects.filter(service=service).aggregate(last=Max("number"))["last"] or 0
    asked = approvals.rule_of(service.machine, choice.action)
    rule = approvals.rule_for(actor, service.project, service.machine, choice.action)
    taken = [asdict(one) for one in facts.conflicts] if choice.take_over else []
    deployment = Deployment.objects.create(
        service=service,
        state="awaiting_approval" if rule.needed else "queued",
        number=last + 1,
        action=choice.action,
        strategy=strategy,
        version=choice.version,
        previous_version=service.version,
        previous=service.last_deployment,
        restores=choice.restores,
        spec_revision=choice.spec,
        replicas=choice.replicas,
        restart_nonce=choice.nonce,
        reason=reason,
        take_over=bool(taken),
        started_by=user_or_none(actor),
        pins={**facts.pins, "taken_over": taken} if taken else facts.pins,
        manifest=facts.manifest,
        diff=facts.diff,
        total=choice.replicas,
        expected_ms=facts.expected_ms,
        approvals_needed=rule.needed,
        approver_role=rule.role if rule.needed else "",
        next_at=Now(),
    )
    events.record(deployment, "queued", S("Asked for by %(who)s.", who=name_of(actor)), reason=reason)
    if rule.needed:
        _let_wait(deployment, rule)
    elif asked.needed:
        _pass_approval(actor, deployment, asked)
    events.record(service, "deployment", deployment=deployment.pk)
    trail.record(
        actor,
        f"deployment.{choice.action}",
        deployment,
        before={"version": service.version.number if service.version else None, "replicas": service.replicas},
        after={
            "version": choice.version.number if choice.version else None,
            "replicas": choice.replicas,
            "machine": service.machine.name,
            "reason": reason,
            **({"takes_over": [f"{one['what']} {one['field']} ({one['owner']})" for one in taken]} if taken else {}),
        },
    )
    ring("deployment", deployment.pk)
    return deployment


def _let_wait(deployment: Deployment, rule: approvals.Rule) -> None:
    """Fix what exactly is to be approved and until when, and tell those who may."""
    deployment.asked_sha256 = approvals.fingerprint(deployment)
    deployment.deadline_at = timezone.now() + timedelta(hours=settings.APPROVAL_HOURS)
    deployment.save(update_fields=["asked_sha256", "deadline_at"])
    events.record(deployment, "state", rule.warning, state="awaiting_approval")
    approvals.tell_waiting(deployment)


def _pass_approval(actor: Any, deployment: Deployment, asked: approvals.Rule) -> None:
    """Loudly: an emergency lets it begin without the people who would have to agree."""
    word = S("An emergency is open: it begins without the %(count)s who would have to approve.", count=asked.needed)
    events.record(deployment, "despite_approval", word)
    facts = {"needed": asked.needed, "role": str(asked.role)}
    trail.record(actor, "deployment.despite_approval", deployment, after=facts)


def _pass_freeze(actor: Any, deployment: Deployment, freeze: Freeze) -> None:
    deployment.despite_freeze = freeze.sentence.as_json()
    deployment.save(update_fields=["despite_freeze"])
    frozen.tell_everybody(actor, deployment, freeze)


def _refuse_stale(service: Service) -> None:
    """What was chosen and previewed must still be true: a change that ended meanwhile must not be undone unseen."""
    now = Service.objects.select_for_update().get(pk=service.pk)
    if now.last_deployment_id != service.last_deployment_id:
        raise Conflict(
            S("%(service)s was changed by somebody else a moment ago; look again.", service=str(service)),
            code="changed_meanwhile",
        )


def _refuse_second(service: Service) -> None:
    if service.pk and service.deployments.filter(state__in=Deployment.STATES.active).exists():
        raise _already_active(service)


def _already_active(service: Service) -> Conflict:
    active = (
        service.deployments.filter(state__in=Deployment.STATES.active).select_related("started_by", "version").first()
    )
    who = active.started_by.username if active and active.started_by else "system"
    return Conflict(
        S(
            "Another change to %(service)s is under way (%(action)s, started by %(who)s); wait for it or cancel it.",
            service=str(service),
            action=active.action if active else "",
            who=who,
        ),
        code="deployment_active",
    )


def cancel_deployment(*, actor: Any, deployment: Deployment) -> None:
    """Ask for a stop; what ran before is restored. Raises Denied, Conflict."""
    require_change(actor, deployment.service.project, deployment.service.machine, deployment.action)
    with transaction.atomic():
        runs.request_cancel(deployment, name_of(actor))
        trail.record(actor, "deployment.cancel", deployment)
        ring("deployment", deployment.pk)


def pause_deployment(*, actor: Any, deployment: Deployment, paused: bool) -> None:
    """Hold a running deployment where it is, or let it go on. Raises Denied, Conflict."""
    require_change(actor, deployment.service.project, deployment.service.machine, deployment.action)
    source, target = ("running", "paused") if paused else ("paused", "running")
    with transaction.atomic():
        # A compare-and-set from a door: the engine sees the new state at its next look.
        moved = Deployment.objects.filter(pk=deployment.pk, state=source, cancel_requested_at=None)
        longer = {} if paused else {"deadline_at": F("deadline_at") + _rested(deployment)}
        if not moved.update(state=target, **longer):
            raise Conflict(S("It is not %(state)s now.", state=source), code="illegal_move")
        word = S("Paused by %(who)s.", who=name_of(actor)) if paused else S("Resumed by %(who)s.", who=name_of(actor))
        events.record(deployment, "state", word, state=target)
        trail.record(actor, "deployment.pause" if paused else "deployment.resume", deployment)
        runs.poke(deployment)
        ring("deployment", deployment.pk)


def _rested(deployment: Deployment) -> timedelta:
    """How long it has been paused: time that its deadline does not count."""
    paused = Event.objects.filter(topic=deployment.topic, kind="state", data__state="paused").order_by("-seq").first()
    return max(timedelta(0), timezone.now() - paused.at) if paused else timedelta(0)


def settle_for_ops(*, actor: Any, run: Deployment, retry: bool) -> None:
    """A deployment that waits for ops: try again, or end it as failed. Ops only. Raises Denied, Conflict."""
    policy.require_ops(actor)
    with transaction.atomic():
        settle(actor=actor, run=run, retry=retry)
        trail.record(actor, "deployment.retry" if retry else "deployment.give_up", run)
