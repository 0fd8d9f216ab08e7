"""What happens next to a deployment: apply the goal, follow the roll-out, restore what ran before when it fails.

Every step asks the runtime again from the rows; a crash between any two lines is followed by the same step. The
service's wanted state changes only together with the final state, so until then the way back is known.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from clusters.drivers.runtime.base import Observed, Wanted
from clusters.runtimes import runtime_of
from deployments import beginning, observing, patience, pinning, scaling, wanted
from deployments.models import Deployment, Service
from fangduoduo_release.common import events, runs
from fangduoduo_release.common.engines import Again
from fangduoduo_release.common.errors import AppError, Unavailable
from fangduoduo_release.common.sentence import S, Sentence

WAIT_S = 0.5  # of one look at a roll-out; short, so that a wish to cancel is heard
SOON_S = 0.1
LONGEST_LOOK_S = 5.0  # kinds whose objects are watched poke a deployment when there is news


class DeploymentEngine:
    """Engine of kind "deployment"."""

    kind = "deployment"
    model = Deployment

    def __init__(self) -> None:
        self._followed = patience.Followed()

    def mine(self, rows: QuerySet[Deployment]) -> QuerySet[Deployment]:
        return rows

    def advance(self, deployment: Deployment) -> Again | None:
        if deployment.state == "awaiting_approval":
            return beginning.wait(deployment)
        if deployment.state == "queued":
            return self._begin(deployment)
        if deployment.phase == "rolling_back":
            return self._restore(deployment)
        if deployment.cancel_requested_at is not None:
            return self._turn_back(
                deployment, S("Cancelled by %(who)s.", who=deployment.cancel_requested_by), "cancelled"
            )
        try:
            return self._hold(deployment) if deployment.state == "paused" else self._roll(deployment)
        except Unavailable:
            self._followed.forget(deployment)
            raise

    def _begin(self, deployment: Deployment) -> Again | None:
        if deployment.cancel_requested_at is not None:
            runs.transition(deployment, "cancelled", S("Cancelled by %(who)s.", who=deployment.cancel_requested_by))
            return None
        if beginning.wait_again(deployment):
            return Again(0)
        try:
            beginning.check(deployment)
            if deployment.action == Deployment.Action.REMOVE:
                allowed_s = patience.of_removal(deployment.service)
            else:
                goal = wanted.of_deployment(deployment)
                plan = _runtime(deployment).plan(goal)
                scaling.require_uncontested(deployment.action, plan.scaled_by)
                allowed_s = patience.of_goal(goal, plan, deployment.service)
                beginning.require_agreed(deployment, plan.conflicts)
                if deployment.asked_sha256 and plan.sha256 != deployment.pins["manifest_sha256"]:
                    raise beginning.changed(S("What would run is not what was approved; ask again."))
                deployment.pins["manifest_sha256"] = plan.sha256
                if deployment.service.version_id is None and plan.there:
                    deployment.pins["there"] = list(plan.there)
                runs.write(deployment, pins=deployment.pins, manifest=plan.manifest)
        except Unavailable:
            raise
        except AppError as error:
            runs.fail(deployment, error.sentence, code=error.code)
            return None
        runs.transition(deployment, "running", S("Applying."), phase="applying", deadline_at=runs.in_seconds(allowed_s))
        return Again(0)

    def _hold(self, deployment: Deployment) -> Again:
        """Paused: kinds that roll by themselves are told so, once."""
        if deployment.phase == "rolling" and not deployment.pins.get("held"):
            _runtime(deployment).apply(wanted.of_deployment(deployment, paused=True))
            deployment.pins["held"] = True
            runs.write(deployment, pins=deployment.pins)
        return Again(None)

    def _roll(self, deployment: Deployment) -> Again | None:
        service = deployment.service
        runtime = _runtime(deployment)
        try:
            if deployment.action == Deployment.Action.REMOVE:
                _use_generation(deployment, wanted.generation_of(deployment))
                observed = runtime.remove(wanted.ref_of(service), wait_s=WAIT_S)
            else:
                goal = wanted.of_deployment(deployment)
                if deployment.phase == "applying" or deployment.pins.pop("held", False):
                    _use_generation(deployment, goal.generation)
                    runtime.apply(goal)
                    runs.write(deployment, phase="rolling", pins=deployment.pins)
                observed = runtime.advance(goal, wait_s=WAIT_S)
        except Unavailable:
            raise
        except AppError as error:
            return self._turn_back(deployment, error.sentence, error.code)
        self._report(deployment, observed)
        if observed.failure is not None:
            evidence = observed.failure.evidence
            return self._turn_back(deployment, observed.failure.sentence, observed.failure.code, evidence)
        if self._reached(deployment, observed):
            self._succeed(deployment)
            return None
        wrong = _other_content(deployment, observed)
        if wrong is not None:
            return self._turn_back(deployment, wrong, "other_digest")
        if self._followed.is_late(deployment):
            if deployment.action != Deployment.Action.REMOVE:
                why = S("It took longer than it may; the old version keeps serving.")
                return self._turn_back(deployment, why, "too_late")
            patience.tell(deployment)
            return Again(LONGEST_LOOK_S)
        return Again(_pause(observed))

    @staticmethod
    def _reached(deployment: Deployment, observed: Observed) -> bool:
        if deployment.action == Deployment.Action.REMOVE:
            return observed.state == "absent"
        if not deployment.pins["digest"] and observed.settled and len(observed.serving_digests) == 1:
            # Nobody could say what the tag meant; what it turned out to be is the pin from now on.
            deployment.pins["digest"] = next(iter(observed.serving_digests))
        if observed.settled and observed.staying:  # nothing that runs says nothing of it
            deployment.pins["pullable"] = observed.pullable
        return observed.green(deployment.pins["digest"]) or (observed.settled and not observed.total)

    def _report(self, deployment: Deployment, observed: Observed) -> None:
        changed = observing.store(deployment.service, observed)
        doing = observed.doing.as_json() if observed.doing else None
        counts = observed.ready, max(observed.total, deployment.replicas)
        if not changed and doing == deployment.pins.get("doing") and counts == (deployment.ready, deployment.total):
            return
        news = observed.doing if observed.doing and doing != deployment.pins.get("doing") else events.NOTHING
        with transaction.atomic():
            deployment.pins["doing"] = doing
            runs.write(deployment, ready=counts[0], total=counts[1], pins=deployment.pins)
            events.record(deployment, "progress", news, ready=observed.ready, total=observed.total)

    def _succeed(self, deployment: Deployment) -> None:
        service = deployment.service
        with transaction.atomic():
            deployment.pins.pop("doing", None)
            Service.objects.filter(pk=service.pk).update(
                version=deployment.version,
                spec_revision=deployment.spec_revision,
                replicas=deployment.replicas,
                restart_nonce=deployment.restart_nonce,
                config=deployment.pins.get("config"),
                manifest_sha256=deployment.pins.get("manifest_sha256", ""),
                last_deployment=deployment,
                changed_at=Now(),
            )
            runs.transition(deployment, "succeeded", S("Done."), phase="", pins=deployment.pins, error=None)
            events.record(service, "changed", deployment=deployment.pk)

    # -- the way back ---------------------------------------------------------------------------------------------

    def _turn_back(self, deployment: Deployment, why: Sentence, code: str, evidence: str = "") -> Again:
        """Remember why, then restore what ran before; the old instances serve all the while."""
        error = {"code": code, "sentence": why.as_json(), "evidence": evidence[-20_000:]}
        with transaction.atomic():
            runs.write(deployment, phase="rolling_back", error=error, state="running")
            events.record(deployment, "turning_back", why)
        return Again(0)

    def _restore(self, deployment: Deployment) -> Again | None:
        service = deployment.service
        runtime = _runtime(deployment)
        generation = wanted.generation_of(deployment, restoring=True)
        try:
            before = wanted.of_service(service, generation=generation)
        except AppError as gone:
            return self._stuck(deployment, gone)
        if before is None and deployment.pins.get("there"):
            return self._leave(deployment)
        _use_generation(deployment, generation)
        if before is None:
            observed = runtime.remove(wanted.ref_of(service), wait_s=WAIT_S)
            back = observed.state == "absent"
        else:
            try:
                observed = self._bring_back(deployment, runtime, before)
            except Unavailable:
                raise
            except AppError as stuck:
                return self._stuck(deployment, stuck)
            back = observed.settled or observed.failure is not None
        self._report(deployment, observed)
        if not back:
            return Again(_pause(observed))
        other = pinning.others(service, observed.serving_digests) if before is not None and observed.settled else []
        if other and pinning.go_by_digest(service):
            deployment.pins.pop("restored", None)
            runs.write(deployment, pins=deployment.pins)
            return Again(0)
        if before is None:
            _end(deployment, S("Nothing of it is left running."))
        elif observed.failure is not None and not observed.settled:
            why = str(observed.failure.sentence)
            _end(deployment, S("What ran before was applied again and does not come up: %(why)s", why=why))
        elif other:
            _end(deployment, S("Restored by its tag, which means %(found)s by now.", found=", ".join(other)))
        else:
            _end(deployment, S("What ran before is restored."))
        return None

    @staticmethod
    def _leave(deployment: Deployment) -> None:
        """Where objects were before our first deployment, somebody else's pods may serve: nothing is taken away."""
        what = ", ".join(deployment.pins["there"][:5])
        ended = S("These were there before the first deployment, so nothing is taken away: %(what)s.", what=what)
        _end(deployment, ended)

    @staticmethod
    def _stuck(deployment: Deployment, why: AppError) -> None:
        """What ran before cannot be brought back: say so and let people act, rather than hold the service for ever."""
        deployment.pins.pop("doing", None)
        ended = S("What ran before could not be restored: %(why)s", why=str(why.sentence))
        runs.transition(deployment, "failed", ended, phase="", pins=deployment.pins)
        events.record(deployment.service, "changed", deployment=deployment.pk)

    @staticmethod
    def _bring_back(deployment: Deployment, runtime: Any, before: Wanted) -> Observed:
        """Applied once; from then on it is only looked at, however often there is news."""
        if deployment.pins.get("restored") != before.generation:
            runtime.apply(before)
            deployment.pins["restored"] = before.generation
            runs.write(deployment, pins=deployment.pins)
        observed: Observed = runtime.advance(before, wait_s=WAIT_S)
        return observed


def _end(deployment: Deployment, ended: Sentence) -> None:
    """Over, without having reached its goal."""
    error: dict[str, Any] = deployment.error or {}
    state = "cancelled" if error.get("code") == "cancelled" else "failed"
    deployment.pins.pop("doing", None)
    runs.transition(deployment, state, ended, phase="", pins=deployment.pins)
    events.record(deployment.service, "changed", deployment=deployment.pk)


def _other_content(deployment: Deployment, observed: Observed) -> Sentence | None:
    """Rolled out in full, but something else than was pinned: a tag that points to another image by now."""
    pinned = deployment.pins["digest"]
    if deployment.action == Deployment.Action.REMOVE or not observed.settled or not observed.total:
        return None
    found = sorted(observed.serving_digests - {pinned})
    if not found:
        return None
    if not pinned:
        return S("Its instances run different images under one tag: %(found)s.", found=", ".join(found))
    return S("What runs is %(found)s and not %(pinned)s, as was pinned.", found=found[0], pinned=pinned)


def _pause(observed: Observed) -> float:
    """Until the next look: what settled without being done is about to be."""
    return SOON_S if observed.settled else min(LONGEST_LOOK_S, observed.look_again_s)


def _runtime(deployment: Deployment) -> Any:
    return runtime_of(deployment.service.machine.cluster)


def _use_generation(deployment: Deployment, generation: int) -> None:
    """Remember the goal's generation before the runtime is given it, under our claim."""
    service = deployment.service
    if service.generation >= generation:
        return
    with transaction.atomic():
        runs.renew(deployment)
        Service.objects.filter(pk=service.pk, generation__lt=generation).update(generation=generation)
    service.generation = generation
