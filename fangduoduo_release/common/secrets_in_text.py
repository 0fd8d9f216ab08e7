"""Finds API tokens and JWTs in addresses and log lines. Django-free; knows only what they look like."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

_PORTAL = r"fdd_[0-9a-f]{10}_[A-Za-z0-9_-]{20,}"  # as permissions.models.ApiToken makes them
_JWT = r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}"
_SECRET = re.compile(f"{_PORTAL}|{_JWT}")
_OURS = re.compile(_PORTAL)
NAMES: Final = frozenset({"token", "access_token", "refresh_token", "api_key", "apikey", "key", "jwt", "authorization"})


def given_away(query: str) -> bool:
    """Whether a query string carries one of our tokens, or a JWT under a name that means one."""
    if not any(mark in query for mark in ("fdd", "eyJ", "%")):
        return False
    return any(
        _OURS.search(value) or (name.lower() in NAMES and _SECRET.search(value))
        for name, value in parse_qsl(query, keep_blank_values=True)
    )


def without_secrets(text: str) -> str:
    """The text with every token and JWT replaced; for what is logged."""
    if "fdd%5f" in text.lower():
        text = unquote_plus(text)
    return _SECRET.sub("[token]", text) if "fdd_" in text or "eyJ" in text else text
