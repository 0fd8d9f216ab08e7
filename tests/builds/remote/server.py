"""A build server in memory behind the border `RemoteBuilder`: for what the engine and the follower decide. How a real
one speaks is tested with the driver and the simulator. Counts every request it would cost."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from builds.drivers.builder.base import ArtifactFile, InputRequest, StageUpdate, TestReport
from builds.drivers.builder.remote import (
    KEY,
    Census,
    JobFacts,
    JobSpec,
    LogAnswer,
    Observation,
    Place,
    RemoteArtifact,
    Running,
    ServerFacts,
    Validation,
    Values,
)
from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.sentence import S


@dataclass
class Item:
    """One build: in the queue until it has a number."""

    key: str
    job: str
    queue_id: int
    values: Values
    number: int | None = None
    state: str = "queued"
    cancelled: bool = False
    forgotten: bool = False
    asks: bool = False
    log: bytes = b""
    stages: list[StageUpdate] = field(default_factory=list)
    questions: list[InputRequest] = field(default_factory=list)
    answers: list[tuple[str, bool, dict[str, Any]]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    report: TestReport | None = None
    sentence: Any = None

    @property
    def place(self) -> Place:
        waiting = "" if self.number else "Waiting for next available executor"
        return Place(self.queue_id, self.number, self.cancelled, waiting, self.key)

    @property
    def over(self) -> bool:
        return self.state in {"succeeded", "unstable", "failed", "cancelled"}


class MemoryServer:
    """Give it to what is tested. `begin`, `end` and the faults are the test's own hands."""

    kind = "jenkins"

    def __init__(self) -> None:
        self.jobs: dict[str, JobFacts] = {}
        self.items: list[Item] = []
        self.asked: Counter[str] = Counter()
        self.away: Unavailable | None = None
        self.broken: set[str] = set()  # what it fails at
        self.keys: list[bool] = []  # whether each census was asked for keys
        self.most = 1000  # builds one answer tells of
        self.lose_answers = 0  # so many triggers build and lose their answer
        self.lose_requests = 0  # so many triggers lose the request itself, which looks the same
        self._ids = itertools.count(1)

    # -- the test's hands --------------------------------------------------------------------------------------------

    def begin(self, item: Item | None = None) -> Item:
        item = item or next(i for i in self.items if i.number is None and not i.cancelled)
        numbers = [i.number or 0 for i in self.items if i.job == item.job]
        item.number, item.state = max(numbers, default=0) + 1, "running"
        return item

    def end(self, item: Item, state: str = "succeeded", **facts: Any) -> Item:
        item.state = state
        for name, value in facts.items():
            setattr(item, name, value)
        return item

    def go_away(self, code: str = "unreachable") -> None:
        self.away = Unavailable(S("Jenkins does not answer."), code=code)

    def _here(self, what: str) -> None:
        self.asked[what] += 1
        if self.away is not None:
            raise self.away
        if what in self.broken:
            raise Unavailable(S("Jenkins failed."), code="server_error")

    def _build(self, path: str, number: int) -> Item:
        found = [i for i in self.items if i.job == path and i.number == number and not i.forgotten]
        if not found:
            raise Rejected(S("There is no such build."), code="build_gone")
        return found[0]

    # -- the border ----------------------------------------------------------------------------------------------------

    def check(self) -> ServerFacts:
        return ServerFacts("2.440.2", "fdd")

    def validate(self, text: str) -> Validation:
        return Validation((), "jenkins")

    def job_path(self, project: str) -> str:
        return f"fdd/{project}"

    def read_job(self, path: str) -> JobFacts | None:
        self._here("read_job")
        return dict(self.jobs[path]) if path in self.jobs else None

    def write_job(self, spec: JobSpec) -> JobFacts:
        self._here("write_job")
        text = hashlib.sha256(spec.text.encode()).hexdigest()
        self.jobs[spec.path] = {"text": text, "scm": spec.from_repository, "parameters_missing": []}
        return dict(self.jobs[spec.path])

    def trigger(self, path: str, values: Values) -> Place:
        self._here("trigger")
        lost = Unavailable(S("The answer was lost."), code="unknown_outcome")
        if self.lose_requests:
            self.lose_requests -= 1
            raise lost
        if path not in self.jobs:
            raise Rejected(S("There is no such job."), code="job_gone")
        item = Item(values.plain[KEY], path, next(self._ids), values)
        self.items.append(item)
        if self.lose_answers:
            self.lose_answers -= 1
            raise lost
        return Place(queue_id=item.queue_id)

    def find(self, path: str, key: str) -> Place | None:
        self._here("find")
        return next((i.place for i in self.items if (i.job, i.key) == (path, key) and not i.forgotten), None)

    def twins(self, path: str, key: str) -> Sequence[Place]:
        self._here("twins")
        return [i.place for i in self.items if (i.job, i.key) == (path, key) and not i.forgotten]

    def queue_item(self, queue_id: int) -> Place | None:
        self._here("queue_item")
        return next((i.place for i in self.items if i.queue_id == queue_id and not i.forgotten), None)

    def census(self, *, keys: bool = True) -> Census:
        self._here("census")
        self.keys.append(keys)
        self.asked["census"] += 1  # the queue's request
        known = [i for i in self.items if not i.forgotten]
        running = [
            Running(i.job, i.number or 0, i.key if keys else "", i.queue_id, i.asks)
            for i in known
            if i.state == "running"
        ]
        waiting = [(i.job, i.place) for i in known if i.number is None and not i.cancelled]
        return Census(tuple(running), tuple(waiting), "one")

    def observe(self, path: str, number: int) -> Observation:
        self._here("observe")
        return self._seen(path, number)

    def observe_many(self, builds: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], Observation]:
        self._here("observe_many")
        return {(path, number): self._seen(path, number) for path, number in builds[: self.most]}

    def _seen(self, path: str, number: int) -> Observation:
        try:
            item = self._build(path, number)
        except Rejected:
            return Observation(None)
        return Observation(
            item.state,  # type: ignore[arg-type]
            external_url=f"http://ci.example/job/{path}/{number}/",
            sentence=item.sentence,
            key=item.key,
            asks=item.asks,
            has_tests=item.report is not None,
        )

    def stages(self, path: str, number: int) -> Sequence[StageUpdate]:
        self._here("stages")
        return self._build(path, number).stages

    def questions(self, path: str, number: int) -> Sequence[InputRequest]:
        self._here("questions")
        return self._build(path, number).questions

    def answer(self, path: str, number: int, question: str, *, proceed: bool, values: Mapping[str, Any]) -> None:
        self._here("answer")
        item = self._build(path, number)
        if question not in {q.id for q in item.questions}:
            raise Rejected(S("Nobody waits for that."), code="not_asked")
        item.answers.append((question, proceed, dict(values)))
        item.questions = [q for q in item.questions if q.id != question]

    def cancel(self, path: str, place: Place) -> None:
        self._here("cancel")
        for item in self.items:
            if item.job == path and item.queue_id == place.queue_id and not item.over:
                item.cancelled = item.number is None
                item.state = "cancelled"

    @contextmanager
    def log(self, path: str, number: int, offset: int) -> Iterator[LogAnswer]:
        self._here("log")
        item = self._build(path, number)
        yield LogAnswer(iter([item.log[offset:]]), len(item.log), more=not item.over)

    def tests(self, path: str, number: int) -> TestReport | None:
        self._here("tests")
        return self._build(path, number).report

    def artifacts(self, path: str, number: int) -> Sequence[RemoteArtifact]:
        self._here("artifacts")
        return [RemoteArtifact(name, len(data)) for name, data in sorted(self._build(path, number).files.items())]

    def download(self, path: str, number: int, artifact: str, into: Path, *, limit: int) -> ArtifactFile:
        self._here("download")
        data = self._build(path, number).files[artifact]
        target = into / artifact
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return ArtifactFile(artifact, len(data), hashlib.sha256(data).hexdigest())


def moved(item: Item, **changes: Any) -> Item:
    """A copy of a build, as a twin of it."""
    return replace(item, **changes)
