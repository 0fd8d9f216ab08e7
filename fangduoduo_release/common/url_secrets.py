"""A key in an address ends in histories, access logs and Referer headers, so it opens nothing here.

The refusal is the same at every door: pages and API by this middleware, git and sockets in `asgi.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .errors import AppError
from .http import refusal, wants_json
from .secrets_in_text import given_away
from .sentence import S

SENTENCE: Final = S("A token in an address is a token given away: send it in the Authorization header, and revoke it.")


class UrlSecretsMiddleware:
    """Answers 400 before anybody is asked who they are."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not given_away(request.META.get("QUERY_STRING", "")):
            return self.get_response(request)
        if wants_json(request):
            return refusal(request, AppError(SENTENCE, code="token_in_address"))
        return render(None, "errors/token_in_address.html", {"sentence": SENTENCE}, status=400)
