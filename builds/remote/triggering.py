"""The one moment that must not happen twice: telling the server to build.

Each attempt is a step row of its own, committed before the request. After a crash, or an answer that was lost, the build
is looked for by its key (in the queue and among the job's builds) for SETTLE_S, and only then told again. Should a lost
request still arrive after that, the twin is found by the same key and stopped.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from builds.drivers.builder.remote import Place, RemoteBuilder
from builds.models import Build, RemoteBuild
from builds.remote.values import values_of
from fangduoduo_release.common import events, steps
from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.models import Step
from fangduoduo_release.common.sentence import S

NAME = "trigger"
SETTLE_S = 20.0  # longer than a request may be on its way


def began(build: Build) -> bool:
    """Whether the server may know of this build: it was told, or we cannot be sure that it was not."""
    return any(not (attempt.outcome or {}).get("failed") for attempt in _attempts(build))


def once(build: Build, row: RemoteBuild, builder: RemoteBuilder) -> Place:
    """Where the build is on the server, told once. Raises Unavailable (also `not_sure_yet`), Rejected."""
    last = _attempts(build).order_by("id").last()
    number = 0
    if last is not None:
        known = last.outcome if last.outcome is not None else _find_out(build, row, builder, last)
        if not known.get("failed"):
            return Place(queue_id=known.get("queue_id"), number=known.get("number"))
        if build.cancel_requested_at is not None:  # nobody wants it any more, and now we know that it is not there
            raise Unavailable(S("The build is being cancelled."), code="not_sure_yet")
        number = int(last.key.rpartition(":")[2]) + 1
    return _tell(build, row, builder, number)


def _tell(build: Build, row: RemoteBuild, builder: RemoteBuilder, number: int) -> Place:
    values = values_of(build)
    refused: list[Rejected] = []

    def act() -> dict[str, Any]:
        try:
            place = builder.trigger(row.job, values)
        except Unavailable as error:
            if error.code == "unknown_outcome":
                raise
            return {"failed": error.code}
        except Rejected as error:
            refused.append(error)
            return {"failed": error.code}
        return {"queue_id": place.queue_id, "number": place.number}

    outcome = steps.once(build, NAME, act, suffix=str(number))
    if refused:
        raise refused[0]
    if outcome.get("failed"):
        raise Unavailable(S("Jenkins does not answer; the build is started as soon as it does."), code="unreachable")
    return Place(queue_id=outcome.get("queue_id"), number=outcome.get("number"))


def _find_out(build: Build, row: RemoteBuild, builder: RemoteBuilder, attempt: Step) -> dict[str, Any]:
    """What became of an attempt whose answer we do not have."""
    place = builder.find(row.job, str(build.key))
    if place is None and timezone.now() - attempt.created_at < timedelta(seconds=SETTLE_S):
        raise Unavailable(
            S("The answer of Jenkins was lost; the build is being looked for before it is started again."),
            code="not_sure_yet",
        )
    known: dict[str, Any]
    if place is None:
        known = {"failed": "not_there"}
    else:
        known = {"queue_id": place.queue_id, "number": place.number}
        events.record(build, "found_again", S("Found again in Jenkins by its key."))
    Step.objects.filter(pk=attempt.pk, outcome__isnull=True).update(
        outcome=known, done_at=timezone.now(), fence=build.fence
    )
    return known


def stop_twins(build: Build, row: RemoteBuild, builder: RemoteBuilder) -> int:
    """Stop every build there but ours that carries our key; only worth asking after more than one attempt."""
    if _attempts(build).count() < 2:
        return 0
    stopped = 0
    for place in builder.twins(row.job, str(build.key)):
        ours = place.number == row.number if place.number is not None else place.queue_id == row.queue_id
        if not ours and not place.cancelled:
            builder.cancel(row.job, place)
            stopped += 1
    if stopped:
        events.record(build, "twin_stopped", S("A second build with the same key was stopped in Jenkins."))
    return stopped


def _attempts(build: Build) -> QuerySet[Step]:
    return Step.objects.filter(run_key=build.key, name=NAME)
