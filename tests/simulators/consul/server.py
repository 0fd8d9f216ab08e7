"""The HTTP side. `with Consul() as consul:` serves at `consul.url`; tests put keys, break it, and see who asked what."""

from __future__ import annotations

import base64
import json
import random
import re
import socket
import ssl
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tests.portal import free_port
from tests.simulators.registry import Signed
from tests.simulators.sockets import held

from .store import Entry, Store

LARGEST_VALUE = 512 * 1024
VERSION = "1.20.1"
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Rights:
    """What an ACL token may do: prefixes of keys it may read, and write."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    agent: bool = False

    def may(self, what: str, key: str) -> bool:
        prefixes = self.write if what == "write" else (*self.read, *self.write)
        return any(key.startswith(prefix) for prefix in prefixes)


@dataclass(slots=True)
class Faults:
    """What is wrong with it at the moment. `status`: answered instead of an answer, with `body`. `slow_s`: before each
    answer. `gate`: nothing is answered before it is set. `drip`: a byte now and then. `redirect`: a 301 to there."""

    status: int = 0
    body: str = ""
    slow_s: float = 0.0
    gate: threading.Event | None = None
    drip: bool = False
    leaderless: bool = False
    garbage: bytes | None = None
    redirect: str = ""


@dataclass(slots=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    client: tuple[str, int]
    at: float = field(default_factory=time.monotonic)


@dataclass
class Consul:
    """`tokens` None: ACLs are off. `enterprise`: namespaces and partitions are known."""

    tokens: dict[str, Rights] | None = None
    enterprise: bool = False
    tls: Signed | None = None
    datacenter: str = "dc1"
    store: Store = field(default_factory=Store)
    faults: Faults = field(default_factory=Faults)
    asked: list[Asked] = field(default_factory=list)
    port: int = field(default_factory=free_port)  # its own while it is away, too
    _server: Any = None
    _held: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._held is not None:
            self._held.close()

    def start(self) -> None:
        """Also again, after a stop, on the same port."""
        self.store.closing = False
        if self._held is None:
            self._held = held(self.port)
            self.port = self._held.getsockname()[1]
        handler = type("Handler", (_Handler,), {"consul": self})
        self._server = _Server(("127.0.0.1", self.port), handler)
        if self.tls is not None:
            self._server.secure(self.tls)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Away: nobody listens, and every connection is cut."""
        self.store.closing = True
        with self.store.changed:
            self.store.changed.notify_all()
        self._server.shutdown()
        self._server.cut()
        self._server.server_close()

    def put(self, key: str, value: str | bytes, namespace: str = "default") -> int:
        """As somebody else; the key's index."""
        self.store.put(namespace, key, value.encode() if isinstance(value, str) else value)
        return self.store.entries[namespace, key].modified

    def delete(self, key: str, namespace: str = "default") -> None:
        self.store.delete(namespace, key)

    def text(self, key: str, namespace: str = "default") -> str:
        return self.store.entries[namespace, key].value.decode()

    @property
    def waiting(self) -> int:
        """How many blocking looks are open."""
        return self.store.waiting


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._open: set[socket.socket] = set()
        self._context: ssl.SSLContext | None = None

    def secure(self, signed: Signed) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(signed.key + signed.certificate)
            file.flush()
            self._context.load_cert_chain(file.name)

    def get_request(self) -> tuple[socket.socket, Any]:
        sock, address = super().get_request()
        sock.settimeout(120)
        self._open.add(sock)
        return sock, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self._context is not None:
            request = self._context.wrap_socket(request, server_side=True)
            self._open.add(request)
        super().finish_request(request, client_address)

    def cut(self) -> None:
        for sock in list(self._open):
            try:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended by itself
        self._open.clear()

    def handle_error(self, *_: object) -> None:
        """Whoever asked has gone."""


class _Refused(Exception):
    def __init__(self, status: int, body: str) -> None:
        self.status, self.body = status, body


class _Handler(BaseHTTPRequestHandler):
    consul: Consul
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    do_PUT = do_DELETE = do_GET  # noqa: N815 - what the library calls

    def log_message(self, *_: object) -> None:
        """Silent."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        self.path_only = unquote(parts.path)
        self.query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        consul = self.consul
        consul.asked.append(Asked(self.command, self.path, self.query, dict(self.headers), self.client_address))
        faults = consul.faults
        if faults.slow_s:
            time.sleep(faults.slow_s)
        if faults.gate is not None:
            faults.gate.wait(300)
        if faults.redirect:
            return self._say(301, b"", {"Location": faults.redirect})
        if faults.garbage is not None:
            return self._say(200, faults.garbage, {"X-Consul-Index": "1"})
        if faults.status:
            return self._say(faults.status, faults.body.encode(), {"Content-Type": "text/plain"})
        try:
            self._route()
        except _Refused as refused:
            self._say(refused.status, refused.body.encode(), {"Content-Type": "text/plain; charset=utf-8"})

    def _route(self) -> None:
        token = self.headers.get("X-Consul-Token") or ""
        tokens = self.consul.tokens
        if tokens is not None and token and token not in tokens:
            raise _Refused(403, "ACL not found")
        self.rights = Rights(("",), ("",), agent=True) if tokens is None else tokens.get(token, Rights())
        if self.path_only == "/v1/status/leader":
            leader = "" if self.consul.faults.leaderless else "127.0.0.1:8300"
            self._json(leader)
            return
        if self.path_only == "/v1/agent/self":
            if not self.rights.agent:
                raise _Refused(403, "Permission denied: token with AccessorID '00000002' lacks permission 'agent:read'")
            self._json({"Config": {"Datacenter": self.consul.datacenter, "Version": VERSION}, "Member": {}})
            return
        if not self.path_only.startswith("/v1/kv/"):
            raise _Refused(404, "404 page not found\n")
        if self.consul.faults.leaderless:
            raise _Refused(500, "No cluster leader")
        self.namespace = self._scope()
        key = self.path_only.removeprefix("/v1/kv/")
        {"GET": self._get, "PUT": self._put, "DELETE": self._delete}[self.command](key)

    def _scope(self) -> str:
        for name, title in (("ns", "Namespaces"), ("partition", "Partitions")):
            if name in self.query and not self.consul.enterprise:
                raise _Refused(400, f'Invalid query parameter: "{name}" - {title} are a Consul Enterprise feature')
        if self.query.get("dc", self.consul.datacenter) != self.consul.datacenter:
            raise _Refused(500, "No path to datacenter")
        return self.query.get("ns", "default")

    def _get(self, key: str) -> None:
        many = "keys" in self.query or "recurse" in self.query
        if not many and not key:
            raise _Refused(400, "Missing key name")
        if not many and not self.rights.may("read", key):
            raise self._denied("key:read", key)

        def look() -> tuple[int, list[tuple[str, Entry]]]:
            if many:
                return self.consul.store.of_prefix(self.namespace, key)
            index, entry = self.consul.store.of_key(self.namespace, key)
            return index, [(key, entry)] if entry else []

        self._block(look, single=not many)
        index, found = look()
        allowed = [(name, entry) for name, entry in found if self.rights.may("read", name)]
        headers = {"X-Consul-Index": str(index), "X-Consul-Knownleader": "true", "X-Consul-Lastcontact": "0"}
        if many and len(allowed) < len(found):
            headers["X-Consul-Results-Filtered-By-ACLs"] = "true"
        if not allowed:
            self._say(404, b"", headers)
        elif "keys" in self.query:
            self._json(self._names(key, [name for name, _ in allowed]), headers)
        else:
            self._json([self._row(name, entry) for name, entry in allowed], headers)

    def _block(self, look: Any, *, single: bool) -> None:
        """As the server's blocking query: returns when the index is beyond the one asked about. A look at a key that was
        not there goes on waiting until it is."""
        asked = int(self.query.get("index") or 0)
        if not asked or look()[0] > asked:
            return
        seconds = _seconds(self.query.get("wait") or "5m")
        seconds += random.uniform(0, seconds / 16)
        missing = single and not look()[1]
        self.consul.store.wait(seconds, lambda: look()[0] > asked and not (missing and not look()[1]))

    def _names(self, prefix: str, names: list[str]) -> list[str]:
        mark = self.query.get("separator")
        if not mark:
            return names
        cut = []
        for name in names:
            rest = name[len(prefix) :]
            cut.append(prefix + rest[: rest.index(mark) + 1] if mark in rest else name)
        return sorted(set(cut))

    def _row(self, key: str, entry: Entry) -> dict[str, Any]:
        row = {
            "LockIndex": 0,
            "Key": key,
            "Flags": entry.flags,
            "Value": base64.b64encode(entry.value).decode() if entry.value else None,
            "CreateIndex": entry.created,
            "ModifyIndex": entry.modified,
        }
        return {**row, **({"Partition": "default", "Namespace": self.namespace} if self.consul.enterprise else {})}

    def _put(self, key: str) -> None:
        if not self.rights.may("write", key):
            raise self._denied("key:write", key)
        if len(self.sent) > LARGEST_VALUE:
            raise _Refused(
                413, f"Request body({len(self.sent)} bytes) too large, max size: {LARGEST_VALUE} bytes. See the docs."
            )
        cas = int(self.query["cas"]) if "cas" in self.query else None
        self._json(self.consul.store.put(self.namespace, key, self.sent, cas))

    def _delete(self, key: str) -> None:
        if not self.rights.may("write", key):
            raise self._denied("key:write", key)
        cas = int(self.query["cas"]) if "cas" in self.query else None
        self._json(self.consul.store.delete(self.namespace, key, cas))

    def _denied(self, permission: str, key: str) -> _Refused:
        who = "anonymous" if not self.headers.get("X-Consul-Token") else "00000000-0000-0000-0000-000000000007"
        return _Refused(
            403, f"Permission denied: token with AccessorID '{who}' lacks permission '{permission}' on \"{key}\""
        )

    def _json(self, value: Any, headers: dict[str, str] | None = None) -> None:
        self._say(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        try:
            self.send_response(status)
            for name, value in {"Vary": "Accept-Encoding", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            step = 1 if self.consul.faults.drip else CHUNK
            for at in range(0, len(body), step):
                self.wfile.write(body[at : at + step])
                if self.consul.faults.drip:
                    time.sleep(0.2)
        except OSError:
            self.close_connection = True  # whoever asked has gone


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)(ms|s|m)?", text)
    if found is None:
        raise _Refused(400, "Invalid wait time")
    return min(int(found[1]) * {"ms": 0.001, "s": 1, "m": 60}[found[2] or "s"], 600)
