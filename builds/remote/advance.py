"""What happens next to a build on another server, one short step under the build's claim.

    queued   job as it is to be → trigger (once) → waits in the server's queue
    running  it has a number there: the follower watches it; answers and a cancel are passed on
             it has ended there: log in full, stages, tests, files, image, version → the state the server reached

The follower pokes the build when something changed; without a poke the engine looks by itself every BACKSTOP_S, so a
dead watch costs time and never a build.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from builds import versions
from builds.agents.specs import artifacts_dir
from builds.connections import builder_of
from builds.drivers.builder.remote import Place, RemoteBuilder
from builds.endings import close_what_is_open
from builds.logs import seal
from builds.models import Build, InputRequest, RemoteBuild
from builds.remote import jobs, looking, results, triggering
from fangduoduo_release.common import events, runs, steps
from fangduoduo_release.common.engines import Again
from fangduoduo_release.common.errors import AppError, Invalid, Rejected, Unavailable
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S, Sentence

BACKSTOP_S = 30.0
REST_S = 5.0  # how long a server that did not answer is left alone by this process
MENDABLE = frozenset(
    {"bad_credentials", "no_permission", "bad_connection"}
)  # ops mend these; what runs there meanwhile is not given up
_resting: dict[int, tuple[float, Unavailable]] = {}  # connection → (until, why); monotonic seconds


def advance(build: Build) -> Again | None:
    """One step. None: the build has ended."""
    connection = build.builder_connection
    if connection is None:
        runs.fail(build, S("The project names no build server; choose one in its settings."), code="no_connection")
        return None
    if build.cancel_requested_at is not None and not triggering.began(build):
        runs.transition(build, "cancelled", S("Cancelled by %(who)s.", who=build.cancel_requested_by))
        return None
    until, why = _resting.get(connection.pk, (0.0, None))
    if why is not None and time.monotonic() < until:
        return _patient(build, why)
    try:
        return _step(build, connection, _usable(connection))
    except Unavailable as error:
        if _worth_a_rest(error):
            _resting[connection.pk] = (time.monotonic() + REST_S, error)
        return _patient(build, error)
    except Rejected as error:
        if error.code in MENDABLE and triggering.began(build):
            return _patient(build, Unavailable(error.sentence, code=error.code, evidence=error.evidence))
        return _refused(build, error)


def _usable(connection: Connection) -> RemoteBuilder:
    """The server's driver. Raises Rejected (code `bad_connection`) for a config that ops must mend."""
    try:
        return builder_of(connection)
    except Invalid as error:
        raise Rejected(error.sentence, code="bad_connection") from error


def _step(build: Build, connection: Connection, builder: RemoteBuilder) -> Again | None:
    row = RemoteBuild.objects.filter(pk=build.pk).select_related("connection").first()
    if row is None or (row.queue_id is None and row.number is None and not row.ended):
        return _start(build, connection, builder)
    row.build = build
    if not row.ended:
        _pass_on(build, row, builder)
        if row.observed_at is None or timezone.now() - row.observed_at > timedelta(seconds=BACKSTOP_S / 2):
            looking.look(row, builder)
    if looking.is_lost(row):
        return _lost(build, row)
    if row.number is not None and build.state == "queued":
        if not (row.observed or {}).get("state"):  # it has a number since a moment, and no more is known yet
            looking.look(row, builder)
        _began(build, row)
    if row.ended:
        return _collect(build, row, builder)
    return Again(BACKSTOP_S)


def _start(build: Build, connection: Connection, builder: RemoteBuilder) -> Again:
    job = jobs.job_of(build.project, connection, builder)
    row, _ = RemoteBuild.objects.get_or_create(build=build, defaults={"connection": connection, "job": job.path})
    if not triggering.began(build):
        jobs.ensure(job, build, builder)
    place = triggering.once(build, row, builder)
    RemoteBuild.objects.filter(pk=row.pk).update(queue_id=place.queue_id, number=place.number)
    events.record(build, "remote_queued", S("Jenkins took it into its queue."), queue_id=place.queue_id)
    return Again(BACKSTOP_S)


def _began(build: Build, row: RemoteBuild) -> None:
    url = str((row.observed or {}).get("url") or "")
    began = _time((row.observed or {}).get("started_at"))
    changes: dict[str, Any] = {"started_at": began} if began else {}
    runs.transition(
        build,
        "running",
        S("Jenkins began build #%(number)s.", number=row.number),
        attempts=0,
        external_url=url if url.startswith(("https://", "http://")) and len(url) <= 200 else "",
        **changes,
    )


def _cancel(build: Build, row: RemoteBuild, builder: RemoteBuilder) -> None:
    """Once. A Jenkins that refuses says why, and the build goes on to its own end."""
    try:
        builder.cancel(row.job, Place(queue_id=row.queue_id, number=row.number))
    except Rejected as error:
        events.record(build, "cancel_refused", error.sentence)


def _pass_on(build: Build, row: RemoteBuild, builder: RemoteBuilder) -> None:
    """A person's wish to cancel, and answers to questions."""
    if build.cancel_requested_at is not None:
        steps.once(build, "cancel", lambda: _cancel(build, row, builder), suffix=str(row.number or "queue"))
    if row.number is None:
        return
    for asked in InputRequest.objects.filter(build=build, passed_on=False).exclude(answer=""):
        proceed = asked.answer == "proceed"
        try:
            builder.answer(row.job, row.number, asked.ident, proceed=proceed, values=asked.values or {})
        except Rejected as error:  # answered in Jenkins meanwhile, or the build is over: the build goes on as it is
            events.record(build, "input_refused", error.sentence)
        InputRequest.objects.filter(pk=asked.pk).update(passed_on=True)


def _collect(build: Build, row: RemoteBuild, builder: RemoteBuilder) -> Again | None:
    if row.number is None:  # cancelled in the queue: nothing was built, nothing is to be fetched
        return _end(build, "cancelled", S("It was cancelled in the queue of Jenkins."))
    if build.state == "queued":  # it began and ended between two looks
        _began(build, row)
    if (row.observed or {}).get("state") == "failed" and not (row.observed or {}).get("sentence"):
        row.observed = looking.as_json(
            builder.observe(row.job, row.number), build
        )  # why, which only a look at one tells
        if row.observed["state"] is None:
            return _lost(build, row)
        RemoteBuild.objects.filter(pk=row.pk).update(observed=row.observed)
    outcome = results.collect(build, row, builder)
    if outcome is None:
        return Again(0.1)
    seen = row.observed or {}
    sentence = outcome.sentence or _said(build, seen)
    return _end(
        build, outcome.state, sentence,
        evidence=outcome.evidence, finished=_time(seen.get("finished_at")), made=outcome.made,
    )  # fmt: skip


def _said(build: Build, seen: dict[str, object]) -> Sentence | None:
    if build.cancel_requested_at is not None and seen.get("state") == "cancelled":
        return S("Cancelled by %(who)s.", who=build.cancel_requested_by)
    found = seen.get("sentence")
    return Sentence.from_json(found) if isinstance(found, dict) else None


def _lost(build: Build, row: RemoteBuild) -> Again | None:
    if row.number is None:
        sentence = S(
            "Jenkins has forgotten this build before it began, as a restart makes it. Nothing was built; retry it to build the same commit."
        )
    else:
        sentence = S(
            "Build #%(number)s was deleted in Jenkins, so that its result is not known. Retry it to build the same commit.",
            number=row.number,
        )
    return _end(build, "failed", sentence, code="lost_in_jenkins")


def _patient(build: Build, error: Unavailable) -> Again | None:
    """A server that is away is waited for; after the settings' patience the build ends with what is known of it."""
    row = RemoteBuild.objects.filter(pk=build.pk).first()
    last = (row.observed_at if row else None) or build.created_at
    patience = timedelta(seconds=settings.REMOTE_PATIENCE_S)
    if timezone.now() - last < patience:
        raise error
    if error.code == "registry_unavailable":
        return _end(build, "failed", error.sentence, code=error.code, evidence=error.evidence)
    hours = f"{settings.REMOTE_PATIENCE_S / 3600:g}"
    if row is None or row.number is None:
        sentence = S("Jenkins could not be reached for %(hours)s hours; the build was given up. Retry it.", hours=hours)
    else:
        sentence = S(
            "Jenkins could not be reached for %(hours)s hours; what became of its build #%(number)s is not known. Look there before you retry.",
            hours=hours,
            number=row.number,
        )
    return _end(build, "failed", sentence, code="jenkins_away", evidence=str(error.sentence))


def _refused(build: Build, error: Rejected) -> Again | None:
    return _end(build, "failed", error.sentence, code=error.code, evidence=error.evidence)


def _end(
    build: Build,
    state: str,
    sentence: Sentence | None,
    *,
    code: str = "",
    evidence: str = "",
    finished: datetime | None = None,
    made: results.Made | None = None,
) -> Again | None:
    """The final state, with everything closed that belongs to the build; None, as `advance` answers then."""
    seal.seal(build.pk, fence=lambda: runs.renew(build))
    if state == "cancelled" and sentence is None:
        sentence = S("It was stopped in Jenkins.")
    words = sentence or events.NOTHING
    error = runs.error_of(code or f"build_{state}", words, evidence) if sentence and state != "succeeded" else None
    with transaction.atomic():
        runs.renew(build)
        close_what_is_open(build)
        RemoteBuild.objects.filter(pk=build.pk).update(ended=True, log_complete=True)
        if made is not None:
            versions.make_version(build, made.facts, made.archive, *made.image)
        runs.transition(build, state, words, error=error)
        if finished is not None:  # when it ended there, not when we had fetched everything
            Build.objects.filter(pk=build.pk).update(finished_at=finished)
    versions.clear_folder(artifacts_dir(build))
    return None


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None


def _worth_a_rest(error: AppError) -> bool:
    """The server itself does not answer; not that one thing there is not ready yet."""
    return error.code not in {"job_in_use", "unknown_outcome", "not_sure_yet", "registry_unavailable"}
