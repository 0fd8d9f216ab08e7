"""Refusals as Kubernetes words them: every error of the gateway is a `Status`, so that its clients need no second reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions

from fangduoduo_release.common.errors import AppError, Denied, DriverError, Invalid, NotFound, TooMany
from fangduoduo_release.common.http import say
from fangduoduo_release.common.sentence import S, Sentence

REASONS: Mapping[int, str] = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
}


class Refused(AppError):
    """A refusal that has no other name in the portal. `details`: as Kubernetes has them: name, group, kind, causes."""

    def __init__(
        self, status: int, sentence: Sentence, *, details: Mapping[str, Any] | None = None, wait: int = 0
    ) -> None:
        super().__init__(sentence, code=REASONS.get(status, "Unknown"))
        self.status = status
        self.details = dict(details or {})
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Told:
    """An error as it is answered."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def status(code: int, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The object that Kubernetes' clients read."""
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": REASONS.get(code, "InternalError" if code >= 500 else "Unknown"),
    }
    if details:
        body["details"] = dict(details)
    return {**body, "code": code}


def absent(kind: str, name: str, group: str = "") -> Refused:
    """There is no such object, or one may not see it: the two are never told apart."""
    what = f"{kind}.{group}" if group else kind
    details = {"name": name, **({"group": group} if group else {}), "kind": kind}
    return Refused(404, S('%(what)s "%(name)s" not found', what=what, name=name), details=details)


def told(error: Exception) -> Told | None:
    """How an error is answered; None: a bug of ours."""
    if isinstance(error, Http404):
        error = NotFound(S("There is nothing here, or you may not see it."))
    if isinstance(error, OperationalError | InterfaceError):
        error = Refused(503, S("The database cannot be reached; try again in a few seconds."), wait=5)
    if isinstance(error, AppError):
        return _of_ours(error)
    if isinstance(error, exceptions.APIException):
        return _of_the_framework(error)
    return None


def _of_ours(error: AppError) -> Told:
    # 502 and 504 are of proxies in between; Kubernetes' clients know 503 as “try again”.
    code = 503 if isinstance(error, DriverError) else error.status
    details: dict[str, Any] = dict(error.details) if isinstance(error, Refused) else {}
    causes = list(details.get("causes") or [])
    headers = {}
    wait = error.wait if isinstance(error, Refused) else error.retry_after if isinstance(error, TooMany) else 0
    if wait:
        headers["Retry-After"] = str(wait)
        details["retryAfterSeconds"] = wait
    if isinstance(error, Invalid):
        causes += [
            {"reason": "FieldValueInvalid", "message": say(one), "field": name}
            for name, sentences in error.fields.items()
            for one in sentences
        ]
    if isinstance(error, Denied):
        causes.append({"reason": "Rule", "message": error.rule})
        causes += [{"reason": "GrantedBy", "message": name} for name in error.granted_by]
        causes += [{"reason": "AskAt", "message": error.request_url}] if error.request_url else []
    if causes:
        details["causes"] = causes
    return Told(code, status(code, say(error.sentence), details), headers)


def _of_the_framework(error: exceptions.APIException) -> Told:
    headers = {}
    if asked := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = asked
    message = str(error.detail)
    if error.status_code == 401 and isinstance(error, exceptions.NotAuthenticated):
        message = "Unauthorized"  # as Kubernetes says it
    return Told(error.status_code, status(error.status_code, message), headers)
