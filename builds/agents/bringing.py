"""Before a build begins here, its commit is brought: patient with a Git server that is away, which says nothing about the
commit, but not without end."""

from __future__ import annotations

import threading
import time

from builds.drivers.builder.base import StopSignal
from builds.models import Build
from fangduoduo_release.common import events, runs
from fangduoduo_release.common.errors import AppError, Unavailable
from fangduoduo_release.common.outages import through_outages
from fangduoduo_release.common.sentence import S, Sentence
from projects.drivers.source.base import Repository, Source
from projects.sources import source_of

PATIENCE_S = 600.0
LONGEST_PAUSE_S = 15.0
LOOK_S = 0.5


class Stopped(Exception):
    """Somebody cancelled the build, or the portal stops, while it waited for its Git server."""

    def __init__(self, state: str, sentence: Sentence) -> None:
        super().__init__(str(sentence))
        self.state, self.sentence = state, sentence


def bring(build: Build, stop: StopSignal) -> None:
    """Bring the mirror up to date. Raises what a source raises (Unavailable only after PATIENCE_S), Stopped, LostClaim."""
    if not build.project.repository:
        return None
    source, repository = source_of(build.project)
    until, pause, stopped = time.monotonic() + PATIENCE_S, 1.0, threading.Event()
    while True:
        try:
            return source.refresh(repository, ref=build.ref if build.is_change else "")
        except Unavailable as error:
            if _is_here(source, repository, build):
                return None
            if time.monotonic() > until:
                raise
            if pause == 1.0:
                stop.listen(stopped.set)
                _tell(build, error.sentence)
        _wait(build, stop, stopped, pause)
        pause = min(LONGEST_PAUSE_S, pause * 2)


def _is_here(source: Source, repository: Repository, build: Build) -> bool:
    """Whether the build can do without its server. One of a tag goes by the tag's name, which may be newer than the
    mirror."""
    if build.is_tag:
        return False
    try:
        return bool(source.log(repository, build.commit_sha, limit=1))
    except AppError:
        return False


def _tell(build: Build, why: Sentence) -> None:
    sentence = S("The build waits for its Git server: %(reason)s", reason=str(why))
    through_outages(lambda: events.record(build, "source_away", sentence))


def _wait(build: Build, stop: StopSignal, stopped: threading.Event, seconds: float) -> None:
    """Keep the claim meanwhile, and heed a wish to cancel."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if stopped.wait(LOOK_S):
            raise Stopped("failed", stop.sentence)  # nothing else than the portal's end stops it this early
        through_outages(lambda: runs.renew(build))
        wish = Build.objects.filter(pk=build.pk).values_list("cancel_requested_by", "cancel_requested_at")
        who, at = through_outages(wish.get)
        if at is not None:
            raise Stopped("cancelled", S("Cancelled by %(who)s.", who=who))
