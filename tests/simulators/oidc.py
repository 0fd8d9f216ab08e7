"""A small OpenID Connect provider on a real socket: discovery, authorize (code, state, nonce, PKCE), token, keys, userinfo.

It is as strict as a good one: an unknown client, a wrong redirect, verifier or secret is refused. `claims` says who signs
in; `spoil` lets a test ask for one thing that a bad provider, or somebody between, would do.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "portal", "secret-of-the-portal"


class Provider:
    """`with Provider() as provider:` serves at `provider.issuer`."""

    def __init__(self) -> None:
        self.keys = {"k1": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        self.foreign_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.claims: dict[str, Any] = {"sub": "1001", "preferred_username": "ann", "email": "ann@example.com"}
        self.spoil: dict[str, Any] = {}
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._access: dict[str, dict[str, Any]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.answer(self, "")

            def do_POST(self) -> None:
                provider.answer(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())

            def log_message(self, *_: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    # --- what it answers ----------------------------------------------------------------------------------------------
    def answer(self, handler: BaseHTTPRequestHandler, body: str) -> None:
        url = urlsplit(handler.path)
        self.asked.append(url.path)
        given = {name: values[0] for name, values in parse_qs(url.query or body).items()}
        if url.path == "/authorize":
            self._authorize(handler, given)
            return
        found: Any = {
            "/.well-known/openid-configuration": self._description,
            "/token": lambda: self._token(given),
            "/jwks": self._jwks,
            "/userinfo": lambda: self._userinfo(handler.headers.get("Authorization", "")),
        }.get(url.path, lambda: None)()
        status = 200 if found is not None else 400
        if url.path in self.spoil.get("broken", ()):
            status, found = 500, {"error": "server_error"}
        raw = json.dumps(found if found is not None else {"error": "invalid_request"}).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)

    def _description(self) -> dict[str, Any]:
        return {
            "issuer": self.spoil.get("described_issuer", self.issuer),
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
        }

    def _authorize(self, handler: BaseHTTPRequestHandler, given: dict[str, str]) -> None:
        """As if the person had signed in at once; the redirect is what a browser would follow."""
        needed = {"client_id", "redirect_uri", "state", "nonce", "code_challenge"}
        right = needed <= set(given) and given["client_id"] == CLIENT and given["response_type"] == "code"
        if not right or given.get("code_challenge_method") != "S256" or "openid" not in given["scope"].split():
            handler.send_error(400)
            return
        code = secrets.token_urlsafe(24)
        self._codes[code] = given
        back = {"code": code, "state": given["state"]} if not self.spoil.get("denied") else {"error": "access_denied", "state": given["state"]}  # fmt: skip
        handler.send_response(302)
        handler.send_header("Location", f"{given['redirect_uri']}?{urlencode(back)}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def _token(self, given: dict[str, str]) -> dict[str, Any] | None:
        asked = self._codes.pop(given.get("code", ""), None)
        if asked is None or given.get("client_secret") != SECRET or given.get("client_id") != CLIENT:
            return None
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return None
        if given.get("redirect_uri") != asked["redirect_uri"]:
            return None
        access = secrets.token_urlsafe(24)
        self._access[access] = dict(self.claims)
        return {"access_token": access, "token_type": "Bearer", "id_token": self._id_token(asked["nonce"])}

    def _id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "sub": self.claims["sub"], "nonce": nonce, "iat": now, "exp": now + 300,
        }  # fmt: skip
        for name, value in self.spoil.get("id_token", {}).items():
            claims[name] = now + value if name in {"exp", "iat", "nbf"} and value is not None else value
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.spoil.get("unsigned"):
            return jwt.encode(claims, "", algorithm="none", headers={"kid": "k1"})
        if self.spoil.get("symmetric"):
            return jwt.encode(claims, SECRET.ljust(32, "-"), algorithm="HS256", headers={"kid": "k1"})
        key = self.foreign_key if self.spoil.get("foreign_key") else self.keys["k1"]
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": self.spoil.get("kid", "k1")})

    def _jwks(self) -> dict[str, Any]:
        made = []
        for name, key in self.keys.items():
            described = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
            made.append({**described, "kid": name, "alg": "RS256", "use": "sig"})
        return {"keys": made}

    def _userinfo(self, authorization: str) -> dict[str, Any] | None:
        claims = self._access.get(authorization.removeprefix("Bearer "))
        return None if claims is None else {**claims, **self.spoil.get("userinfo", {})}
