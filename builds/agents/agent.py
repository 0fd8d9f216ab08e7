"""One build on this host: holds the claim, runs the pipeline, writes what happens, keeps the lease, ends the build.

Runs in a forked child of the agent host. The moment its claim is lost it kills everything the build started and leaves
without writing: somebody else decides about the build now.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections, transaction

from builds import registries, versions
from builds.agents import bringing, specs
from builds.agents.sink import DatabaseSink
from builds.drivers.builder.base import Outcome, RunningBuild, StopSignal
from builds.drivers.builder.embedded import Execution
from builds.drivers.builder.embedded.orphans import become_subreaper, kill_build
from builds.logs.store import LogWriter
from builds.models import Build, InputRequest
from fangduoduo_release.common import events, runs
from fangduoduo_release.common.errors import AppError, Invalid, Unavailable
from fangduoduo_release.common.outages import through_outages
from fangduoduo_release.common.processes import start_ticks
from fangduoduo_release.common.queue import ring
from fangduoduo_release.common.runs import LostClaim
from fangduoduo_release.common.sentence import S, Sentence

logger = logging.getLogger(__name__)
LOOK_S = 0.4
RENEW_S = 3.0
MIB = 1024 * 1024
PIN_PATIENCE_S = 120.0  # a registry that does not answer for longer than this fails the build
PIN_PAUSE_S = 10.0


def run(pk: int, fence: int, slot: int) -> int:
    """The whole life of an agent; 0 when the build reached a final state or was never ours."""
    become_subreaper()
    connections.close_all()
    build = runs.take_over(Build, pk, fence)
    if build is None or build.state != "queued":
        return 0
    stop = StopSignal()
    signal.signal(
        signal.SIGTERM, lambda *_: stop.drop(S("The portal was stopped while this build ran; retry it when you like."))
    )
    try:
        _begin(build, slot)
        bringing.bring(build, stop)
        _Agent(build, slot, stop).run()
    except bringing.Stopped as stopped:
        state, why = stopped.state, stopped.sentence
        through_outages(lambda: runs.transition(build, state, why))
    except AppError as error:  # before the first step: a repository out of reach, a secret that cannot be read
        sentence, code = error.sentence, error.code
        through_outages(lambda: runs.fail(build, sentence, code=code))
    except LostClaim:
        logger.warning("build %s belongs to somebody else now; leaving it", build.pk)
        return 3
    finally:
        kill_build(str(build.key), grace=0.5, descendants_of=os.getpid())
        _wake_next()
    return 0


def _begin(build: Build, slot: int) -> None:
    facts = {"pid": os.getpid(), "ticks": start_ticks(os.getpid())}
    runs.transition(
        build,
        "running",
        S("Started on %(host)s.", host=settings.HOST_ID),
        attempts=0,
        host=settings.HOST_ID,
        slot=slot,
        agent=facts,
    )


@dataclass(slots=True)
class _Made:
    """How the build ends and what it left."""

    state: str
    sentence: Sentence | None
    evidence: str
    facts: dict[str, Any] = field(default_factory=dict)
    archive: tuple[str, int] = ("", 0)
    image: tuple[str, str] = ("", "")


class _Stopped(Exception):
    """Somebody cancelled the build, or the portal stops, while it waited for a registry."""


class _Agent:
    """Ties executor, sink, lease and answers together for one build."""

    def __init__(self, build: Build, slot: int, stop: StopSignal) -> None:
        self.build = build
        self.stop = stop
        self.log = LogWriter(build.pk, fence=self._check_fence, limit=settings.BUILD_LIMITS["log_mib"] * MIB)
        self.folder = specs.artifacts_dir(build)
        self.spec = specs.spec_of(build, slot)
        self.execution: RunningBuild = Execution(self.spec, DatabaseSink(build, self.log), stop)
        self.ended = threading.Event()
        self.lost = False

    def run(self) -> None:
        watcher = threading.Thread(target=self._watch, name="lease", daemon=True)
        watcher.start()
        try:
            outcome = self._execute()
            self._check_lost()
            kill_build(str(self.build.key), grace=0.5, descendants_of=os.getpid())
            made = self._collect(outcome)  # may take minutes: the lease is still looked after
        finally:
            self.ended.set()
            watcher.join(timeout=30)
        self._check_lost()
        through_outages(lambda: self._end(made))
        versions.clear_folder(self.folder)

    def _check_lost(self) -> None:
        if self.lost:
            raise LostClaim(str(self.build))

    def _execute(self) -> Outcome:
        try:
            return self.execution.run()
        except LostClaim:
            self.lost = True
            self.stop.drop()
            return Outcome("failed")
        except AppError as error:
            return Outcome("failed", error.sentence)
        except OSError as error:
            return Outcome("failed", S("The build stopped: %(reason)s.", reason=error.strerror or str(error)))

    # -- while it runs: the lease, a person's wish to cancel, answers to questions ------------------------------

    def _watch(self) -> None:
        renewed = time.monotonic()
        answered: set[int] = set()
        cancelled = False
        while not self.ended.wait(LOOK_S):
            try:
                if time.monotonic() - renewed > RENEW_S:
                    runs.renew(self.build)
                    renewed = time.monotonic()
                wish = Build.objects.values_list("cancel_requested_by", "cancel_requested_at").get(pk=self.build.pk)
                if wish[1] is not None and not cancelled:
                    cancelled = True
                    self.stop.cancel(S("Cancelled by %(who)s.", who=wish[0]))
                self._pass_answers(answered)
            except (LostClaim, Build.DoesNotExist):
                self.lost = True
                self.stop.drop()
                return
            except (DatabaseError, InterfaceError):
                logger.warning("the database is away; build %s goes on", self.build.pk)
                connections.close_all()
        connections.close_all()

    def _pass_answers(self, answered: set[int]) -> None:
        rows = InputRequest.objects.filter(build=self.build).exclude(answer="").exclude(pk__in=answered)
        for row in rows:
            answered.add(row.pk)
            try:
                self.execution.answer_input(row.ident, row.answer == "proceed", row.values or {}, row.answered_by)
            except Invalid as error:
                InputRequest.objects.filter(pk=row.pk).update(answer="", answered_by="", answered_at=None)
                answered.discard(row.pk)
                events.record(self.build, "input_refused", error.sentence)

    def _check_fence(self) -> None:
        if not Build.objects.filter(pk=self.build.pk, fence=self.build.fence).exists():
            raise LostClaim(str(self.build))

    # -- the end ------------------------------------------------------------------------------------------------

    def _collect(self, outcome: Outcome) -> _Made:
        """Keep what the build left; what cannot be kept or found fails it."""
        made = _Made(outcome.state, outcome.sentence, outcome.evidence)
        try:
            through_outages(self.log.finish)
            through_outages(lambda: versions.store_artifacts(self.build, self.folder))
            if made.state == "succeeded":
                made.facts = versions.release_facts(self.folder)
                made.archive = through_outages(lambda: versions.make_archive(self.build, self.folder, made.facts))
                made.image = self._pinned(made.facts)
        except _Stopped:
            made.state, made.sentence = "failed" if self.stop.dropped else "cancelled", self.stop.sentence
        except AppError as error:
            made.state, made.sentence = "failed", error.sentence
            made.evidence = getattr(error, "evidence", "") or made.evidence
        except OSError as error:
            reason = error.strerror or "?"
            made.state, made.sentence = "failed", S("What the build made could not be kept: %(reason)s.", reason=reason)
        return made

    def _pinned(self, facts: dict[str, Any]) -> tuple[str, str]:
        """The image and its digest; patient with a registry that is out of reach, but not without end."""
        until, pause, stopped = time.monotonic() + PIN_PATIENCE_S, 1.0, threading.Event()
        while True:
            try:
                return through_outages(lambda: registries.pin(self.build, facts))
            except Unavailable as error:
                if time.monotonic() > until:
                    raise
                if pause == 1.0:
                    self.stop.listen(stopped.set)
                    through_outages(partial(events.record, self.build, "registry_away", error.sentence))
            if stopped.wait(pause):
                raise _Stopped
            pause = min(PIN_PAUSE_S, pause * 2)

    def _end(self, made: _Made) -> None:
        with transaction.atomic():
            self.build.refresh_from_db(fields=["state"])
            if self.build.is_final:
                return  # ended here before the answer was lost, or by somebody else: then it leaves no version
            if made.state == "succeeded":
                versions.make_version(self.build, made.facts, made.archive, *made.image)
            words = made.sentence or events.NOTHING
            error = (
                {"code": f"build_{made.state}", "sentence": words.as_json(), "evidence": made.evidence[-20_000:]}
                if made.sentence
                else None
            )
            runs.transition(self.build, made.state, words, error=error)


def _wake_next() -> None:
    """A slot is free: make the build that has waited longest look again."""
    try:
        waiting = Build.objects.filter(state="queued", builder_kind="embedded", needs_ops=False).order_by("id").first()
        if waiting is not None:
            runs.poke(waiting)
            ring("build", waiting.pk)
    except (DatabaseError, InterfaceError):
        logger.warning("could not wake the next build; the sweeper will")


def report_death(pk: int) -> None:
    """The agent of this build died: let the engine look now. Called in a forked child of the agent host."""
    connections.close_all()
    for build in Build.objects.filter(pk=pk, state__in=Build.STATES.active):
        if build.agent and start_ticks(build.agent.get("pid", 0)) == build.agent.get("ticks"):
            return
        Build.objects.filter(pk=pk, fence=build.fence).update(lease_until=None)
        runs.poke(build)
        ring("build", pk)
