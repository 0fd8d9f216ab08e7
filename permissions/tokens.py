"""API tokens in use: whose they are, with which scopes, last-used times (at most one write a minute), and git's Basic."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta

from django.utils import timezone

from permissions import lockout
from permissions.models import ApiToken, User


def used(token: ApiToken) -> None:
    """Remember that the token was used; coarse on purpose, so that reads stay reads."""
    now = timezone.now()
    if token.last_used_at is None or abs(now - token.last_used_at) > timedelta(minutes=1):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)


def user_of_token(text: str) -> User | None:
    """The user of a live token, limited to its scopes."""
    token = ApiToken.find(text)
    if token is None:
        return None
    used(token)
    return token.user


def user_of_basic(header: str) -> User | None:
    """The user behind a Basic header: password, or an API token in the password's place (or the name's).

    Raises TooMany after too many wrong passwords.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    if "\x00" in name + password:
        return None
    for text in (password, name):
        if text.startswith(ApiToken.MARK):
            return user_of_token(text)
    if not password or not name:
        return None
    return lockout.person_of_password(name, password, request=lockout.request_of_facts())


def user_of_bearer(header: str) -> User | None:
    """The user behind an `Authorization: Bearer fdd_…` header, or None."""
    scheme, _, text = header.partition(" ")
    return user_of_token(text.strip()) if scheme.lower() == "bearer" else None


def user_of_header(header: str) -> User | None:
    """The user behind either kind of header, for git: its credential helpers know both. Raises TooMany."""
    return user_of_bearer(header) or user_of_basic(header)
