"""A real runtime behind a real proxy for each test; everything that a test started is gone when it ends."""

from __future__ import annotations

import http.client
import itertools
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from clusters.drivers.process import handle, procfs
from clusters.drivers.runtime.base import Artifact, Observed, ServiceRef, Wanted
from clusters.drivers.runtime.local.runtime import LocalConfig, LocalRuntime
from clusters.drivers.runtime.spec import Check, HealthChecks, ServiceSpec
from clusters.drivers.traffic.traefik import driver
from clusters.drivers.traffic.traefik.config import TraefikConfig
from clusters.drivers.traffic.traefik.driver import TraefikTraffic
from tests.clusters.drivers.sample import free_range, version
from tests.waiting import until

POOL = 6
SPEC = ServiceSpec(
    ("python3", "-S", "server.py"),
    replicas=2,
    health=HealthChecks(readiness=Check("http", "/health", period_s=0.5, timeout_s=10.0)),
    stop_grace_s=10.0,
    start_deadline_s=120.0,
)


@dataclass
class Place:
    """A runtime, and what a test needs around it: versions, goals, a way to ask the service."""

    runtime: LocalRuntime
    traffic: TraefikTraffic | None
    folder: Path
    service: ServiceRef
    port: int
    generations: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def version(self, name: str) -> Artifact:
        return version(self.folder, name)

    def want(self, artifact: Artifact, restart_nonce: str = "", **spec: Any) -> Wanted:
        """A goal of the next generation."""
        generation = next(self.generations)
        return Wanted(
            self.service, generation, "shop", "here", f"deployment-{generation}", replace(SPEC, **spec), artifact,
            stable_port=self.port if self.traffic else 0, restart_nonce=restart_nonce,
        )  # fmt: skip

    def settle(self, wanted: Wanted, timeout: float = 60.0) -> Observed:
        """Advance until the goal is reached or given up."""
        return until(
            lambda: (seen := self.runtime.advance(wanted, 2.0)) and (seen.settled or seen.failure) and seen,
            timeout,
            what=f"{wanted.deployment} to settle",
        )

    def deploy(self, name: str, **spec: Any) -> Wanted:
        wanted = self.want(self.version(name), **spec)
        seen = self.settle(wanted)
        assert seen.green(wanted.artifact.digest), seen
        return wanted

    def overdue(self, wanted: Wanted) -> Wanted:
        """The same for the same instances, whose time to get ready has been over for long."""
        return replace(wanted, generation=next(self.generations), spec=replace(wanted.spec, start_deadline_s=0.01))

    def crash(self, name: str) -> Wanted:
        program = "print('no luck'); raise SystemExit(7)"
        return self.want(self.version(name), command=("python3", "-c", program))

    def digest(self, wanted: Wanted) -> str:
        return wanted.artifact.digest

    def answers(self) -> set[str]:
        """The versions that answer now at the stable port."""
        told = [self.ask() for _ in range(6)]
        return {body.split()[0] for status, body in told if status == 200}

    def sicken(self, instance: str) -> None:
        self.runtime.exec(self.service, instance, ["touch", "sick"])

    def ask(self, path: str = "/", port: int = 0) -> tuple[int, str]:
        """Status and body through the stable port (or straight from an instance)."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def processes(self) -> list[int]:
        """Every process of this runtime, shims included."""
        return procfs.marked(b"FDD_RUNTIME", str(self.runtime.layout.root).encode())

    def instances(self) -> Observed:
        return self.runtime.observe(self.service)


def local_place(folder: Path, traffic: TraefikTraffic | None, port: int) -> Place:
    low = free_range(60)
    config = LocalConfig(folder / "runtime", port_low=low, port_high=low + 59)
    return Place(LocalRuntime(config, traffic), traffic, folder, ServiceRef(str(uuid.uuid4())), port)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy and a process's supervisor may take longer to come up than in earnest: the machine may be a busy one."""
    for starts in (driver, handle):
        monkeypatch.setattr(starts, "START_S", 120.0)


@pytest.fixture(scope="session")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TraefikTraffic]:
    """One proxy for the whole session: starting one costs half a second."""
    low = free_range(POOL + 1)
    config = TraefikConfig(
        tmp_path_factory.mktemp("traffic"), port_low=low, port_high=low + POOL - 1, api_port=low + POOL
    )
    proxy = TraefikTraffic(config)
    yield proxy
    proxy.stop()


@pytest.fixture
def place(tmp_path: Path, traffic: TraefikTraffic) -> Iterator[Place]:
    """A runtime behind the proxy."""
    traffic.ensure()
    made = local_place(tmp_path, traffic, traffic.free_port(()))
    made.runtime.ensure()
    yield made
    made.runtime.stop_all()
    traffic.clear(made.service.key)
    until(lambda: made.processes() == [], what="nothing to be left")


@pytest.fixture
def quiet_place(tmp_path: Path) -> Iterator[Place]:
    """A runtime without a proxy, for what has nothing to do with traffic."""
    made = local_place(tmp_path, None, 0)
    made.runtime.ensure()
    yield made
    made.runtime.stop_all()
    until(lambda: made.processes() == [], what="nothing to be left")
