"""The Traefik driver: keeps one proxy running under a shim and tells it, by files, where each service's requests go.

Must not know what the backends are, nor believe its own files about what is in force (`api` asks the proxy).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from clusters.drivers.process.handle import Handle, Orders, wait_gone
from clusters.drivers.traffic.base import Backend, Routing
from fangduoduo_release.common.errors import Conflict, Invalid, NotFound, Unavailable
from fangduoduo_release.common.sentence import S

from . import config as render
from .api import TraefikApi
from .certificate import ensure_certificate
from .config import TraefikConfig

START_S = 8.0


class TraefikTraffic:
    """One Traefik for all services of this host (see `clusters.drivers.traffic.base.Traffic`)."""

    kind = "traefik"

    def __init__(self, config: TraefikConfig) -> None:
        self.config = config
        self.root = config.root.absolute()
        self.dynamic = self.root / "dynamic"
        self.asked = self.root / "services"
        self.handle = Handle(self.root / "proxy", {"FDD_TRAFFIC": str(self.root)})
        self.api = TraefikApi(config.api_port)

    # --- the proxy itself -------------------------------------------------------------------------------------

    def ensure(self) -> None:
        """Start Traefik or adopt the running one; restart it when its start configuration changed."""
        with self._locked("proxy.lock"):
            static, path = render.static(self.config, self.dynamic), self.root / "traefik.yml"
            _write(self.dynamic / "common.yml", render.common(*ensure_certificate(self.root)))
            if self.handle.alive():
                if path.exists() and path.read_text() == static:
                    return self._wait_ready()
                self._stop()
            self.handle.kill_leftovers()
            self._require_free_ports()
            path.write_text(static)
            self.handle.finish(self.handle.begin(self._orders(path)))
            return self._wait_ready()

    def stop(self) -> None:
        """Stop Traefik. The services' files stay for the next `ensure`."""
        with self._locked("proxy.lock"):
            self._stop()

    def _stop(self) -> None:
        self.handle.terminate()
        if not wait_gone([self.handle], 6.0):
            self.handle.kill()
            wait_gone([self.handle], 2.0)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            status = self.handle.status()
            if status is not None and status.ready:
                return
            if not self.handle.alive() or (status is not None and status.restarts >= 3 and not status.ever_ready):
                break
            time.sleep(0.02)
        status = self.handle.status()
        reason = (status.detail or status.reason) if status else ""
        raise Unavailable(S("The proxy (Traefik) does not start: %(reason)s.", reason=reason or "?"),
                          evidence=self._last_words(), code="proxy_down")  # fmt: skip

    def _last_words(self) -> str:
        logs = sorted((self.root / "proxy" / "logs").glob("*.log"))
        return logs[-1].read_text(errors="replace")[-4000:] if logs else ""

    def _require_free_ports(self) -> None:
        places = [(self.config.listen, port) for port in self.config.ports] + [("127.0.0.1", self.config.api_port)]
        for host, port in places:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                    probe.listen(1)
                except OSError as error:
                    raise Unavailable(
                        S("The proxy cannot listen on port %(port)d: %(reason)s. Free it or choose other ports.",
                          port=port, reason=error.strerror or "?"), code="port_taken",
                    ) from error  # fmt: skip

    def _orders(self, path: Path) -> Orders:
        check = {"kind": "http", "path": "/ping", "port": 0, "command": [], "initial_delay_s": 0.0, "period_s": 10.0,
                 "timeout_s": 5.0, "failure_threshold": 3}  # fmt: skip
        return Orders(
            argv=(_binary(self.config), f"--configFile={path}"),
            env={
                "PATH": os.defpath, "HOME": str(self.root), "GOGC": "50", "GOMEMLIMIT": self.config.memory,
                **self.handle.marks,
            },
            cwd=self.root,
            grace_s=4.0,
            backoff_s=(0.1, 5.0),
            log_bytes=2 * 1024 * 1024,
            port=self.config.api_port,
            checks={"readiness": check, "liveness": check | {"initial_delay_s": 30.0}},
        )  # fmt: skip

    # --- the services -----------------------------------------------------------------------------------------

    def set_backends(self, service: str, port: int, group: str, backends: Collection[Backend]) -> None:
        """Send the group's share to exactly these."""
        _require_safe(service)
        _require_safe(group)
        if port not in self.config.ports:
            raise Invalid(S("Port %(port)d is not one of the proxy's ports (%(low)d to %(high)d).", port=port,
                            low=self.config.port_low, high=self.config.port_high), code="bad_port")  # fmt: skip
        with self._locked("services.lock"):
            before = self.wanted(service) or Routing(port, {}, {"stable": 100})
            if self._owners().get(port, service) != service:
                raise Conflict(S("Port %(port)d already belongs to another service.", port=port), code="port_taken")
            after = replace(before, port=port, backends={**before.backends, group: frozenset(backends)})
            self._write(service, after)

    def set_weights(self, service: str, weights: Mapping[str, int]) -> None:
        """Shares by group, adding up to 100."""
        if any(not 0 <= weight <= 100 for weight in weights.values()) or sum(weights.values()) != 100:
            raise Invalid(S("The shares of the traffic must add up to 100."), code="bad_weights")
        for group in weights:
            _require_safe(group)
        with self._locked("services.lock"):
            before = self.wanted(service)
            if before is None:
                raise NotFound(S("This service gets no traffic yet."))
            self._write(service, replace(before, weights=dict(weights)))

    def wanted(self, service: str) -> Routing | None:
        """What was asked for last."""
        try:
            return render.from_json(json.loads((self.asked / f"{_require_safe(service)}.json").read_text()))
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def read(self, service: str) -> Routing | None:
        """What Traefik does now, from its own API."""
        return self.api.routing(_require_safe(service))

    def in_force(self, service: str) -> bool:
        """Whether Traefik does what was asked for."""
        wanted, found = self.wanted(service), self.read(service)
        if wanted is None or found is None:
            return wanted is None and found is None
        return render.effective(wanted) == found

    def clear(self, service: str) -> None:
        """Forget the service."""
        _require_safe(service)
        if self.asked.is_dir():
            with self._locked("services.lock"):
                (self.dynamic / f"{service}.yml").unlink(missing_ok=True)
                (self.asked / f"{service}.json").unlink(missing_ok=True)

    def free_port(self, used: Collection[int]) -> int:
        """The lowest port of the pool that neither `used` nor any service here has."""
        taken = set(used) | set(self._owners())
        for port in self.config.ports:
            if port not in taken:
                return port
        raise Conflict(S("All %(count)d stable ports of this machine are in use.", count=len(self.config.ports)),
                       code="no_port")  # fmt: skip

    def _owners(self) -> dict[int, str]:
        routings = {path.stem: self.wanted(path.stem) for path in self.asked.glob("*.json") if path.stem[0] != "."}
        return {routing.port: service for service, routing in routings.items() if routing is not None}

    def _write(self, service: str, routing: Routing) -> None:
        """What was asked for, then the file that Traefik watches; a file that already says so is left alone."""
        _write(self.asked / f"{service}.json", json.dumps(render.to_json(routing), sort_keys=True))
        _write(self.dynamic / f"{service}.yml", render.dynamic(service, routing))

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        for folder in (self.root, self.dynamic, self.asked, self.root / "proxy"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self.root / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + 9.0
        try:
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise Unavailable(
                            S("Another process is starting or stopping the proxy."), code="busy"
                        ) from None
                    time.sleep(0.01)
            yield
        finally:
            os.close(fd)


def _require_safe(word: str) -> str:
    if not render.SAFE.match(word):
        raise Invalid(S("“%(word)s” cannot name a service.", word=word[:100]), code="bad_service")
    return word


def _binary(config: TraefikConfig) -> str:
    """The configured file, else the one beside this Python, else the one on PATH."""
    beside = Path(sys.executable).with_name("traefik")
    found = config.binary or (str(beside) if beside.exists() else shutil.which("traefik"))
    if not found:
        raise Unavailable(S("The proxy's program (traefik) is not installed."), code="proxy_missing")
    return found


def _write(path: Path, text: str) -> None:
    """Replace the file in one move, if it says something else.

    The new text is made one folder up: every file that appears in the watched folder costs Traefik a reload.
    """
    try:
        if path.read_text() == text:
            return
    except FileNotFoundError:
        pass
    new = path.parent.parent / f".{path.name}.{os.getpid()}.new"
    new.write_text(text)
    new.replace(path)
