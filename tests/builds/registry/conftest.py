"""A real registry of every sort, once a session, and a server that answers whatever a test wants."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from builds.drivers.registry import distribution
from builds.drivers.registry.distribution import Distribution, RegistryConfig
from fangduoduo_release.common import exchange
from tests.simulators.registry import DockerRegistry, Signed, certificate
from tests.simulators.registry_tokens import TokenServer


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long the driver waits at most is the concern of the tests that shorten it."""
    monkeypatch.setattr(distribution, "CALL_S", 60.0)
    monkeypatch.setattr(exchange, "CONNECT_S", 60.0)


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path) as registry:
        yield registry


@pytest.fixture(scope="session")
def locked() -> Iterator[DockerRegistry]:
    """One that wants a user name and a password."""
    with tempfile.TemporaryDirectory() as folder, DockerRegistry(Path(folder), basic=True) as registry:
        yield registry


@pytest.fixture(scope="session")
def ca() -> Signed:
    return certificate("CA of the tests")


@pytest.fixture(scope="session")
def secure(ca: Signed) -> Iterator[DockerRegistry]:
    """One whose certificate is signed by `ca`."""
    with tempfile.TemporaryDirectory() as folder, DockerRegistry(Path(folder), tls=certificate(signer=ca)) as registry:
        yield registry


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


@pytest.fixture
def guarded(tokens: TokenServer, tmp_path: Path) -> Iterator[DockerRegistry]:
    """One that takes the tokens of `tokens`, holding team/app:1."""
    with DockerRegistry(tmp_path, tokens=tokens.for_registry) as registry:
        token = tokens.token("repository:team/app:push", push=True)
        registry.push("team/app", "1", Authorization=f"Bearer {token}")
        yield registry


def driver(url: str, username: str = "", password: str = "", ca: str = "") -> Distribution:
    return Distribution(RegistryConfig(url, username, password, ca))


@dataclass
class Says:
    """Answers each request with what `reply` gives for it; `asked` remembers them."""

    reply: Callable[[str, str], tuple[int, dict[str, str], bytes]]
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    drip_s: float = 0.0
    url: str = ""


@pytest.fixture
def says() -> Iterator[Callable[..., Says]]:
    """Makes servers that answer whatever the test wants."""
    servers: list[ThreadingHTTPServer] = []

    def make(reply: Any, *, drip_s: float = 0.0) -> Says:
        told = Says(reply if callable(reply) else lambda *_: reply, drip_s=drip_s)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told.asked.append((self.command, self.path, dict(self.headers)))
                status, headers, body = told.reply(self.command, self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "HEAD":
                    return
                step = 1 if told.drip_s else len(body) or 1
                for at in range(0, len(body), step):
                    self.wfile.write(body[at : at + step])
                    time.sleep(told.drip_s)

            def do_HEAD(self) -> None:
                self.do_GET()

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    pass  # whoever asked has gone

            def log_message(self, *_: object) -> None:
                """Silent."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        told.url = f"http://127.0.0.1:{server.server_address[1]}"
        return told

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()
