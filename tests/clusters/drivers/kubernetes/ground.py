"""Kubeconfigs for tests, and a small HTTPS server that answers exactly what a test tells it to: also wrongly, late or half."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import yaml

from clusters.drivers.runtime.kubernetes.access import Access
from tests.simulators.kubernetes_rig import Rule
from tests.simulators.registry import Signed, certificate

RBAC = Path(__file__).resolve().parents[4] / "deploy" / "kubernetes" / "rbac.yaml"
TOKEN = "planted-token-of-the-portal"


def granted(namespace: str) -> list[Rule]:
    """What the manifest grants, as the simulator takes it; the right to deploy in the one namespace."""
    found = []
    for role in (one for one in yaml.safe_load_all(RBAC.read_text()) if one["kind"] == "ClusterRole"):
        where = (namespace,) if role["metadata"]["name"].endswith("-deploy") else ()
        for rule in role["rules"]:
            found.append(Rule(tuple(rule["verbs"]), tuple(rule["resources"]), tuple(rule["apiGroups"]), where))
    return found


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def kubeconfig(
    server: str = "https://k8s.example:6443",
    *,
    cluster: dict[str, Any] | None = None,
    user: dict[str, Any] | None = None,
    **more: Any,
) -> str:
    """One context, one cluster, one user with a token, unless told otherwise; a value of None takes a key away."""
    facts: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": "u", "user": {"token": TOKEN} if user is None else user}],
        **more,
    }
    return yaml.safe_dump({k: v for k, v in facts.items() if v is not None})


class Authority:
    """A CA of our own, and what it signs."""

    def __init__(self) -> None:
        self.signed = certificate("ca")
        self.pem = self.signed.certificate.decode()

    def server(self, host: str = "localhost") -> Signed:
        return certificate("server", self.signed, host=host)


Answer = bytes | Callable[[socket.socket, "Asked"], Any]


class Asked:
    """One request as it came."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ", 2)
        self.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
        self.body = body


def answer(status: int, body: Any = b"", *headers: str, reason: str = "X") -> bytes:
    """A whole answer; an object becomes JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + data


def failure(status: int, message: str, reason: str = "Failure") -> bytes:
    """As an API server says no."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": status}  # fmt: skip
    return answer(status, body, "Content-Type: application/json")


class RawServer:
    """`with RawServer(authority) as server:` — `server.say[...]` holds answers by path, `server.asked` what came."""

    def __init__(self, tls: Signed | None = None) -> None:
        self._context: ssl.SSLContext | None = None
        if tls is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            with tempfile.TemporaryDirectory() as folder:
                pair = Path(folder) / "pair.pem"
                pair.write_bytes(tls.certificate + tls.key)
                self._context.load_cert_chain(pair)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.say: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        self.closed = 0  # connections, by us
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._listening.shutdown(socket.SHUT_RDWR)  # closing alone would leave whoever accepts waiting
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(120)
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            while (asked := read(connection)) is not None:
                self.asked.append(asked)
                said = self.say.get(asked.target.partition("?")[0], failure(404, "not here"))
                if not callable(said):
                    connection.sendall(said)
                elif said(connection, asked) is not True:
                    return  # it ends the connection, unless the answer says that it is to go on
        except (OSError, ValueError):
            pass  # whoever asked has gone, or did not trust us
        finally:
            connection.close()
            self.closed += 1


def read(connection: socket.socket) -> Asked | None:
    """One request; None when the other side has ended."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    found = Asked(head, body)
    while len(found.body) < int(found.headers.get("content-length", 0)):
        found.body += connection.recv(65536)
    return found


def access(server: RawServer, authority: Authority | None = None, /, **more: Any) -> Access:
    return Access(**{"server": server.url, "ca": authority.pem if authority else "", "token": TOKEN, **more})
