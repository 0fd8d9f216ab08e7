"""Before a deployment begins: the wait for people, and everything that was checked at the door checked once more.

Between the click and the beginning hours may pass. Roles, grants, freezes and what is pinned may have changed; what no
longer holds ends the deployment with a sentence, before anything is touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from clusters.drivers.runtime.base import FieldConflict
from deployments import approvals, frozen
from deployments.approvals import Standing
from deployments.models import Deployment, Service
from deployments.rights import require_change
from fangduoduo_release.common import runs
from fangduoduo_release.common.actor import SYSTEM, name_of
from fangduoduo_release.common.engines import Again
from fangduoduo_release.common.errors import AppError, Conflict, Denied
from fangduoduo_release.common.sentence import S, Sentence
from projects import specs

LOOK_AGAIN_S = 60.0  # somebody's role, or the machine's rule, may change without a word to us


def wait(deployment: Deployment) -> Again | None:
    """One look at a deployment that waits for people."""
    if deployment.cancel_requested_at is not None:
        runs.transition(deployment, "cancelled", S("Cancelled by %(who)s.", who=deployment.cancel_requested_by))
        return None
    now = approvals.standing(deployment)
    if now.rejected is not None:
        known = {"who": now.rejected.decided_by_name, "note": now.rejected.note}
        why = S("Rejected by %(who)s: %(note)s", **known) if known["note"] else S("Rejected by %(who)s.", **known)
        _call_off(deployment, why, "rejected")
        return None
    if not now.missing:
        word = S("Approved by %(who)s.", who=now.names) if now.given else S("It needs no approval any more.")
        runs.transition(deployment, "queued", word)
        return Again(0)
    if deployment.approvals_needed != now.rule.needed or deployment.approver_role != now.rule.role:
        runs.write(deployment, approvals_needed=now.rule.needed, approver_role=now.rule.role)
    left = (deployment.deadline_at - timezone.now()).total_seconds() if deployment.deadline_at else LOOK_AGAIN_S
    if left <= 0:
        why = S("Nobody decided in time: it waited for %(missing)s more to approve.", missing=now.missing)
        _call_off(deployment, why, "unanswered")
        return None
    return Again(min(LOOK_AGAIN_S, left))


def _call_off(deployment: Deployment, why: Sentence, code: str) -> None:
    runs.transition(deployment, "cancelled", why, error=runs.error_of(code, why))


def wait_again(deployment: Deployment) -> bool:
    """Back to waiting when too few of those who agreed may still do so, or the machine asks for more by now."""
    now = approvals.standing(deployment)
    if not now.missing:
        return False
    with transaction.atomic():
        until = deployment.deadline_at or timezone.now() + timedelta(hours=settings.APPROVAL_HOURS)
        asked = deployment.asked_sha256 or approvals.fingerprint(deployment)
        runs.transition(
            deployment, "awaiting_approval", _why_again(now), asked_sha256=asked, deadline_at=until,
            approvals_needed=now.rule.needed, approver_role=now.rule.role,
        )  # fmt: skip
        approvals.tell_waiting(deployment)
    return True


def _why_again(now: Standing) -> Sentence:
    if now.void:
        gone = ", ".join(one.decided_by_name for one in now.void)
        return S("%(who)s may not approve any more; it waits for %(missing)s more.", who=gone, missing=now.missing)
    return S("The machine asks for approval by now: it waits for %(missing)s more.", missing=now.missing)


def check(deployment: Deployment) -> None:
    """What held when it was asked for must hold now. Raises AppError with the sentence it ends with."""
    service, who = deployment.service, deployment.started_by
    try:
        require_change(who or SYSTEM, service.project, service.machine, deployment.action)
    except AppError as error:
        rule = error.rule if isinstance(error, Denied) else "role"
        gone = S("%(who)s may not make this change any more.", who=name_of(who or SYSTEM))
        sentence = error.sentence if rule == "machine_grant" else gone
        raise Denied(sentence, rule=rule, granted_by=["ops"], code="grant_gone") from error
    freeze = frozen.overridden(who or SYSTEM, service.project, service.machine, deployment.action)
    if deployment.asked_sha256:
        _require_unchanged(deployment)
    if freeze is not None and deployment.despite_freeze is None:
        with transaction.atomic():
            runs.write(deployment, despite_freeze=freeze.sentence.as_json())
            frozen.tell_everybody(who or SYSTEM, deployment, freeze)


def _require_unchanged(deployment: Deployment) -> None:
    """What people approved is what would be done now. The manifest is compared by the engine, which renders it."""
    service = Service.objects.get(pk=deployment.service_id)
    if service.last_deployment_id != deployment.previous_id or service.version_id != deployment.previous_version_id:
        raise changed(S("The service was changed after this was asked for; ask again."))
    if deployment.action == Deployment.Action.DEPLOY:
        spec = specs.latest(deployment.service.project)
        if spec is not None and spec.pk != deployment.spec_revision_id:
            raise changed(
                S(
                    "The configuration was changed after this was asked for (spec revision %(now)s, not %(then)s); ask again.",
                    now=spec.number,
                    then=deployment.spec_revision.number if deployment.spec_revision else 0,
                )
            )
    if approvals.fingerprint(deployment) != deployment.asked_sha256:
        raise changed(S("The machine was changed after this was asked for; ask again."))


def require_agreed(deployment: Deployment, conflicts: Iterable[FieldConflict]) -> None:
    """Fields that somebody else manages are taken only where a person saw that very field and its owner. Raises Conflict."""
    agreed = [(one["what"], one["field"], one["owner"]) for one in deployment.pins.get("taken_over") or ()]
    more = [one for one in conflicts if (one.what, one.field, one.owner) not in agreed]
    if more:
        fields = ", ".join(f"{one.what} {one.field} ({one.owner})" for one in more[:5])
        sentence = S("Somebody else set in the cluster meanwhile what this would set: %(fields)s.", fields=fields)
        raise Conflict(sentence, code="field_conflict")


def changed(sentence: Sentence) -> Conflict:
    return Conflict(sentence, code="changed_meanwhile")
