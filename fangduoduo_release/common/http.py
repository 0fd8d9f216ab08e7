"""Where errors become answers, and what every page knows. The only mapping from AppError to HTTP for pages."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from .addresses import real_address
from .errors import AppError, Denied, Invalid, TooMany
from .sentence import S, Sentence

logger = logging.getLogger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponse]
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """Where a change came from, for the audit."""

    address: str = ""
    user_agent: str = ""
    request_id: str = ""


current_request: ContextVar[RequestFacts] = ContextVar("current_request", default=RequestFacts())


def facts_of(peer: str, forwarded: str, user_agent: str) -> RequestFacts:
    """The facts of a request that has just come in."""
    return RequestFacts(real_address(peer, forwarded), user_agent[:200], uuid.uuid4().hex)


def say(sentence: Sentence) -> str:
    """The sentence in the reader's language."""
    text = _(sentence.msgid) if sentence.msgid else ""
    try:
        return text % dict(sentence.params) if sentence.params else text
    except (KeyError, TypeError, ValueError):  # a stored or translated text with a stray "%": readable beats a 500
        return text


def problem(error: AppError) -> dict[str, Any]:
    """The problem+json body of an error, in the reader's language."""
    body: dict[str, Any] = {
        "type": f"about:blank#{error.code}",
        "title": type(error).__name__,
        "status": error.status,
        "detail": say(error.sentence),
        "code": error.code,
    }
    if isinstance(error, Invalid) and error.fields:
        # A field named without a sentence of its own is what the error's sentence speaks of.
        body["fields"] = {
            name: [say(s) for s in sentences] or [body["detail"]] for name, sentences in error.fields.items()
        }
    if isinstance(error, Denied):
        body["rule"] = error.rule
        body["granted_by"] = error.granted_by
        if error.request_url:
            body["request_url"] = error.request_url
    return body


class RequestContextMiddleware:
    """Gives every request an id, remembers its origin for the audit, and sets the security policy header."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        facts = facts_of(
            request.META.get("REMOTE_ADDR", "") or "",
            request.META.get("HTTP_X_FORWARDED_FOR", ""),
            request.META.get("HTTP_USER_AGENT", ""),
        )
        request.META["REMOTE_ADDR"] = facts.address  # whoever asks further in, asks for the real one
        token = current_request.set(facts)
        try:
            response = self.get_response(request)
        except (OperationalError, InterfaceError):
            logger.warning("the database is away; answering 503", exc_info=True)
            response = away(request)
        finally:
            current_request.reset(token)
        response.headers.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        response.headers.setdefault("X-Request-Id", facts.request_id)
        return response


class AppErrorMiddleware:
    """Turns an AppError raised by a page into a page (or a fragment for htmx), and a lost database into 503."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("NUL in an address")  # PostgreSQL would break on it, deep inside a view
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: dict[str, Any]) -> HttpResponse | None:
        """Text with NUL means nothing to anybody here, and PostgreSQL would answer it with an error of its own."""
        forms = request.content_type in FORMS and not request.path.startswith(
            "/api/"
        )  # the API takes JSON and says 415
        given = [request.GET, request.POST] if forms else [request.GET]
        texts = [text for one in given for name, values in one.lists() for text in (name, *values)]
        if any("\x00" in str(text) for text in (*texts, *kwargs.values())):
            return refusal(request, AppError(S("Text must not contain NUL characters."), code="bad_request"))
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, AppError):
            return refusal(request, error)
        if isinstance(error, DatabaseError) and isinstance(error, OperationalError | InterfaceError):
            logger.warning("the database is away; answering 503", exc_info=True)
            return away(request)
        return None


def refusal(request: HttpRequest, error: AppError) -> HttpResponse:
    """The page or fragment that says one sentence and what to do next."""
    response = _refusal(request, error)
    if isinstance(error, TooMany):
        response["Retry-After"] = str(error.retry_after)
    return response


def _refusal(request: HttpRequest, error: AppError) -> HttpResponse:
    response: HttpResponse
    if wants_json(request):
        return JsonResponse(problem(error), status=error.status, content_type="application/problem+json")
    if getattr(request, "htmx", False):
        response = render(request, "errors/fragment.html", {"error": error}, status=error.status)
        response["HX-Retarget"] = "#panel-body"
        response["HX-Reswap"] = "innerHTML"
        return response
    template = "errors/404.html" if error.status == 404 else "errors/refusal.html"
    return render(request, template, {"error": error, "denied": isinstance(error, Denied)}, status=error.status)


def away(request: HttpRequest) -> HttpResponse:
    """503 without touching the database, the session or the user."""
    if wants_json(request):
        error = AppError(S("The database cannot be reached; try again in a few seconds."), code="unavailable")
        error.status = 503
        response: HttpResponse = JsonResponse(problem(error), status=503, content_type="application/problem+json")
    else:
        response = render(None, "errors/503.html", status=503)
    response["Retry-After"] = "5"
    return response


def wants_json(request: HttpRequest) -> bool:
    return request.path.startswith("/api/") or request.headers.get("Accept", "").startswith("application/json")


def tell(request: HttpRequest, sentence: Sentence, *, level: int = messages.SUCCESS) -> None:
    """Show the sentence on the next page."""
    messages.add_message(request, level, say(sentence))


def page_context(request: HttpRequest) -> dict[str, Any]:
    """What base.html needs on every page."""
    return {"portal_url": settings.PUBLIC_URL}
