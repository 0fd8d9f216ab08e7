"""The border to a builder on another server (a Jenkins): jobs, triggers, observation, logs and what a build leaves.

Every call ends within 10 s (logs and downloads: 10 s without a byte) and raises Unavailable (try again) or Rejected
(final, with the server's reason), each with a code of its own. A *job* is its path, `folder/…/name`. Nothing here knows
Django or a model. Times are UTC `datetime`s, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from builds.jenkinsfile.model import Problem
from fangduoduo_release.common.sentence import Sentence

from .base import ArtifactFile, BuildState, InputRequest, StageUpdate, TestReport

KEY = "FDD_BUILD_KEY"
"""The parameter by which a build is found again; also what keeps Jenkins from folding equal queue items."""


Kind = Literal["string", "text", "boolean", "choice", "password"]


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What `check` found. `missing` are names of what the portal needs and the user or the server lacks."""

    version: str
    user: str
    missing: tuple[str, ...] = ()
    sentence: Sentence | None = None


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """A parameter the job declares. `kind`: string, text, boolean, choice, password (never with a default there)."""

    name: str
    kind: Kind
    default: str = ""
    choices: tuple[str, ...] = ()
    description: str = ""


OURS: tuple[ParameterSpec, ...] = (
    ParameterSpec(KEY, "string", description="Set by the portal: finds the build again."),
    ParameterSpec("FDD_BUILD_URL", "string", description="Set by the portal: the build's page there."),
    ParameterSpec("FDD_REPOSITORY", "string", description="Set by the portal: where the code is."),
    ParameterSpec("FDD_REF", "string", description="Set by the portal: the branch or tag."),
    ParameterSpec("FDD_COMMIT", "string", description="Set by the portal: what is built."),
    ParameterSpec("FDD_FETCH", "string", description="Set by the portal: what is fetched beside branches and tags."),
    ParameterSpec("IMAGE", "string", description="Set by the portal: the image to push, registry/name:tag."),
    ParameterSpec("REGISTRY", "string", description="Set by the portal: the image registry."),
    ParameterSpec("REGISTRY_USER", "string", description="Set by the portal: who pushes."),
    ParameterSpec("REGISTRY_PASSWORD", "password", description="Set by the portal for each build."),
)
"""What every job declares and every build is started with; a pipeline's own parameters come beside them."""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What the job is to be. `from_repository`: the server reads the Jenkinsfile at FDD_COMMIT by itself; else `text` is
    written into the job (then `scm` means there what it means in the repository). `revision`: shown in its description."""

    path: str
    project: str
    revision: int
    text: str
    repository: str
    from_repository: bool = False
    credentials_id: str = ""  # on the server: how it reads the repository
    parameters: tuple[ParameterSpec, ...] = ()
    portal_url: str = ""


JobFacts = dict[str, Any]
"""A job as it is, reduced to what matters: JSON, equal exactly when nobody changed what we wrote. Jenkins rewrites the
XML by itself (plugin versions, parameters a Jenkinsfile declares, trackers); none of that shows here."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a build is: in the queue (`queue_id`), or begun (`number`). `cancelled`: left the queue without a build.
    `waiting_for` is the server's own sentence in the queue."""

    queue_id: int | None = None
    number: int | None = None
    cancelled: bool = False
    waiting_for: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """One build that the server runs now, as the census lists it."""

    job: str
    number: int
    key: str = ""
    queue_id: int | None = None
    maybe_asks: bool = False  # it has, or had, a question


@dataclass(frozen=True, slots=True)
class Census:
    """All that the server runs and keeps waiting in our folder: at most a handful of requests however many builds."""

    running: tuple[Running, ...]
    waiting: tuple[tuple[str, Place], ...]  # (job, place)
    session: str = ""  # changes when the server was restarted


@dataclass(frozen=True, slots=True)
class Observation:
    """What the server says of one build. `state` None: it knows no such build."""

    state: BuildState | None
    external_url: str = ""
    sentence: Sentence | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    key: str = ""
    asks: bool = False
    has_tests: bool = False


@dataclass(frozen=True, slots=True)
class LogAnswer:
    """One answer: bytes as they come, then where the next question starts. `restarted`: the log was replaced and this
    begins at 0 again. `more` False: the server will write nothing more."""

    data: Iterator[bytes]
    next_offset: int
    more: bool
    restarted: bool = False


@dataclass(frozen=True, slots=True)
class RemoteArtifact:
    path: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Validation:
    errors: tuple[Problem, ...]
    judged_by: str


@dataclass(frozen=True, slots=True)
class Values:
    """What a build is started with. `secret` values are sent as password parameters; none shows in a repr."""

    plain: Mapping[str, str]
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)


class RemoteBuilder(Protocol):
    """A builder on another server."""

    kind: str

    def check(self) -> ServerFacts:
        """Try the connection: version, who we are, what is missing by name."""

    def validate(self, text: str) -> Validation:
        """The server's own judgement. Rejected (code `no_validator`) where it has none."""

    def job_path(self, project: str) -> str:
        """Where the project's job lives. Raises Invalid for a name that could lead elsewhere."""

    def read_job(self, path: str) -> JobFacts | None:
        """The job as it is; None when there is none."""

    def write_job(self, spec: JobSpec) -> JobFacts:
        """Create folder and job, or change the job that is there; never a second one. The facts as they now are."""

    def trigger(self, path: str, values: Values) -> Place:
        """Start a build now. Rejected: `job_gone`, `job_disabled`, `no_permission`, `bad_parameters`."""

    def find(self, path: str, key: str) -> Place | None:
        """The build with this key in the queue or among the job's recent builds (the first of several)."""

    def twins(self, path: str, key: str) -> Sequence[Place]:
        """All builds and items with this key: more than one only after an answer was lost twice."""

    def queue_item(self, queue_id: int) -> Place | None:
        """None when the server has forgotten it (five minutes after it left, or a restart)."""

    def census(self, *, keys: bool = True) -> Census:
        """Without `keys` those of running builds are left out, which makes the answer several times smaller."""

    def observe(self, path: str, number: int) -> Observation: ...

    def observe_many(self, builds: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], Observation]:
        """The same for many (job, number) at once, by a handful of requests. Who is not in the answer was not looked at
        this time; its key, and why a build failed, are told by `observe` alone."""

    def stages(self, path: str, number: int) -> Sequence[StageUpdate]:
        """Ids are the server's node ids; what was skipped after a failure is `skipped`, not failed."""

    def questions(self, path: str, number: int) -> Sequence[InputRequest]:
        """The input steps that wait for a person now."""

    def answer(self, path: str, number: int, question: str, *, proceed: bool, values: Mapping[str, Any]) -> None:
        """Rejected (code `not_asked`) when nobody waits for that any more."""

    def cancel(self, path: str, place: Place) -> None:
        """Stop it, or take it from the queue; harmless when it has ended."""

    def log(self, path: str, number: int, offset: int) -> AbstractContextManager[LogAnswer]:
        """The log from the server's `offset`. Rejected (code `build_gone`) when the build was deleted."""

    def tests(self, path: str, number: int) -> TestReport | None:
        """None: the build published none."""

    def artifacts(self, path: str, number: int) -> Sequence[RemoteArtifact]: ...

    def download(self, path: str, number: int, artifact: str, into: Path, *, limit: int) -> ArtifactFile:
        """Fetch one into `into` (made), at most `limit` bytes: Rejected (code `too_large`) beyond."""
