"""The proxy does what it was told, says what it does, and comes back whatever kills it."""

from __future__ import annotations

import http.server
import os
import signal
import socket
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clusters.drivers.process import procfs
from clusters.drivers.traffic.base import Backend, Traffic
from clusters.drivers.traffic.traefik.config import TraefikConfig
from clusters.drivers.traffic.traefik.driver import TraefikTraffic
from fangduoduo_release.common.errors import Conflict, Invalid, NotFound, Unavailable
from tests.clusters.drivers.sample import free_range
from tests.waiting import until


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[TraefikTraffic]:
    low = free_range(4)
    made = TraefikTraffic(TraefikConfig(tmp_path / "traffic", port_low=low, port_high=low + 2, api_port=low + 3))
    yield made
    made.stop()
    until(lambda: procfs.marked(b"FDD_TRAFFIC", str(made.root).encode()) == [])


@pytest.fixture
def answers() -> Iterator[dict[str, Backend]]:
    """Two backends that answer with their name."""

    def serve(name: str) -> http.server.ThreadingHTTPServer:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(f"{name} {self.path}".encode())

            def log_message(self, *args: object) -> None:
                """Quiet."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    servers = {name: serve(name) for name in ("old", "new")}
    yield {name: Backend("127.0.0.1", server.server_port) for name, server in servers.items()}
    for server in servers.values():
        server.shutdown()
        server.server_close()


def get(port: int, path: str = "/") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_the_split_is_told_read_and_felt(proxy: TraefikTraffic, answers: dict[str, Backend]) -> None:
    assert isinstance(proxy, Traffic)
    proxy.ensure()
    service, port = str(uuid.uuid4()), proxy.free_port(())
    assert (proxy.wanted(service), proxy.read(service), proxy.in_force(service)) == (None, None, True)
    proxy.set_backends(service, port, "stable", [answers["old"]])
    until(lambda: proxy.in_force(service))
    assert get(port, "/a%2Fb?x=%20y") == (200, "old /a%2Fb?x=%20y")
    proxy.set_backends(service, port, "canary", [answers["new"]])
    proxy.set_weights(service, {"stable": 75, "canary": 25})
    until(lambda: proxy.in_force(service))
    found = proxy.read(service)
    assert found is not None
    assert found.weights == {"stable": 75, "canary": 25}
    assert found.backends == {"stable": {answers["old"]}, "canary": {answers["new"]}}
    assert sum(get(port)[1].startswith("new") for _ in range(40)) == 10
    proxy.set_backends(service, port, "canary", [])
    until(lambda: proxy.in_force(service))
    assert {get(port)[1] for _ in range(8)} == {"old /"}
    proxy.set_backends(service, port, "stable", [])
    until(lambda: proxy.in_force(service))
    assert get(port)[0] == 503
    proxy.clear(service)
    until(lambda: proxy.in_force(service))
    assert get(port)[0] == 404


def test_a_dead_backend_costs_no_request(proxy: TraefikTraffic, answers: dict[str, Backend]) -> None:
    proxy.ensure()
    service, port = str(uuid.uuid4()), proxy.free_port(())
    dead = Backend("127.0.0.1", free_range(1))
    proxy.set_backends(service, port, "stable", [answers["old"], dead])
    until(lambda: proxy.in_force(service))
    assert [get(port)[0] for _ in range(20)] == [200] * 20


def test_the_running_proxy_is_adopted(proxy: TraefikTraffic) -> None:
    proxy.ensure()
    before = proxy.handle.status()
    again = TraefikTraffic(proxy.config)
    again.ensure()
    assert again.handle.status() == before


def test_a_changed_start_configuration_restarts_it(proxy: TraefikTraffic) -> None:
    proxy.ensure()
    before = proxy.handle.status()
    wider = TraefikTraffic(replace(proxy.config, port_high=proxy.config.port_high - 1))
    wider.ensure()
    after = wider.handle.status()
    assert before is not None
    assert after is not None
    assert after.pid != before.pid
    with pytest.raises(OSError):
        get(proxy.config.port_high)


def test_a_killed_proxy_comes_back_with_everything(proxy: TraefikTraffic, answers: dict[str, Backend]) -> None:
    proxy.ensure()
    service, port = str(uuid.uuid4()), proxy.free_port(())
    proxy.set_backends(service, port, "stable", [answers["old"]])
    until(lambda: proxy.in_force(service))
    status = proxy.handle.status()
    assert status is not None
    os.kill(status.pid, signal.SIGKILL)
    until(lambda: (s := proxy.handle.status()) is not None and s.restarts == 1 and s.ready)
    until(lambda: proxy.in_force(service))
    os.kill(status.shim, signal.SIGKILL)
    until(lambda: not procfs.same_process(status.shim, status.shim_ticks))
    until(lambda: not proxy.handle.kill_leftovers())
    with pytest.raises(Unavailable):
        proxy.read(service)
    proxy.ensure()
    until(lambda: proxy.in_force(service))
    assert get(port) == (200, "old /")


def test_a_reload_does_not_make_a_new_key(proxy: TraefikTraffic, answers: dict[str, Backend]) -> None:
    """With a certificate in its store Traefik has none to make; ours is made once and its key is private."""
    proxy.ensure()
    key, certificate = proxy.root / "default.key", proxy.root / "default.crt"
    before = (key.read_bytes(), certificate.read_bytes())
    assert key.stat().st_mode & 0o777 == 0o600
    proxy.stop()
    proxy.ensure()
    proxy.set_backends("one", proxy.config.port_low, "stable", [answers["old"]])
    until(lambda: proxy.in_force("one"))
    assert (key.read_bytes(), certificate.read_bytes()) == before
    log = b"".join(path.read_bytes() for path in (proxy.root / "proxy" / "logs").glob("*.log"))
    assert b"certificate" not in log.lower()


def test_a_taken_port_is_named(proxy: TraefikTraffic) -> None:
    port = proxy.config.port_low + 1
    with socket.create_server(("127.0.0.1", port)), pytest.raises(Unavailable, match=f"cannot listen on port {port}"):
        proxy.ensure()
    proxy.ensure()


def test_what_is_out_of_range_is_refused(proxy: TraefikTraffic) -> None:
    low, service = proxy.config.port_low, str(uuid.uuid4())
    with pytest.raises(Invalid):
        proxy.set_backends(service, low - 1, "stable", [])
    for name in ("../../x", "a`b", "{{x}}", ""):
        with pytest.raises(Invalid):
            proxy.set_backends(name, low, "stable", [])
        with pytest.raises(Invalid):
            proxy.set_backends(service, low, name, [])
    with pytest.raises(NotFound):
        proxy.set_weights(service, {"stable": 100})
    proxy.set_backends(service, low, "stable", [])
    for weights in ({"stable": 90}, {"stable": 110, "canary": -10}, {}):
        with pytest.raises(Invalid):
            proxy.set_weights(service, weights)
    with pytest.raises(Conflict):
        proxy.set_backends("another", low, "stable", [])


def test_free_ports_run_out_with_a_sentence(proxy: TraefikTraffic) -> None:
    ports = list(proxy.config.ports)
    proxy.set_backends("one", ports[0], "stable", [])
    assert proxy.free_port([ports[1]]) == ports[2]
    with pytest.raises(Conflict, match="All 3 stable ports"):
        proxy.free_port(ports)
