"""The local runtime's verbs: each looks at the files and /proc, acts under the group's lock, and answers what is.

Must not know the engine, nor hold anything in memory that another process could not find on disk.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusters.drivers.process import procfs
from clusters.drivers.process.handle import send, wait_gone
from clusters.drivers.runtime.base import (
    ExecResult,
    LogPage,
    LogQuery,
    Observed,
    Plan,
    ProbeResult,
    Reconciled,
    ServiceRef,
    Wanted,
)  # fmt: skip
from clusters.drivers.traffic.base import Traffic
from fangduoduo_release.common.errors import Conflict, Invalid, NotFound, Unavailable
from fangduoduo_release.common.sentence import S

from . import failures, logs, manifest, visits
from .archive import Limits
from .converge import Ground, Step
from .instances import LocalInstance, default_search_path, read_instances
from .layout import GroupDir, Layout, remove_tree

LOCK_S = 5.0
GLANCE_S = 0.02


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """Where it keeps its files, where instances listen (ports from `port_low` to `port_high`), what they may unpack.

    `search_path`: the PATH of instances ("": the portal's without its virtual environment).
    """

    root: Path
    host: str = "127.0.0.1"
    port_low: int = 21000
    port_high: int = 22999
    search_path: str = ""
    limits: Limits = field(default_factory=Limits)


class LocalRuntime:
    """Runs services as processes of this host (see `clusters.drivers.runtime.base.Runtime`)."""

    kind = "local"

    def __init__(self, config: LocalConfig, traffic: Traffic | None = None) -> None:
        self.config = config
        self.layout = Layout(config.root.absolute())
        self.traffic = traffic
        self.ground = Ground(
            self.layout, config.host, config.port_low, config.port_high, config.search_path or default_search_path(),
            config.limits, traffic,
        )  # fmt: skip

    def ensure(self) -> None:
        """Make the folders and see that the proxy runs."""
        self.layout.make()
        if self.traffic is not None:
            self.traffic.ensure()

    def plan(self, wanted: Wanted) -> Plan:
        """What `apply` would change."""
        data = self._manifest(wanted)
        text = manifest.canonical(data)
        state = self.layout.group(wanted.service).read_state()
        before = str(state.get("manifest", ""))
        return Plan(
            manifest=text,
            sha256=manifest.digest_of(text),
            diff=manifest.unified(before, text),
            changed=before != text,
            replaces_instances=state.get("template") != manifest.template_of(data),
        )

    def apply(self, wanted: Wanted) -> None:
        """Make `wanted` the goal. Raises Invalid, Conflict (superseded), Unavailable (somebody else is at it)."""
        data = self._manifest(wanted)
        text = manifest.canonical(data)
        self.layout.make()
        group = self.layout.group(wanted.service)
        with group.locked(LOCK_S) as mine:
            if not mine:
                raise Unavailable(S("Another process is changing this service right now."), code="busy")
            state = group.read_state()
            self._refuse_older(state, wanted)
            same = state.get("generation") == wanted.generation and state.get("manifest") == text
            if same and not state.get("removing"):
                return
            group.write_state(
                {
                    "generation": wanted.generation, "manifest": text, "manifest_sha256": manifest.digest_of(text),
                    "template": manifest.template_of(data), "replicas": wanted.spec.replicas,
                    "stable_port": wanted.stable_port if wanted.spec.port_name else 0, "drain_s": wanted.spec.drain_s,
                    "deployment": wanted.deployment, "failure": None, "removing": False,
                    "settled_generation": None, "port_retries": 0,
                }
            )  # fmt: skip

    def advance(self, wanted: Wanted, wait_s: float = 0.0) -> Observed:
        """Apply if need be, then step until the goal is reached, given up, or `wait_s` (≤ 9) is over."""
        self.apply(wanted)
        group = self.layout.group(wanted.service)
        deadline = time.monotonic() + min(wait_s, 9.0)
        while True:
            over = time.monotonic() + GLANCE_S > deadline
            if self._step(group, wanted) or over:
                seen = self.observe(wanted.service)
                if seen.settled or seen.failure is not None or over:
                    return seen
            time.sleep(GLANCE_S)

    def _step(self, group: GroupDir, wanted: Wanted) -> bool:
        """One step, if nobody else is at it. True when looking at the whole may show an end."""
        with group.locked(0.2) as mine:
            state = group.read_state()
            if not mine or not state:
                return False
            self._refuse_older(state, wanted)
            if state["removing"]:
                return False
            Step(self.ground, group, state).converge(wanted)
            return bool(state["failure"]) or state["settled_generation"] == state["generation"]

    def removal(self, service: ServiceRef) -> tuple[str, ...]:
        """The instances that would be ended."""
        return tuple(instance.name for instance in self.observe(service).instances)

    def remove(self, service: ServiceRef, wait_s: float = 0.0) -> Observed:
        """Step towards nothing; `absent` when done. Instances drain first. Removing what is not there is done."""
        group = self.layout.group(service)
        deadline = time.monotonic() + min(wait_s, 9.0)
        while group.read_state():
            with group.locked(0.2) as mine:
                state = group.read_state()
                if mine and state:
                    if not state.get("removing"):
                        state |= {"removing": True, "replicas": 0, "failure": None}
                        group.write_state(state)
                    Step(self.ground, group, state).remove()
            if time.monotonic() + GLANCE_S > deadline:
                break
            time.sleep(GLANCE_S)
        return self.observe(service)

    def observe(self, service: ServiceRef) -> Observed:
        """What really runs, from the files, /proc and the proxy; changes nothing."""
        group = self.layout.group(service)
        state = group.read_state()
        if not state:
            return Observed(service, "absent", 0, "", 0, 0, settled=False)
        found = [one.observed(state["template"]) for one in read_instances(group, self.layout.root)]
        ready = sum(1 for instance in found if instance.current and instance.ready)
        failure = failures.from_json(state.get("failure"))
        total = int(state["replicas"])
        whole = not failure and not state["removing"] and ready == total == len(found)
        noted = state.get("settled_generation") == state["generation"]
        settled = whole and noted and self._in_force(state, service)
        return Observed(
            service=service,
            state=_state_word(state, settled, whole, [one.state for one in found]),
            generation=int(state["generation"]),
            manifest_sha256=state["manifest_sha256"],
            ready=ready,
            total=total,
            settled=settled,
            instances=tuple(found),
            failure=failure,
            doing=visits.doing(found, ready, total, settled),
            look_again_s=5.0 if settled or failure else 0.05,
        )

    def logs(self, service: ServiceRef, query: LogQuery) -> LogPage:
        """Lines of one instance (also one that is gone, while its logs are kept) or of all present ones."""
        group = self.layout.group(service)
        if not query.instance:
            folders = [one.path for one in read_instances(group, self.layout.root)]
            if not folders and group.history.is_dir():
                folders = sorted(group.history.iterdir(), key=lambda path: path.stat().st_mtime)[-1:]
            return logs.read_page(folders, query)
        for folder in [*group.instance_dirs(), *(group.history.iterdir() if group.history.is_dir() else ())]:
            if folder.name == query.instance:
                return logs.read_page([folder], query)
        raise _no_instance(query.instance)

    def exec(self, service: ServiceRef, instance: str, argv: Sequence[str], timeout_s: float = 8.0) -> ExecResult:
        """Run `argv` beside the instance: same environment, same directory. Raises NotFound, Rejected."""
        status = self._instance(service, instance).status
        if status is None or not procfs.same_process(status.pid, status.ticks):
            raise _no_instance(instance)
        return visits.run_beside(status.pid, list(argv), min(timeout_s, 9.0))

    def probe(self, service: ServiceRef) -> tuple[ProbeResult, ...]:
        """Check every present instance now, as its readiness check would."""
        group = self.layout.group(service)
        text = group.read_state().get("manifest")
        present = [one for one in read_instances(group, self.layout.root) if one.alive and one.drain is None]
        return visits.probe_all(present, text, self.config.host) if text else ()

    def reconcile(self, known: Iterable[ServiceRef]) -> Reconciled:
        """Kill processes that no living instance owns; name the services that the caller does not know."""
        killed = []
        alive: dict[tuple[str, str], bool] = {}
        for pid in procfs.marked(b"FDD_RUNTIME", str(self.layout.root).encode()):
            ticks = procfs.start_ticks(pid)
            found = procfs.environment(pid)
            whose = (found.get("FDD_SERVICE_KEY", ""), found.get("FDD_INSTANCE", ""))
            if whose not in alive:
                alive[whose] = self._lives(*whose)
            if not alive[whose] and send(pid, ticks, 9):
                killed.append(pid)
        names = set(known)
        strays = tuple(group.service for group in self.layout.groups() if group.service not in names)
        return Reconciled(tuple(killed), strays)

    def stop_all(self, wait_s: float = 8.0) -> bool:
        """End every instance; goals stay, the next `advance` starts them again. True when all ended by themselves."""
        everything = [one for group in self.layout.groups() for one in read_instances(group, self.layout.root)]
        running = [one.handle for one in everything if one.alive]
        deadline = time.monotonic() + min(wait_s, 9.0)
        for handle in running:
            handle.terminate()
        gone = wait_gone(running, deadline - time.monotonic())
        for handle in running if not gone else []:
            handle.kill()
        return gone and not self.reconcile([]).killed

    def keep_releases(self, digests: Iterable[str]) -> None:
        """Forget unpacked versions that are not named here; a later deployment unpacks its archive again."""
        keep = {digest.rpartition(":")[2] for digest in digests}
        for path in self.layout.releases.iterdir() if self.layout.releases.is_dir() else ():
            if len(path.name) == 64 and path.name not in keep:
                remove_tree(path)

    # --- details ----------------------------------------------------------------------------------------------

    def _manifest(self, wanted: Wanted) -> dict[str, Any]:
        if not wanted.artifact.archive:
            raise Invalid(S("This machine runs archives, and the version has none."), code="no_archive")
        if not wanted.spec.command:
            raise Invalid(S("The service spec has no command."), code="no_command")
        return manifest.manifest(wanted, manifest.fingerprint_key(self.layout.root))

    def _refuse_older(self, state: dict[str, Any], wanted: Wanted) -> None:
        if state and int(state["generation"]) > wanted.generation:
            raise Conflict(S("A newer change of this service is under way."), code="superseded")

    def _in_force(self, state: dict[str, Any], service: ServiceRef) -> bool:
        if self.traffic is None or not state.get("stable_port"):
            return True
        try:
            return self.traffic.in_force(service.key)
        except Unavailable:
            return False

    def _lives(self, key: str, name: str) -> bool:
        paths = self.layout.services.glob(f"{key}/*/instances/{name}") if key.isascii() and name else ()
        for path in paths:
            group = GroupDir(path.parent.parent, ServiceRef(key, path.parent.parent.name))
            if any(one.record.name == name and one.alive for one in read_instances(group, self.layout.root)):
                return True
        return False

    def _instance(self, service: ServiceRef, name: str) -> LocalInstance:
        for one in read_instances(self.layout.group(service), self.layout.root):
            if one.record.name == name and one.alive:
                return one
        raise _no_instance(name)


def _no_instance(name: str) -> NotFound:
    return NotFound(S("There is no running instance “%(name)s”.", name=name[:100]))


def _state_word(state: dict[str, Any], settled: bool, whole: bool, instances: Sequence[str]) -> str:
    if state["removing"]:
        return "removing"
    if state.get("failure"):
        return "failed"
    if settled:
        return "ready"
    if state.get("settled_generation") != state["generation"]:
        return "converging"
    if all(word == "dead" for word in instances):
        return "stopped"
    return "converging" if whole else "degraded"
