"""What the OpenAPI document says of every operation alike: how errors look, and the key that makes writes safe to repeat."""

from __future__ import annotations

from typing import Any

TEXT = {"type": "string"}
PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `fields` names broken fields; `rule` and `granted_by` say what was refused and who can help.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "code": TEXT,
        "fields": {"type": "object", "additionalProperties": {}},
        "rule": TEXT,
        "granted_by": {"type": "array", "items": TEXT},
        "request_url": TEXT,
    },
}
PROBLEMS = {
    "400": "The request is malformed.",
    "401": "Not signed in.",
    "403": "Refused by the rule that is named.",
    "404": "Absent, or not to be seen.",
    "503": "The database cannot be reached; try again after Retry-After.",
}
WRITE_PROBLEMS = {
    "409": "The world moved on, or the move is not legal.",
    "413": "The request is too large.",
    "415": "Requests are JSON.",
    "422": "A rule about the content is broken.",
    "502": "Another system refused.",
    "504": "Another system cannot be reached.",
}
READ_PROBLEMS = {name: WRITE_PROBLEMS[name] for name in ("422", "502", "504")}
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "minLength": 1, "maxLength": 120},
    "description": "The same key gives the same answer, once done.",
}
KUBERNETES = "x-kubernetes"  # marks what answers in Kubernetes' own forms
METHODS = ("get", "post", "put", "patch", "delete")


def describe_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular: every operation names its errors; answers already named stay."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    for operations in result["paths"].values():
        for method in METHODS:
            if method in operations and KUBERNETES not in operations[method]:
                _describe(operations[method], reads=method == "get")
    return result


def _describe(operation: dict[str, Any], *, reads: bool) -> None:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, description in {**PROBLEMS, **(READ_PROBLEMS if reads else WRITE_PROBLEMS)}.items():
        operation["responses"].setdefault(status, {"description": description, "content": content})
    if not reads:
        operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
