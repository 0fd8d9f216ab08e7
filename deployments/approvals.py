"""A deployment that waits for people: who may decide, what exactly they decide about, and when it is enough.

The rule that counts is the machine's, as it stands now, and so is the role of everybody who approved: both are asked
again when the deployment begins. Doors only write decisions down; the engine alone moves the deployment.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from clusters.models import ApproverRole, Machine
from deployments import configuring
from deployments.models import Deployment, DeploymentApproval
from fangduoduo_release.audit import trail
from fangduoduo_release.common import events, runs
from fangduoduo_release.common.actor import name_of, user_or_none
from fangduoduo_release.common.errors import AppError, Conflict, Denied, NotFound
from fangduoduo_release.common.queue import ring
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.notifications import outbox
from permissions import policy
from permissions.roles import mark_of
from projects import grants
from projects.models import Project

MAX_NOTE = 300
NAMED = 5  # people that a page names as those to ask


@dataclass(frozen=True, slots=True)
class Rule:
    """How many people of which role must agree."""

    needed: int
    role: str

    @property
    def warning(self) -> Sentence:
        if self.role == ApproverRole.OPS:
            return S("Before it starts, others must approve: %(count)s from ops.", count=self.needed)
        return S(
            "Before it starts, others must approve: %(count)s with the role %(role)s or higher.",
            count=self.needed,
            role=str(self.role),
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a deployment stands. `void`: approvals of people who may not approve any more."""

    rule: Rule
    given: list[DeploymentApproval]
    void: list[DeploymentApproval]
    rejected: DeploymentApproval | None

    @property
    def missing(self) -> int:
        return max(0, self.rule.needed - len(self.given))

    @property
    def names(self) -> str:
        return ", ".join(one.decided_by_name for one in self.given)


def rule_of(machine: Machine, action: str) -> Rule:
    """What the machine asks for this kind of change now."""
    exempt = action in Deployment.RESTORING and not machine.approve_restoring
    return Rule(0 if exempt else machine.approvals_needed, machine.approver_role)


def rule_for(person: Any, project: Project, machine: Machine, action: str) -> Rule:
    """What the machine asks of this person: nothing while an emergency of theirs is open there."""
    rule = rule_of(machine, action)
    return Rule(0, rule.role) if rule.needed and grants.emergency_alive(project, person, machine) else rule


def fingerprint(deployment: Deployment) -> str:
    """The hash of exactly what was asked; whatever of it changes afterwards needs to be asked anew."""
    service, spec, version = deployment.service, deployment.spec_revision, deployment.version
    machine, config = service.machine, configuring.pinned(deployment.pins.get("config"))
    asked = {
        "service": str(service.key),
        "project": service.project.slug,
        "machine": [machine.name, machine.cluster.name, machine.environment, machine.placement],
        "action": deployment.action,
        "version": [version.number, version.pin_on(machine.cluster.kind)] if version else None,
        "spec": [spec.number, spec.sha256] if spec else None,
        "replicas": deployment.replicas,
        "strategy": deployment.strategy,
        "restart": deployment.restart_nonce,
        "replaces": deployment.previous_id,
        "manifest": deployment.pins.get("manifest_sha256", ""),
        # Said only where there is something to say, so that what waits keeps its hash when the portal is brought up to date.
        **({"takes_over": deployment.pins.get("taken_over")} if deployment.take_over else {}),
        **({"config": config.as_json()} if config is not None else {}),
    }
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def standing(deployment: Deployment) -> Standing:
    """Every decision weighed by what its author may do now."""
    service = deployment.service
    rule = rule_for(deployment.started_by, service.project, service.machine, deployment.action)
    rows = deployment.approvals.filter(asked_sha256=deployment.asked_sha256).select_related("decided_by")
    given, void, rejected = [], [], None
    for row in rows:
        if row.verdict == DeploymentApproval.Verdict.REJECTED:
            rejected = rejected or row
        elif row.decided_by is not None and has_say(row.decided_by, deployment.service.project, rule.role):
            given.append(row)
        else:
            void.append(row)
    return Standing(rule, given, void, rejected)


def has_say(person: Any, project: Project, role: str) -> bool:
    """Whether the word of this person counts on the project (of others' deployments): their role, or ops."""
    if policy.is_ops(person):
        return True
    return role != ApproverRole.OPS and policy.may(person, mark_of(role), project)


def people_to_ask(deployment: Deployment) -> list[Any]:
    """Those who may decide: everybody with the role, and ops where too few have it. Never whoever asked."""
    rule, project = rule_of(deployment.service.machine, deployment.action), deployment.service.project
    found: list[Any] = []
    if rule.role != ApproverRole.OPS:
        found = list(policy.people_who_may(mark_of(rule.role), project).exclude(pk=deployment.started_by_id or 0))
    if len(found) < rule.needed:
        known = {person.pk for person in found}
        found += [p for p in policy.ops_people().exclude(pk=deployment.started_by_id or 0) if p.pk not in known]
    return found


def why_not(actor: Any, deployment: Deployment) -> AppError | None:
    """Why this actor may not decide about the deployment; None when they may."""
    project = deployment.service.project
    if user_or_none(actor) is None:
        return Denied(S("A deployment is approved by people."), rule="approval", granted_by=["ops"])
    if not policy.may(actor, "view_project", project):
        return NotFound(S("There is nothing here, or you may not see it."))
    if actor.pk == deployment.started_by_id:
        return Denied(
            S("You asked for this deployment yourself; somebody else must decide."),
            rule="nobody_approves_their_own",
            granted_by=[person.username for person in people_to_ask(deployment)[:NAMED]] or ["ops"],
        )
    rule = rule_of(deployment.service.machine, deployment.action)
    if has_say(actor, project, rule.role):
        return None
    sentence = (
        S("Only ops may decide about deployments to %(machine)s.", machine=deployment.service.machine.name)
        if rule.role == ApproverRole.OPS
        else S("Deciding about this needs the role %(role)s on %(project)s.", role=str(rule.role), project=project.slug)
    )
    return Denied(sentence, rule="approval", granted_by=policy.owners_of(project))


def approve_deployment(*, actor: Any, deployment: Deployment, note: str = "", seen: str = "") -> DeploymentApproval:
    """Agree to it. `seen` is the hash of what one saw. Raises NotFound, Denied, Conflict."""
    return _decide(actor, deployment, DeploymentApproval.Verdict.APPROVED, note, seen)


def reject_deployment(*, actor: Any, deployment: Deployment, note: str = "", seen: str = "") -> DeploymentApproval:
    """Say no: one rejection calls it off. Raises NotFound, Denied, Conflict."""
    return _decide(actor, deployment, DeploymentApproval.Verdict.REJECTED, note, seen)


def _decide(actor: Any, deployment: Deployment, verdict: str, note: str, seen: str) -> DeploymentApproval:
    refusal = why_not(actor, deployment)
    if refusal is not None:
        raise refusal
    approving = verdict == DeploymentApproval.Verdict.APPROVED
    with transaction.atomic():
        Deployment.objects.select_for_update().get(pk=deployment.pk)
        deployment.refresh_from_db()
        _require_undecided(actor, deployment, seen)
        row = DeploymentApproval.objects.create(
            deployment=deployment,
            asked_by=deployment.started_by,
            decided_by=actor,
            decided_by_name=name_of(actor),
            verdict=verdict,
            note=note.strip()[:MAX_NOTE],
            asked_sha256=deployment.asked_sha256,
            seen_sha256=seen or deployment.asked_sha256,
        )
        known = {"who": row.decided_by_name, "note": row.note}
        if row.note:
            word = S("%(who)s approved: %(note)s", **known) if approving else S("%(who)s rejected: %(note)s", **known)
        else:
            word = S("%(who)s approved.", **known) if approving else S("%(who)s rejected.", **known)
        events.record(deployment, str(verdict), word)
        verb = "deployment.approve" if approving else "deployment.reject"
        trail.record(actor, verb, deployment, after={"asked_sha256": row.asked_sha256, "note": row.note})
        runs.poke(deployment)
        ring("deployment", deployment.pk)
    return row


def _require_undecided(actor: Any, deployment: Deployment, seen: str) -> None:
    """It still waits, as it was seen, and this person has not spoken yet. Under the deployment's lock."""
    over = deployment.cancel_requested_at is not None or (
        deployment.deadline_at is not None and deployment.deadline_at <= timezone.now()
    )
    decided = deployment.approvals.filter(verdict=DeploymentApproval.Verdict.REJECTED).exists()
    if deployment.state != "awaiting_approval" or over or decided:
        raise Conflict(S("It does not wait for approval any more."), code="illegal_move")
    if deployment.approvals.filter(decided_by=actor).exists():
        raise Conflict(S("You have decided about it already."), code="decided")
    if fingerprint(deployment) != deployment.asked_sha256 or seen not in {"", deployment.asked_sha256}:
        raise Conflict(S("It is not what you saw any more; look again."), code="changed_meanwhile")


def tell_waiting(deployment: Deployment) -> None:
    """Those who may decide hear of it. Call inside the transaction that makes it wait."""
    who = deployment.started_by.username if deployment.started_by else "system"
    outbox.tell(
        "deployment.waiting",
        S(
            "%(who)s asks to %(action)s %(service)s.",
            who=who,
            action=deployment.action,
            service=str(deployment.service),
        ),
        people=people_to_ask(deployment),
        project=deployment.service.project.slug,
        link=f"/deployments/{deployment.pk}/",
        once=f"deployment.waiting:{deployment.pk}:{deployment.event_seq}",
    )
