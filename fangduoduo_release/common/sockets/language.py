"""In which language somebody at a socket reads: what is said there is a sentence too."""

from __future__ import annotations

from types import SimpleNamespace

from django.http.cookie import parse_cookie
from django.utils import translation

from .identity import Scope, header


def language_of(scope: Scope) -> str:
    """As pages choose it: the cookie, else what the browser prefers."""
    cookies = parse_cookie(header(scope, b"cookie"))
    request = SimpleNamespace(COOKIES=cookies, META={"HTTP_ACCEPT_LANGUAGE": header(scope, b"accept-language")})
    found: str = translation.get_language_from_request(request)  # type: ignore[arg-type]
    return found
