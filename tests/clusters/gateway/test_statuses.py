"""Every refusal is a Status that Kubernetes' clients can read, and what may not be known is not told apart."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions

from clusters.gateway import statuses
from clusters.gateway.statuses import Refused
from fangduoduo_release.common.errors import (
    AppError,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Rejected,
    TooMany,
    Unavailable,
)
from fangduoduo_release.common.sentence import S

SAID = S("So it is.")


def told(error: Exception) -> statuses.Told:
    found = statuses.told(error)
    assert found is not None
    return found


def causes(found: statuses.Told) -> list[dict[str, Any]]:
    there: list[dict[str, Any]] = found.body.get("details", {}).get("causes", [])
    return there


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (AppError(SAID), 400, "BadRequest"), (NotFound(SAID), 404, "NotFound"), (Conflict(SAID), 409, "Conflict"),
        (Invalid(SAID), 422, "Invalid"), (TooMany(SAID, retry_after=7), 429, "TooManyRequests"),
        (Unavailable(SAID), 503, "ServiceUnavailable"), (Rejected(SAID), 503, "ServiceUnavailable"),
        *((Refused(code, SAID), code, reason) for code, reason in statuses.REASONS.items()),
        (Refused(418, SAID), 418, "Unknown"), (Refused(500, SAID), 500, "InternalError"),
    ],
    ids=lambda one: f"{type(one).__name__}-{one.status}" if isinstance(one, AppError) else str(one),
)  # fmt: skip
def test_each_error_of_ours_is_a_status_of_its_code(error: AppError, code: int, reason: str) -> None:
    found = told(error)
    assert found.status == code
    assert {name: value for name, value in found.body.items() if name != "details"} == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "So it is.", "reason": reason,
        "code": code,
    }  # fmt: skip


@pytest.mark.parametrize(
    "error", [OperationalError("gone"), InterfaceError("closed")], ids=lambda one: type(one).__name__
)
def test_a_database_that_is_away_is_worth_another_try(error: Exception) -> None:
    found = told(error)
    assert (found.status, found.headers) == (503, {"Retry-After": "5"})
    assert found.body["message"] == "The database cannot be reached; try again in a few seconds."
    assert found.body["details"] == {"retryAfterSeconds": 5}
    assert "gone" not in str(found.body)


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("x"), DataError("x"), RuntimeError()], ids=lambda one: type(one).__name__
)
def test_a_bug_of_ours_is_not_answered_as_if_it_were_a_refusal(error: Exception) -> None:
    assert statuses.told(error) is None


def test_an_address_that_is_none_is_not_found() -> None:
    found = told(Http404("No Cluster matches the given query."))
    assert (found.status, found.body["message"]) == (404, "There is nothing here, or you may not see it.")


@pytest.mark.parametrize(
    "error", [TooMany(SAID, retry_after=7), Refused(503, SAID, wait=7)], ids=["too-many", "not-yet"]
)
def test_when_to_come_back_is_told_in_the_header_and_in_the_status(error: AppError) -> None:
    found = told(error)
    assert found.headers == {"Retry-After": "7"}
    assert found.body["details"]["retryAfterSeconds"] == 7


def test_what_is_wrong_with_which_field_is_a_cause_each() -> None:
    error = Invalid(SAID, fields={"a": [S("One."), S("Two %(x)s.", x=2)], "b": [S("Three.")]})
    assert causes(told(error)) == [
        {"reason": "FieldValueInvalid", "message": message, "field": field}
        for field, message in (("a", "One."), ("a", "Two 2."), ("b", "Three."))
    ]


def test_who_could_grant_it_and_where_to_ask_is_told_with_a_denial() -> None:
    error = Denied(SAID, rule="deploy", granted_by=("ann", "ben"), request_url="/requests/new/")
    found = told(error)
    assert (found.status, found.body["reason"]) == (403, "Forbidden")
    assert [(one["reason"], one["message"]) for one in causes(found)] == [
        ("Rule", "deploy"), ("GrantedBy", "ann"), ("GrantedBy", "ben"), ("AskAt", "/requests/new/"),
    ]  # fmt: skip


def test_the_details_of_a_refusal_are_handed_on_and_not_changed() -> None:
    details = {"name": "web", "kind": "pods", "causes": [{"reason": "x"}]}
    error = Refused(409, SAID, details=details, wait=3)
    first, again = told(error), told(error)
    assert first == again, "telling it twice adds nothing"
    assert first.body["details"] == {**details, "retryAfterSeconds": 3}
    assert details == {"name": "web", "kind": "pods", "causes": [{"reason": "x"}]}


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (exceptions.NotAuthenticated(), 401, "Unauthorized"), (exceptions.MethodNotAllowed("PUT"), 405, "PUT"),
        (exceptions.UnsupportedMediaType("text/x"), 415, "text/x"), (exceptions.ParseError("odd"), 400, "odd"),
        (exceptions.AuthenticationFailed("Expired."), 401, "Expired."),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else str(one),
)  # fmt: skip
def test_what_the_framework_refuses_is_a_status_too(error: Exception, code: int, message: str) -> None:
    found = told(error)
    assert (found.status, found.body["code"], found.body["kind"]) == (code, code, "Status")
    assert message in found.body["message"]


def test_how_to_sign_in_is_told_where_the_framework_says_it() -> None:
    error = exceptions.NotAuthenticated()
    error.auth_header = "Bearer"
    assert told(error).headers == {"WWW-Authenticate": "Bearer"}


@pytest.mark.parametrize(
    ("kind", "group", "what"),
    [("pods", "", "pods"), ("deployments", "apps", "deployments.apps")],
    ids=["core", "grouped"],
)
def test_what_is_absent_is_told_as_an_api_server_tells_it(kind: str, group: str, what: str) -> None:
    found = told(statuses.absent(kind, "web", group))
    assert (found.status, found.body["message"]) == (404, f'{what} "web" not found')
    assert found.body["details"] == {"name": "web", "kind": kind, **({"group": group} if group else {})}
