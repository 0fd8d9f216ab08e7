"""A server on a real socket that answers as a Jenkins was recorded, or misbehaves in one way at one address."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from builds.drivers.builder.jenkins import JenkinsBuilder, JenkinsConfig

RECORDINGS = Path(__file__).resolve().parents[3] / "recordings" / "jenkins"
TOKEN = "11aa22bb33cc44dd55ee"
_HOP = {"content-length", "content-encoding", "transfer-encoding", "connection", "date"}


@dataclass(frozen=True)
class Answer:
    """`fault`: silent, reset, truncated, drip_head, drip_body or stall (some of the body, then silence)."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


def json_answer(value: Any, **headers: str) -> Answer:
    return Answer(200, json.dumps(value).encode(), {"Content-Type": "application/json;charset=utf-8", **headers})


@cache
def recording(name: str) -> Answer:
    """The response of one recorded exchange."""
    text = (RECORDINGS / f"{name}.txt").read_text(encoding="utf-8", errors="surrogateescape")
    _, _, answer = text.partition("\n< HTTP/1.1 ")
    head, _, body = answer.partition("\n\n")
    first, *lines = head.split("\n")
    pairs = (line.removeprefix("< ").partition(": ") for line in lines if line.startswith("< "))
    headers = {name: value for name, _, value in pairs if name.lower() not in _HOP}
    return Answer(int(first.split()[0]), body.rstrip("\n").encode("utf-8", "surrogateescape"), headers)


def recorded_json(name: str) -> Any:
    return json.loads(recording(name).body)


Rule = Answer | Callable[[Asked], Answer]
NOT_FOUND = Answer(404, b"<html><body>Not Found</body></html>", {"Content-Type": "text/html"})


class Canned:
    """`rules` by "METHOD /path" (without query); a list is used up one by one, its last answer stays."""

    def __init__(self, rules: Mapping[str, Any] | None = None) -> None:
        self.rules: dict[str, Rule | list[Rule]] = dict(rules or {})
        self.asked: list[Asked] = []
        self.ended = threading.Event()
        self.url = ""

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        rule = self.rules.get(f"{asked.method} {asked.path}", NOT_FOUND)
        if isinstance(rule, list):
            rule = rule.pop(0) if len(rule) > 1 else rule[0]
        return rule(asked) if callable(rule) else rule

    def paths(self, method: str = "") -> list[str]:
        return [a.path for a in self.asked if not method or a.method == method]

    def builder(self, **config: Any) -> JenkinsBuilder:
        return JenkinsBuilder(
            JenkinsConfig(**{"url": self.url, "user": "portal", "token": TOKEN, "timeout_s": 60, **config})
        )

    @contextmanager
    def serving(self, tls: ssl.SSLContext | None = None) -> Iterator[Canned]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None: ...

            def handle_any(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                give(self, outer.answer(Asked(self.command, parts.path, query, dict(self.headers), body)), outer.ended)

            do_GET = handle_any  # noqa: N815
            do_POST = handle_any  # noqa: N815

        server = _Quiet(("127.0.0.1", 0), Handler)
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.ended.set()
            server.shutdown()
            server.server_close()


class _Quiet(ThreadingHTTPServer):
    """Callers that hang up are part of the tests."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None: ...


def give(handler: BaseHTTPRequestHandler, answer: Answer, ended: threading.Event) -> None:
    head = [f"HTTP/1.1 {answer.status} X", f"Content-Length: {len(answer.body)}"]
    head += [f"{name}: {value}" for name, value in answer.headers.items()]
    whole = "\r\n".join([*head, "", ""]).encode("latin-1")
    raw, half = handler.connection, len(answer.body) // 2
    if answer.fault:
        handler.close_connection = True
    if answer.fault == "silent":
        ended.wait(600)
    elif answer.fault == "reset":
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
    elif answer.fault == "truncated":
        handler.wfile.write(whole + answer.body[:half])
    elif answer.fault == "stall":
        handler.wfile.write(whole + answer.body[:half])
        ended.wait(600)
    elif answer.fault == "drip_head":
        drip(handler, whole, ended)
    elif answer.fault == "drip_body":
        handler.wfile.write(whole)
        drip(handler, answer.body, ended)
    else:
        handler.wfile.write(whole + answer.body)


def drip(handler: BaseHTTPRequestHandler, data: bytes, ended: threading.Event) -> None:
    """A byte every 50 ms, until nobody reads any more."""
    for byte in data:
        try:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
        except OSError:
            return
        if ended.wait(0.05):
            return


def with_fault(answer: Answer, fault: str) -> Answer:
    return replace(answer, fault=fault)
