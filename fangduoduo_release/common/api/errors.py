"""Every error of the API as application/problem+json, mapped in one place."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from fangduoduo_release.common.api.parsers import TooLarge
from fangduoduo_release.common.errors import AppError, NotFound, TooMany
from fangduoduo_release.common.http import problem
from fangduoduo_release.common.sentence import S


def problem_answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler; None lets an unknown bug be a 500."""
    headers: dict[str, str] = {}
    if isinstance(error, Http404):
        error = NotFound(S("There is nothing here, or you may not see it."))
    if isinstance(error, RequestDataTooBig):
        error = TooLarge()  # said by Django before our parser could
    if isinstance(error, AppError):
        body = problem(error)
        if isinstance(error, TooMany):
            headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, OperationalError | InterfaceError):
        body = _body(503, "unavailable", "The database cannot be reached; try again in a few seconds.")
        headers["Retry-After"] = "5"
    elif isinstance(error, exceptions.APIException):
        body = _from_drf(error)
        if wait := getattr(error, "wait", None):
            headers["Retry-After"] = str(int(wait) + 1)
        if getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    elif isinstance(error, PermissionDenied):
        body = _body(403, "denied", str(error) or "You may not do this.")
    else:
        return None
    set_rollback()
    return Response(body, status=body["status"], headers=headers, content_type="application/problem+json")


def _body(status: int, code: str, detail: str) -> dict[str, Any]:
    return {"type": f"about:blank#{code}", "title": code, "status": status, "detail": detail, "code": code}


def _from_drf(error: exceptions.APIException) -> dict[str, Any]:
    if isinstance(error, exceptions.ValidationError):
        fields = error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
        body = _body(400, "invalid_shape", "Some fields are not right; see “fields”.")
        body["fields"] = fields
        return body
    code = str(error.get_codes()) if not isinstance(error.get_codes(), dict | list) else error.default_code
    return _body(error.status_code, code, str(error.detail))
