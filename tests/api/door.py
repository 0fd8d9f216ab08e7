"""One caller at the API's doors: a real bearer token, JSON in and out, and what every error promises."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from permissions.models import ApiToken

PROBLEM = "application/problem+json"


class Door:
    """`door.get("projects/")` asks `/api/projects/` as `user`; None is nobody. Bugs come back as 500, not raised."""

    def __init__(self, user: Any = None, **headers: str) -> None:
        self.client = Client(raise_request_exception=False)
        self.user = user
        self.headers = dict(headers)
        if user is not None:
            self.headers["Authorization"] = f"Bearer {ApiToken.make(user, 'test')[1]}"

    def ask(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str) -> Any:
        data = raw if raw is not None else (b"" if body is None else json.dumps(body).encode())
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        kind = names.pop("Content-Type", "application/json")
        address = path if path.startswith("/") else f"/api/{path}"
        return self.client.generic(method, address, data, content_type=kind, headers={**self.headers, **names})

    def get(self, path: str, **headers: str) -> Any:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.ask("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.ask("PUT", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.ask("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.ask("DELETE", path, **headers)


def told(answer: Any, status: int = 200) -> Any:
    """The JSON of an answer that must have this status."""
    assert answer.status_code == status, (answer.status_code, answer.content[:500])
    return answer.json() if answer.content else None


def refused(answer: Any, status: int, code: str | None = None) -> Any:
    """The problem of an answer that must be refused like this; checks what every problem must have."""
    assert answer.status_code == status, (answer.status_code, answer.content[:500])
    assert answer["Content-Type"] == PROBLEM, answer["Content-Type"]
    problem = answer.json()
    assert problem["status"] == status
    for name in ("type", "title", "detail", "code"):
        assert isinstance(problem[name], str), problem
        assert problem[name], problem
    if status == 403 and "rule" in problem:
        assert problem["granted_by"], problem
    if code is not None:
        assert problem["code"] == code, problem
    return problem
