"""The Jenkins driver: one class that speaks the border's language; the work is in the files beside it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from builds.drivers.builder.base import ArtifactFile, InputRequest, StageUpdate, TestReport
from builds.drivers.builder.remote import (
    Census,
    JobFacts,
    JobSpec,
    LogAnswer,
    Observation,
    Place,
    RemoteArtifact,
    ServerFacts,
    Validation,
    Values,
)

from . import asking, checking, jobs, judging, leftovers, log, looking, queue, stages
from .config import JenkinsConfig
from .paths import is_segment, job_url
from .sdk import Jobs
from .transport import Transport


class JenkinsBuilder:
    """Kind `jenkins`. Safe to share between threads; every call of several requests has one timeout."""

    kind: str = "jenkins"
    Config: ClassVar[type] = JenkinsConfig

    def __init__(self, config: JenkinsConfig) -> None:
        self.config = config
        self._http = Transport(config)
        self._threads = threading.local()

    @property
    def _jobs(self) -> Jobs:
        """The SDK's client holds a session, so every thread has one."""
        mine: Jobs | None = getattr(self._threads, "jobs", None)
        if mine is None:
            mine = self._threads.jobs = Jobs(self._http)
        return mine

    def check(self) -> ServerFacts:
        with self._http.within():
            return checking.check(self._http)

    def validate(self, text: str) -> Validation:
        return judging.validate(self._http, text)

    def job_path(self, project: str) -> str:
        path = f"{self.config.folder}/{project}"
        job_url(path if is_segment(project) else "")
        return path

    def read_job(self, path: str) -> JobFacts | None:
        return jobs.read(self._jobs, path)

    def write_job(self, spec: JobSpec) -> JobFacts:
        with self._http.within():
            return jobs.write(self._http, self._jobs, spec)

    def trigger(self, path: str, values: Values) -> Place:
        with self._http.within():
            return queue.trigger(self._http, path, values)

    def find(self, path: str, key: str) -> Place | None:
        return next(iter(self.twins(path, key)), None)

    def twins(self, path: str, key: str) -> Sequence[Place]:
        with self._http.within():
            return queue.twins(self._http, path, key)

    def queue_item(self, queue_id: int) -> Place | None:
        return queue.queue_item(self._http, queue_id)

    def census(self, *, keys: bool = True) -> Census:
        with self._http.within():
            return queue.census(self._http, keys=keys)

    def observe(self, path: str, number: int) -> Observation:
        with self._http.within():
            return looking.observe(self._http, path, number)

    def observe_many(self, builds: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], Observation]:
        with self._http.within():
            return looking.observe_many(self._http, builds)

    def stages(self, path: str, number: int) -> Sequence[StageUpdate]:
        with self._http.within():
            return stages.read(self._http, path, number)

    def questions(self, path: str, number: int) -> Sequence[InputRequest]:
        with self._http.within():
            return asking.questions(self._http, path, number)

    def answer(self, path: str, number: int, question: str, *, proceed: bool, values: Mapping[str, Any]) -> None:
        with self._http.within():
            asking.answer(self._http, path, number, question, proceed=proceed, values=values)

    def cancel(self, path: str, place: Place) -> None:
        with self._http.within():
            queue.cancel(self._http, path, place)

    def log(self, path: str, number: int, offset: int) -> AbstractContextManager[LogAnswer]:
        return log.read(self._http, path, number, offset)

    def tests(self, path: str, number: int) -> TestReport | None:
        with self._http.within():
            return leftovers.tests(self._http, path, number)

    def artifacts(self, path: str, number: int) -> Sequence[RemoteArtifact]:
        return leftovers.artifacts(self._http, path, number)

    def download(self, path: str, number: int, artifact: str, into: Path, *, limit: int) -> ArtifactFile:
        return leftovers.download(self._http, path, number, artifact, into, limit=limit)
