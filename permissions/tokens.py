"""API tokens in use: last-used times (at most one write a minute) and Basic credentials for git."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta

from django.contrib.auth import authenticate
from django.utils import timezone

from permissions.models import ApiToken, User


def used(token: ApiToken) -> None:
    """Remember that the token was used; coarse on purpose, so that reads stay reads."""
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > timedelta(minutes=1):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)


def user_of_basic(header: str) -> User | None:
    """The user behind a Basic header: password, or an API token in the password's place (or the name's)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    if "\x00" in name + password:
        return None
    if "\x00" in name + password:
        return None
    for text in (password, name):
        if text.startswith(ApiToken.MARK):
            token = ApiToken.find(text)
            if token is not None:
                used(token)
            return token.user if token else None
    if not password:
        return None
    user = authenticate(None, username=name, password=password)
    return user if isinstance(user, User) else None


def user_of_bearer(header: str) -> User | None:
    """The user behind an `Authorization: Bearer fdd_…` header, or None."""
    scheme, _, text = header.partition(" ")
    token = ApiToken.find(text.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        return None
    used(token)
    return token.user
