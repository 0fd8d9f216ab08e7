"""A body may say what is documented and nothing else: every field of every table, with other people's ids as values, is
sent along with every write, and the rows afterwards are those that the plain request leaves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models, transaction
from drf_spectacular.generators import SchemaGenerator

from permissions.models import User

from .hidden import Hidden
from .matrix import API, OPS, PAGES, SAFE, Ask
from .stage import Stage, send

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.timeout(1800)]
WRITES = [ask for ask in (*API, *PAGES) if ask.method not in SAFE and ask.method != "DELETE"]
TIMES = (models.DateTimeField, models.DateField, models.UUIDField, models.BinaryField)
# Random or made of the time, so different at each request.
ELSE = {
    "prefix", "digest", "hash", "mac", "request_id", "last_used_at", "password", "previous", "signature", "key", "secrets",
    "asked_sha256", "decided_sha256", "seen_sha256",
}  # fmt: skip
BY_CHANCE = re.compile(
    r"20\d\d-\d\d-\d\d[T ][\d:.+]+"  # times
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|manifest_sha256\W+[0-9a-f]{64}"  # keys, and what is made with them
    r"|\([0-9a-f]{10}…\)"  # a token's beginning
)
NOT_COMPARED = {"sessions.Session", "permissions.SignedIn"}
# Words that steer a page rather than fill a row.
STEERING = {"form", "verb", "next", "format", "part", "page", "csrfmiddlewaretoken"}

Rows = dict[tuple[str, Any], dict[str, Any]]


def dump() -> Rows:
    """Every row of every table, without what no two requests have in common."""
    found: Rows = {}
    for model in apps.get_models(include_auto_created=True):
        label = model._meta.label
        if label in NOT_COMPARED or not model._meta.managed or model._meta.proxy:
            continue
        names = [f.attname for f in model._meta.concrete_fields if not isinstance(f, TIMES) and f.name not in ELSE]
        for row in model._default_manager.values("pk", *names):
            found[label, row["pk"]] = {name: BY_CHANCE.sub("", repr(row[name])) for name in names}
    return found


def changes(before: Rows, after: Rows) -> dict[tuple[str, Any], Any]:
    """What a request did: rows that are new, gone or different."""
    keys = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    return {key: after.get(key) for key in keys}


def planted(stage: Stage, hidden: Hidden) -> dict[str, Any]:
    """A value for every field name there is, each of which would do harm where it is believed."""
    found: dict[str, Any] = {}
    for model in apps.get_models():
        for field in model._meta.get_fields():
            if isinstance(field, models.ManyToManyField):
                found[field.name] = [1]
            elif isinstance(field, models.ForeignKey):
                found[field.name] = found[field.attname] = row_of(field.related_model, stage, hidden)
            elif isinstance(field, models.Field):
                found.setdefault(field.name, value_of(field))
    return {**found, "id": hidden.project.pk, "pk": hidden.project.pk, "role": "owner", "roles": ["owner", "ops"]}


def row_of(model: Any, stage: Stage, hidden: Hidden) -> Any:
    """Somebody else's row: the stranger, the other project, or the last one there is."""
    if model is User:
        return stage.people["stranger"].pk
    if model._meta.label == "projects.Project":
        return hidden.project.pk
    return model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 1


def value_of(field: models.Field[Any, Any]) -> Any:
    if isinstance(field, models.BooleanField):
        return True
    if isinstance(field, models.DateTimeField):
        return "2001-02-03T04:05:06Z"
    if isinstance(field, models.IntegerField):
        return 54321
    if isinstance(field, models.JSONField):
        return {"planted": "planted"}
    return {"state": "succeeded", "environment": "test", "kind": "local"}.get(field.name, "planted")


def documented() -> dict[tuple[str, str], set[str]]:
    """(method, path with {} for parameters) -> the names an API body may hold."""
    schema = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    found = {}
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            properties = schema["components"]["schemas"].get(name, content.get("schema", {})).get("properties", {})
            found[method.upper(), re.sub(r"\{[^}]*\}", "{}", path)] = set(properties)
    return found


def known_names(stage: Stage) -> set[str]:
    """Every name of a field in any form of any page."""
    names: set[str] = set()
    for ask in PAGES:
        if ask.method == "GET":
            answer = stage.ask(stage.clients["ops"], ask)
            if not answer.streaming:
                names |= set(re.findall(r'\bname="([^"]+)"', answer.content.decode()))
    return names


def bodies(stage: Stage, hidden: Hidden) -> Iterator[tuple[Ask, dict[str, Any]]]:
    """Every write with all that it must not believe."""
    told, forms, extra = documented(), known_names(stage) | STEERING, planted(stage, hidden)
    for ask in WRITES:
        path = "/" + re.sub(r"<[^>]*>", "{}", ask.route)
        allowed = told.get((ask.method, path), set()) if ask.api else forms
        more = {name: value for name, value in extra.items() if name not in allowed}
        yield ask, {**more, **(ask.body or {})}


def test_nothing_but_what_is_documented_changes_a_row() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("new rows are compared by their ids, and sequences elsewhere do not roll back")
    stage, hidden = Stage(), Hidden()
    before, wrong, asked = dump(), [], 0
    for ask, body in bodies(stage, hidden):
        client = stage.clients["ops" if ask.level == OPS else "owner"]
        plain, (status, mixed) = outcome(stage, client, ask, None, before), outcome(stage, client, ask, body, before)
        asked += 1
        if mixed and mixed != plain[1]:
            wrong.append(f"{ask.method} {ask.route} -> {status}: {list(odd(plain[1], mixed))}")
        elif status >= 500:
            wrong.append(f"{ask.method} {ask.route} -> {status}")
    assert not wrong, "\n" + "\n".join(wrong)
    assert asked > 35


def odd(plain: dict[tuple[str, Any], Any], mixed: dict[tuple[str, Any], Any]) -> Iterator[tuple[Any, ...]]:
    """(row, column, value after the plain request, value after the other) of what differs."""
    for key in {*plain, *mixed}:
        one, other = plain.get(key) or {}, mixed.get(key) or {}
        yield from (
            (key, name, one.get(name), other.get(name)) for name in {*one, *other} if one.get(name) != other.get(name)
        )


def outcome(stage: Stage, client: Any, ask: Ask, body: Any, before: Rows) -> tuple[int, dict[tuple[str, Any], Any]]:
    """The status, and what the request changed before it is undone."""
    with transaction.atomic():
        status = send(client, ask, stage.address(ask), body).status_code
        done = changes(before, dump())
        transaction.set_rollback(True)
    if "sign-out" in ask.route:
        client.force_login(stage.people["owner"])
    return status, done
