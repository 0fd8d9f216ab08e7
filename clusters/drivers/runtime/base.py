"""What every runtime kind promises: the verbs, the values and the errors. Knows no kind, no model, no database.

One verb set serves a host that is told step by step (`local`) and orchestrators that roll by themselves (Kubernetes,
Swarm). The caller says what is wanted, again and again; the driver looks first and then does what is missing:

    plan(wanted)              what would change, masked; changes nothing
    apply(wanted)             make `wanted` the goal (idempotent; starts convergence, waits for nothing)
    advance(wanted, wait_s)   work towards the goal for at most `wait_s`, answer what is observed
    observe(service)          what really runs; changes nothing
    remove, removal           work towards "absent", until `state == "absent"`; what that would delete
    logs, exec, probe         look into the instances
    reconcile(known)          close gaps that a crash of anybody left (orphans, strays)
    stop_all / ensure         everything down for a while, wanted states untouched / the kind's own servants up

How an engine calls it: `apply` once per deployment step, then `advance` until `observed.settled` (done: the wanted
number of instances is ready, has the traffic, runs the wanted digest, and nothing else is left) or `observed.failure`
(final: the old instances still serve; apply the previous `Wanted` under a new generation to go back). Deploy, rollback,
scale and restart are all `apply` of a changed `Wanted`: another artifact, an earlier one, other replicas, another
`restart_nonce`. Calling any verb again after a crash is always right.

`generation` grows with every change of a service's goal. A driver refuses (`Conflict`, code "superseded") an `apply` or
`advance` with a lower generation than the one it has, so that a worker that lost its claim cannot undo a newer one.

Secrets travel inside `Wanted` and only there: no plan, manifest, log, error or file of the driver holds their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from fangduoduo_release.common.sentence import Sentence

from .spec import ServiceSpec

STABLE = "stable"
CANARY = "canary"
LEAVING = frozenset({"draining", "stopping", "dead"})  # states of instances that get no requests any more


@dataclass(frozen=True, slots=True)
class ServiceRef:
    """A service as a runtime knows it: its key (uuid as text) and the traffic group (stable or canary). `where`: the
    machine's own word for where to look (a namespace); it tells no two services apart."""

    key: str
    group: str = STABLE
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a version left: an archive on this host (`archive`, a path) or an `image`; `digest` is "sha256:<hex>"."""

    digest: str
    archive: str = ""
    image: str = ""


@dataclass(frozen=True, slots=True)
class PullSecret:
    """How images are taken from a registry that asks who one is."""

    host: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The whole goal for one group of one service. Every field is compared, nothing is remembered from before.

    `stable_port`: the port people use, on kinds where the portal gives it out (0: none). `placement`: the machine's
    own words (namespace, labels). A changed `restart_nonce` replaces every instance. `version`: its number as text.
    `base`: YAML manifests to begin with, on kinds that have such; "": everything is rendered from the spec. `take_over`:
    fields that another manager owns are taken. `paused`: instances stay as they are until it is not.
    """

    service: ServiceRef
    generation: int
    project: str
    machine: str
    deployment: str
    spec: ServiceSpec
    artifact: Artifact
    stable_port: int = 0
    placement: Mapping[str, str] = field(default_factory=dict)
    restart_nonce: str = ""
    version: str = ""
    base: str = ""
    pull: PullSecret | None = None
    take_over: bool = False
    paused: bool = False


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that we would set and another manager owns. `what`: kind/name of the object; `field`: its path."""

    what: str
    field: str
    owner: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`manifest`: canonical text, secrets masked; `sha256`: hex of it; `diff`: unified, against what is applied now.
    `deletes`: objects (kind/name) that are there and would not be any more; `there`: those that would be changed, or taken
    as they are, for their name exists. `start_s`: how long an instance may take to start, where not as the spec says.
    `scaled_by`: the object that decides how many instances there are; "": the replicas do."""

    manifest: str
    sha256: str
    diff: str
    changed: bool
    replaces_instances: bool
    warnings: tuple[Sentence, ...] = ()
    conflicts: tuple[FieldConflict, ...] = ()
    deletes: tuple[str, ...] = ()
    there: tuple[str, ...] = ()
    start_s: float | None = None
    scaled_by: str = ""


@dataclass(frozen=True, slots=True)
class Instance:
    """One process, pod or task. `state`: starting running restarting draining stopping dead.

    `digest` is read back from what really runs ("" when nothing does). `ready` means that its checks pass now; `current`:
    made from the goal, not on its way out. `pullable`: its image can be had again by `digest`. `port`: on `node`."""

    name: str
    state: str
    ready: bool
    current: bool
    digest: str
    restarts: int = 0
    started_at: datetime | None = None
    node: str = ""
    port: int = 0
    pid: int = 0
    exit_code: int | None = None
    exit_signal: int | None = None
    reason: Sentence | None = None
    containers: tuple[str, ...] = ()  # by name, the main one first; on kinds that have several
    pullable: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a goal was given up. Codes: crash_loop not_ready missing_command port_taken no_port bad_artifact bad_file
    start_failed image_pull unschedulable probe_failing quota webhook_denied deadline gone. `evidence`: the last log lines (≤ 50); exactly one of the exit fields is set when a process ended."""

    code: str
    sentence: Sentence
    evidence: str = ""
    exit_code: int | None = None
    exit_signal: int | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What really is. `state`: absent converging ready degraded stopped failed removing.

    `ready`/`total`: current instances that are ready, of those wanted. `settled`: the goal is reached in full, traffic
    included. `look_again_s`: when looking again may pay. `drift`: how what is applied differs from the goal by somebody
    else's hand. `url`: where it is reached from outside, as far as is known."""

    service: ServiceRef
    state: str
    generation: int
    manifest_sha256: str
    ready: int
    total: int
    settled: bool
    instances: tuple[Instance, ...] = ()
    failure: Failure | None = None
    doing: Sentence | None = None
    look_again_s: float = 5.0
    drift: tuple[Sentence, ...] = ()
    url: str = ""

    @property
    def staying(self) -> tuple[Instance, ...]:
        """The instances that are not on their way out."""
        return tuple(one for one in self.instances if one.state not in LEAVING)

    @property
    def serving_digests(self) -> frozenset[str]:
        return frozenset(one.digest for one in self.staying if one.digest)

    @property
    def pullable(self) -> bool:
        return bool(self.staying) and all(one.pullable for one in self.staying)

    def green(self, digest: str) -> bool:
        """True when the goal is reached and every instance that stays is ready and runs `digest`."""
        return self.settled and all(one.ready and one.digest == digest for one in self.staying)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line (or a piece of ≤ 16 KiB of a longer one: `partial`). `stream`: stdout, stderr or system."""

    instance: str
    at: datetime
    stream: str
    data: bytes
    partial: bool = False
    container: str = ""


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines in order of time, and the `cursor` that asks for those after them."""

    lines: tuple[LogLine, ...]
    cursor: str


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines: of one instance or all; the last `tail`; since a time; after a cursor; of the run before this one.

    With `after` the oldest unread lines come first and `tail` is not looked at. At most `limit_bytes` are returned.
    """

    instance: str = ""
    tail: int = 500
    since: datetime | None = None
    previous: bool = False
    after: str = ""
    limit_bytes: int = 1024 * 1024
    container: str = ""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """`exit_code` is -N for signal N; output is cut at 1 MiB per stream (`truncated`); `timed_out`: it was killed."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One active check of one instance, made now."""

    instance: str
    ok: bool
    duration_ms: float
    sentence: Sentence | None = None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """`killed`: processes that belonged to nobody; `strays`: services on the runtime that the caller does not know."""

    killed: tuple[int, ...] = ()
    strays: tuple[ServiceRef, ...] = ()


@runtime_checkable
class Runtime(Protocol):
    """A place that runs services. Every call returns within 10 s and may be repeated.

    Raises: Invalid (a goal this kind cannot render), Conflict ("superseded"), NotFound (an instance), Unavailable (try
    again), Rejected (the server's final no). A workload that does not come up is not an exception but a `Failure`.
    """

    kind: str

    def plan(self, wanted: Wanted) -> Plan: ...

    def apply(self, wanted: Wanted) -> None: ...

    def advance(self, wanted: Wanted, wait_s: float = 0.0) -> Observed: ...

    def observe(self, service: ServiceRef) -> Observed: ...

    def remove(self, service: ServiceRef, wait_s: float = 0.0) -> Observed: ...

    def removal(self, service: ServiceRef) -> tuple[str, ...]: ...

    def logs(self, service: ServiceRef, query: LogQuery) -> LogPage: ...

    def exec(self, service: ServiceRef, instance: str, argv: Sequence[str], timeout_s: float = 8.0) -> ExecResult: ...

    def probe(self, service: ServiceRef) -> tuple[ProbeResult, ...]: ...

    def reconcile(self, known: Iterable[ServiceRef]) -> Reconciled: ...

    def stop_all(self, wait_s: float = 8.0) -> bool: ...

    def ensure(self) -> None: ...
