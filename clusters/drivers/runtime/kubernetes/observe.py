"""From a service's objects to what a person and an engine need to know: how far it is, what runs, and why not. Pure.

Done is what `kubectl rollout status` calls done (the newest ReplicaSet has every replica, available, and no other has any) and
more: each pod that serves is of that ReplicaSet and ready. Pods on their way out do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from clusters.drivers.runtime.base import Failure, Instance, Observed, ServiceRef, Wanted
from fangduoduo_release.common.errors import Conflict
from fangduoduo_release.common.sentence import S, Sentence

from . import names
from .failing import condition, failure_of, refusal_of, refused
from .lasting import Waited
from .pods import Object, instance_of, is_leaving, is_of, path
from .troubles import Trouble, trouble_of

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"  # the label that a ReplicaSet adds to its pods
NOT_YET = Waited()
SOON_S, LATER_S = 2.0, 10.0


@dataclass(frozen=True, slots=True)
class Sight:
    """The objects of one service: its Deployment (None: there is none), ReplicaSets, pods, events and the rest."""

    deployment: Object | None
    replicasets: tuple[Object, ...] = ()
    pods: tuple[Object, ...] = ()
    events: tuple[Object, ...] = ()
    services: tuple[Object, ...] = ()

    @property
    def generation(self) -> int:
        """Of the goal that the Deployment was last given by us; 0 when it says none."""
        text = str(path(self.deployment or {}, "metadata", "annotations", names.GENERATION) or "")
        return int(text) if text.isdecimal() and len(text) < 10 else 0


def refuse_older(applied: int, wanted: Wanted) -> None:
    """Raises Conflict ("superseded") when a newer goal than this was applied."""
    if applied > wanted.generation:
        raise Conflict(S("A newer goal was applied meanwhile; this one is out of date."), code="superseded")


@dataclass(frozen=True, slots=True)
class Finding:
    """What was observed, and of a failure the pod whose last words tell more."""

    observed: Observed
    culprit: str = ""
    trouble: Trouble | None = None


def sort_out(objects: Iterable[Object], service: ServiceRef) -> Sight:
    """Which of the objects are the service's."""
    by_kind: dict[str, list[Object]] = {}
    for one in objects:
        by_kind.setdefault(str(one.get("kind") or "Event"), []).append(one)

    def mine(kind: str) -> tuple[Object, ...]:
        return tuple(one for one in by_kind.get(kind, ()) if is_of(one, service.key, service.group))

    # Base manifests may bring several; the one whose pods carry our mark is the one that we follow.
    deployment = next((one for one in mine("Deployment") if _is_main(one, service)), None)
    uid = path(deployment or {}, "metadata", "uid")
    sets = tuple(one for one in mine("ReplicaSet") if _owner(one) == uid)
    owners = {path(one, "metadata", "uid") for one in sets}
    pods = tuple(one for one in mine("Pod") if _owner(one) in owners)
    return Sight(deployment, sets, pods, tuple(by_kind.get("Event", ())), mine("Service"))


def _is_main(deployment: Object, service: ServiceRef) -> bool:
    return bool(path(deployment, "spec", "template", "metadata", "labels", names.SERVICE) == service.key)


def _owner(item: Object) -> Any:
    for one in path(item, "metadata", "ownerReferences") or []:
        if one.get("controller"):
            return one.get("uid")
    return None


def look(sight: Sight, service: ServiceRef, image: str, now: datetime, waited: Waited = NOT_YET) -> Finding:
    """What is, of the goal the Deployment was given last."""
    if sight.deployment is None:
        return Finding(Observed(service, "absent", 0, "", 0, 0, settled=False))
    deployment = sight.deployment
    newest = _newest_set(sight)
    seen = _is_taken_up(deployment, newest)
    newest = newest if seen else None
    pods = {str(path(pod, "metadata", "uid")): pod for pod in sight.pods}
    troubles = {uid: trouble_of(pod, sight.events, now, waited.stuck_in(uid)) for uid, pod in pods.items()}
    instances = _instances(sight, newest, image, troubles)
    wished = int(path(deployment, "spec", "replicas") or 0)
    ready = sum(1 for one in instances if one.current and one.ready)
    settled = seen and _rolled_out(deployment, wished) and ready == wished and not _others(instances)
    if not _finished_once(deployment) and not path(deployment, "spec", "paused"):
        troubles |= {uid: _too_late(troubles[uid]) for uid in waited.overdue & troubles.keys()}
    culprit, trouble = _worst(sight, newest, troubles)
    refusal = refusal_of(newest)
    full = path(newest or {}, "metadata", "uid") in waited.refused
    failure = None if settled or not seen else failure_of(deployment, newest, refusal, trouble, full=full)
    observed = Observed(
        service,
        _state(deployment, wished, instances, settled, failure, seen=seen),
        sight.generation,
        str(path(deployment, "metadata", "annotations", names.MANIFEST) or ""),
        ready,
        wished,
        settled=settled,
        instances=instances,
        failure=failure,
        doing=None if settled else _doing(deployment, ready, wished, instances, trouble, refusal),
        look_again_s=LATER_S if settled else SOON_S,
    )
    return Finding(observed, culprit, trouble)


def _is_taken_up(deployment: Object, newest: Object | None) -> bool:
    """Whether the controller has begun with the newest spec; before that, its status speaks of an older one.

    Where the number of replicas changed too it first brings the pods of before to that number; and where there is a
    ReplicaSet of the template already, it counts that one's pods before it says that this is the newest revision. Either
    way it says that it has seen the new generation while its revision is still the earlier template's.
    """
    generation = int(path(deployment, "metadata", "generation") or 0)
    if int(path(deployment, "status", "observedGeneration") or 0) < generation:
        return False
    return newest is None or _template(deployment) == _template(newest)


def _template(owner: Object) -> tuple[Any, Any, Any]:
    """What a Deployment and its ReplicaSet for it have in common."""
    labels = dict(path(owner, "spec", "template", "metadata", "labels") or {})
    labels.pop(HASH, None)
    return (
        labels,
        path(owner, "spec", "template", "metadata", "annotations") or {},
        path(owner, "spec", "template", "spec"),
    )


def _rolled_out(deployment: Object, wished: int) -> bool:
    status: Mapping[str, Any] = path(deployment, "status") or {}
    updated, total = int(status.get("updatedReplicas") or 0), int(status.get("replicas") or 0)
    return updated == wished and total == wished and int(status.get("availableReplicas") or 0) >= wished


def _newest_set(sight: Sight) -> Object | None:
    """The ReplicaSet of the Deployment's newest template."""
    wanted = path(sight.deployment or {}, "metadata", "annotations", REVISION)
    for one in sight.replicasets:
        if wanted is not None and path(one, "metadata", "annotations", REVISION) == wanted:
            return one
    return None


def _instances(
    sight: Sight, newest: Object | None, image: str, troubles: Mapping[str, Trouble | None]
) -> tuple[Instance, ...]:
    uid = path(newest or {}, "metadata", "uid")
    found = []
    for pod in sight.pods:
        current = uid is not None and _owner(pod) == uid and not is_leaving(pod)
        trouble = troubles.get(str(path(pod, "metadata", "uid")))
        found.append(instance_of(pod, current=current, image=image, reason=trouble.sentence if trouble else None))
    return tuple(sorted(found, key=lambda one: one.name))


def _others(instances: Sequence[Instance]) -> bool:
    """Pods of an earlier template that still serve."""
    return any(not one.current and one.state not in {"stopping", "dead"} for one in instances)


def _worst(sight: Sight, newest: Object | None, troubles: Mapping[str, Trouble | None]) -> tuple[str, Trouble | None]:
    """The pod of the newest template that says most about what is wrong; one that is over says least."""
    uid = path(newest or {}, "metadata", "uid")
    found = [
        (is_leaving(pod), not trouble.final, str(path(pod, "metadata", "name")), trouble)
        for pod in sight.pods
        if _owner(pod) == uid and (trouble := troubles.get(str(path(pod, "metadata", "uid")))) is not None
    ]
    found.sort(key=lambda one: one[:3])
    return (found[0][2], found[0][3]) if found else ("", None)


def _too_late(trouble: Trouble | None) -> Trouble:
    if trouble is None:
        return Trouble("not_ready", S("It runs and does not get ready in the time that a start may take."), final=True)
    return replace(trouble, final=True)


def _state(
    deployment: Object,
    wished: int,
    instances: Sequence[Instance],
    settled: bool,
    failure: Failure | None,
    *,
    seen: bool,
) -> str:
    if path(deployment, "metadata", "deletionTimestamp"):
        return "removing"
    if failure is not None:
        return "failed"
    if settled:
        return "ready" if wished else "stopped"
    serving = sum(1 for one in instances if one.ready)
    rolled = seen and not _others(instances) and _finished_once(deployment)
    if rolled and wished:
        return "degraded" if serving else "failed"
    return "converging"


def _finished_once(deployment: Object) -> bool:
    """Whether the newest template was up in full before: what is missing now was lost since."""
    return condition(deployment, "Progressing").get("reason") == "NewReplicaSetAvailable"


def _doing(
    deployment: Object, ready: int, wished: int, instances: Sequence[Instance], trouble: Trouble | None, refusal: str
) -> Sentence:
    if path(deployment, "spec", "paused"):
        return S("Paused: %(ready)s of %(total)s are new.", ready=ready, total=wished)
    if refusal:
        return refused(refusal).sentence
    if trouble is not None:
        return trouble.sentence
    leaving = sum(1 for one in instances if not one.current and one.state != "stopping")
    if leaving and ready >= wished:
        return S("The old instances are being taken away: %(count)s left.", count=leaving)
    return S("%(ready)s of %(total)s ready.", ready=ready, total=wished)
