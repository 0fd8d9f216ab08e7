"""A small server that signs tokens for a registry, as Docker's specification of `auth: token` has it. The registry that
takes or refuses the token is the real one.

It knows one robot, and which repositories that robot may pull; `answers` lets a test put another answer in its place.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from .registry import PASSWORD, USER, Signed, certificate

SERVICE, ISSUER = "registry-of-tests", "tokens-of-tests"


class TokenServer:
    """`with TokenServer() as tokens:` signs at `tokens.realm`; everything it was asked stands in `asked`."""

    def __init__(self, *, tls: Signed | None = None) -> None:
        self.signer = certificate("tokens")
        self.may_pull = {"team/app"}
        self.anonymous: set[str] = set()  # what nobody in particular may pull
        self.answers: list[tuple[int, bytes]] = []  # said before its own, one after the other
        self.asked: list[dict[str, str]] = []
        self.field = "token"
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            with tempfile.NamedTemporaryFile() as file:
                Path(file.name).write_bytes(tls.key + tls.certificate)
                context.load_cert_chain(file.name)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        port = self._server.server_address[1]
        self.realm = f"{'https' if tls else 'http'}://127.0.0.1:{port}/token"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def for_registry(self) -> tuple[str, str, str, bytes]:
        """What `DockerRegistry(tokens=…)` wants."""
        return self.realm, SERVICE, ISSUER, self.signer.certificate

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        given = {name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()}
        signed = handler.headers.get("Authorization", "")
        self.asked.append({**given, "authorization": signed})
        if self.answers:
            status, body = self.answers.pop(0)
        else:
            status, body = self._own(given, signed)
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _own(self, given: dict[str, str], signed: str) -> tuple[int, bytes]:
        right = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if signed and signed != f"Basic {right}":
            return 401, b'{"details": "incorrect username or password"}'
        if given.get("service") != SERVICE:
            return 400, b'{"details": "unknown service"}'
        return 200, json.dumps({self.field: self.token(given.get("scope", ""), known=bool(signed))}).encode()

    def token(self, scope: str, *, known: bool = True, push: bool = False) -> str:
        """A token for as much of the scope as is allowed."""
        kind, _, rest = scope.partition(":")
        name, _, _actions = rest.rpartition(":")
        allowed = (self.may_pull if known else set()) | self.anonymous
        access: list[dict[str, Any]] = []
        if kind == "repository" and (push or name in allowed):
            access = [{"type": "repository", "name": name, "actions": ["pull", "push"] if push else ["pull"]}]
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": USER,
            "aud": SERVICE,
            "iat": now,
            "nbf": now - 10,
            "exp": now + 300,
            "jti": f"{now}-{len(self.asked)}",
            "access": access,
        }
        der = x509.load_pem_x509_certificate(self.signer.certificate).public_bytes(serialization.Encoding.DER)
        return jwt.encode(
            claims, self.signer.key.decode(), algorithm="ES256", headers={"x5c": [base64.b64encode(der).decode()]}
        )
