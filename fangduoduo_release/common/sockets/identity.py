"""Who is at the other end of a socket: the session's user or a bearer token's, from an origin that is ours.

Asked at connect and again while the socket is open, each time from the rows: a signed-out session, a changed password,
a revoked token or an inactive user is nobody. Knows no permission.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model, load_backend
from django.core.exceptions import ValidationError
from django.http.cookie import parse_cookie
from django.http.request import split_domain_port, validate_host
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string

from fangduoduo_release.common.session_age import outlived

Scope = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """What a connection brought along to say who it is."""

    session: str = field(default="", repr=False)
    authorization: str = field(default="", repr=False)


def header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name), "")


def caller_of(scope: Scope) -> Caller:
    cookies = parse_cookie(header(scope, b"cookie"))
    return Caller(cookies.get(settings.SESSION_COOKIE_NAME, ""), header(scope, b"authorization"))


def is_our_origin(scope: Scope) -> bool:
    """A browser's socket must come from our own pages; without an Origin (no browser) only with a bearer token."""
    host, origin = header(scope, b"host").lower(), header(scope, b"origin").lower()
    domain, _ = split_domain_port(host)
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    if not origin:
        return header(scope, b"authorization").lower().startswith("bearer ")
    if origin in (trusted.lower() for trusted in settings.CSRF_TRUSTED_ORIGINS):
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc == host


def user_of(caller: Caller) -> Any:
    """The active user, or None. Uses the database."""
    if caller.authorization:
        return import_string(settings.SOCKET_BEARER)(caller.authorization)
    return _user_of_session(caller.session) if caller.session else None


def _user_of_session(key: str) -> Any:
    """As django.contrib.auth.get_user, but it never writes: a socket cannot hand out a new cookie."""
    session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    path = session.get(BACKEND_SESSION_KEY)
    if path not in settings.AUTHENTICATION_BACKENDS or outlived(session):
        return None
    try:
        pk = get_user_model()._meta.pk.to_python(session[SESSION_KEY])
    except (KeyError, ValidationError):
        return None
    user = load_backend(path).get_user(pk)
    if user is None or not user.is_active:
        return None
    stored = session.get(HASH_SESSION_KEY, "")
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return user if any(constant_time_compare(stored, one) for one in hashes) else None
