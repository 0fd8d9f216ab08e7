"""What an API server says when it does not do what it was asked: a `Status`, with the words of the real one."""

from __future__ import annotations

from typing import Any

import orjson

from .kinds import Kind, Object


class Refused(Exception):
    """An answer that is an error. `headers` go with it."""

    def __init__(
        self, code: int, reason: str, message: str, details: Object | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = headers or {}

    @property
    def body(self) -> Object:
        status: Object = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message
        }  # fmt: skip
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        return status | {"code": self.code}

    @property
    def raw(self) -> bytes:
        return orjson.dumps(self.body) + b"\n"


def _details(kind: Kind | None, name: str, causes: list[Object] | None = None, *, plural: bool = True) -> Object:
    details: Object = {}
    if name:
        details["name"] = name
    if kind is not None:
        if kind.group:
            details["group"] = kind.group
        details["kind"] = kind.plural if plural else kind.name
    if causes:
        details["causes"] = causes
    return details


def cause(reason: str, message: str, field: str) -> Object:
    return {"reason": reason, "message": message, "field": field}


def not_found(kind: Kind, name: str) -> Refused:
    return Refused(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def no_such_path() -> Refused:
    return Refused(404, "NotFound", "the server could not find the requested resource", {})


def exists(kind: Kind, name: str) -> Refused:
    return Refused(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _details(kind, name))


def outdated(kind: Kind, name: str) -> Refused:
    said = (
        f'Operation cannot be fulfilled on {kind.resource} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    return Refused(409, "Conflict", said, _details(kind, name))


def apply_conflict(message: str, causes: list[Object]) -> Refused:
    return Refused(409, "Conflict", message, {"causes": causes})


def invalid(kind: Kind, name: str, causes: list[Object]) -> Refused:
    """One cause is said alone, several stand in brackets."""
    said = [f"{each['field']}: {each['message']}" for each in causes]
    text = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    details = _details(kind, name, causes, plural=False)
    return Refused(422, "Invalid", f'{kind.qualified} "{name}" is invalid: {text}', details)


def bad_request(message: str) -> Refused:
    return Refused(400, "BadRequest", message)


def broken(message: str) -> Refused:
    return Refused(500, "", message)


def expired(wanted: int | str, oldest: int) -> Refused:
    return Refused(410, "Expired", f"too old resource version: {wanted} ({oldest})")


def forbidden(kind: Kind, name: str, why: str, causes: list[Object] | None = None) -> Refused:
    subject = f'{kind.resource} "{name}"' if name else kind.resource
    return Refused(403, "Forbidden", f"{subject} is forbidden: {why}", _details(kind, name, causes))


def unauthorized() -> Refused:
    return Refused(401, "Unauthorized", "Unauthorized")


def success(details: Any = None) -> Object:
    body: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return body | ({"details": details} if details else {})
