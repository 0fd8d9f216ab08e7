"""Who asks: API tokens, passwords with crumb and session, nobody. The rules are those of Jenkins with crumbs on."""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
from dataclasses import dataclass, field
from email.message import Message
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie

COOKIE = "JSESSIONID.242a9983"


@dataclass(frozen=True)
class User:
    """`permissions` None: an administrator; else names such as `Job/Build`."""

    name: str
    token: str = field(repr=False)
    password: str = field(default="", repr=False)
    permissions: frozenset[str] | None = None


@dataclass(slots=True)
class Login:
    """How one request was signed in. `by`: token, password, wrong, or "" for nobody."""

    user: User | None = None
    by: str = ""
    session: str = ""  # the live session it came with


class Doorkeeper:
    """The users, their sessions and the sessions' crumbs."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self._crumbs: dict[str, str] = {}
        self._lock = threading.Lock()

    def add(self, user: User) -> User:
        self.users[user.name] = user
        return user

    def forget_sessions(self) -> None:
        with self._lock:
            self._crumbs.clear()

    def login(self, headers: Message[str, str]) -> Login:
        session = self._session(headers.get("Cookie", ""))
        scheme, _, encoded = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return Login(session=session)
        try:
            name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return Login(by="wrong", session=session)
        user = self.users.get(name)
        if user is not None and secret and compare_digest(secret.encode(), user.token.encode()):
            return Login(user, "token", session)
        if user is not None and user.password and compare_digest(secret.encode(), user.password.encode()):
            return Login(user, "password", session)
        return Login(by="wrong", session=session)

    def begin_session(self) -> str:
        session = f"node0{secrets.token_hex(13)}.node0"
        with self._lock:
            self._crumbs[session] = secrets.token_hex(32)
        return session

    def crumb_of(self, session: str) -> str:
        with self._lock:
            return self._crumbs[session]

    def crumb_fits(self, login: Login, crumb: str) -> bool:
        with self._lock:
            known = self._crumbs.get(login.session, "")
        return bool(known) and compare_digest(known, crumb)

    def _session(self, cookie: str) -> str:
        try:
            morsel = SimpleCookie(cookie).get(COOKIE)
        except CookieError:
            return ""
        if morsel is None:
            return ""
        with self._lock:
            return morsel.value if morsel.value in self._crumbs else ""
