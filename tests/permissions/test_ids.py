"""Ids of other people's rows, of rows that never were and of nothing at all lead nowhere: always 404, never a 500, and
with the same words, so that nobody learns what exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from .hidden import Hidden
from .matrix import API, OPS, PAGES, Ask
from .stage import Stage
from .test_lists import PASSING

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.timeout(1800)]
LINES = [ask for ask in (*API, *PAGES) if "<" in ask.route and ask.level != OPS]
# Whoever knows a name may ask for a role there, and is told the same whether there is such a project or not.
BY_NAME = "access-requests/"
SEEN = [ask for ask in LINES if not ask.route.endswith(BY_NAME)]
PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
# A path below a thing may be anything; what it names is the thing's own, and other doors' tests ask for it.
NO_ID = {"verb"}
ABSURD = {
    "int": ["0", "999999", str(2**63 - 1), str(2**63), str(10**30), "-1", "1e3", "0x1", "00000000-0000-4000-8000-0"],
    "str": [
        "nobody", "-1", "0", str(2**63), str(10**40), "x" * 3000, "3f2b8c1e-6a55-4a9b-9a4b-1f0f5b7c9d2e", "%2e%2e",
        "..%2f..%2fetc%2fpasswd", "%00", "%F0%9F%92%A5", "'%20OR%201=1--", "*", "shop%0a",
    ],
    "path": ["../../../../etc/passwd", "%2e%2e/%2e%2e/db.sqlite3", "/etc/passwd", "x" * 3000, "%00", "a//b"],
}  # fmt: skip


def parameters(ask: Ask) -> list[tuple[str, str]]:
    """(kind, name) of each parameter of the route."""
    return [(kind or "str", name) for kind, name in PARAMETER.findall(ask.route) if name not in NO_ID]


def with_value(stage: Stage, ask: Ask, name: str, value: Any) -> str:
    """The line's address with one parameter replaced."""
    return stage.address(
        Ask(ask.method, ask.route, ask.level, values=(*dict(ask.values, **{name: str(value)}).items(),))
    )


def foreign(hidden: Hidden, ask: Ask, name: str) -> Any:
    """The other project's value for this parameter, None where there is no such row."""
    room = ask.route.removeprefix("api/").split("/")[0]
    return hidden.values.get(room if name in {"pk", "name"} else name)


def others(stage: Stage, hidden: Hidden) -> Iterator[tuple[Ask, str]]:
    """Every address with one id of somebody else's."""
    for ask in LINES:
        for _, name in parameters(ask):
            value = foreign(hidden, ask, name)
            if value is not None:
                yield ask, with_value(stage, ask, name, value)


@pytest.mark.parametrize("role", ["stranger", "owner", "team", "token"])
def test_what_belongs_to_somebody_else_is_not_there(role: str, stage: Stage, hidden: Hidden) -> None:
    client, wrong, asked = stage.clients[role], [], 0
    for ask, where in others(stage, hidden):
        if ask.route.endswith(BY_NAME) or (role == "token" and not ask.api):
            continue
        answer = stage.ask(client, ask, where)
        asked += 1
        if answer.status_code not in {404, *([403] if role == "token" and ask.method != "GET" else [])} or answer.wrote:
            wrong.append(f"{ask.method} {where} -> {answer.status_code} {answer.wrote}")
    assert not wrong, "\n" + "\n".join(wrong)
    assert asked >= 30


@pytest.mark.usefixtures("hidden")
def test_the_neighbours_of_ones_own_ids_are_not_there(stage: Stage) -> None:
    """Whoever counts up or down meets what is theirs and nothing else."""
    client, wrong = stage.clients["owner"], []
    for ask in LINES:
        room = ask.route.removeprefix("api/").split("/")[0]
        if ask.method != "GET" or ("int", "pk") not in parameters(ask) or room not in stage.values:
            continue
        for pk in range(1, 12):
            answer = stage.ask(client, ask, with_value(stage, ask, "pk", pk))
            mine = b"quetzal" not in body(answer).lower()
            if answer.status_code >= 500 or (answer.status_code != 404 and not mine):
                wrong.append(f"GET {ask.route} {pk} -> {answer.status_code}")
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("role", ["owner", "ops"])
def test_absurd_ids_are_not_there_either(role: str, stage: Stage) -> None:
    wrong = []
    for ask in SEEN:
        for kind, name in parameters(ask):
            for value in ABSURD[kind]:
                answer = stage.ask(stage.clients[role], ask, with_value(stage, ask, name, value))
                # A NUL is refused before anybody looks for it.
                if answer.status_code != 404 and not (answer.status_code == 400 and "%00" in value):
                    wrong.append(f"{ask.method} {ask.route} {value[:40]} -> {answer.status_code}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_hidden_and_absent_are_told_with_the_same_words(stage: Stage, hidden: Hidden) -> None:
    client, wrong = stage.clients["owner"], []
    for ask, where in others(stage, hidden):
        name = next(n for _, n in parameters(ask) if where == with_value(stage, ask, n, foreign(hidden, ask, n)))
        kind = {n: k for k, n in parameters(ask)}[name]
        absent = with_value(stage, ask, name, 987_654 if kind == "int" else "never-was")
        told = [same(body(stage.ask(client, ask, one)), one) for one in (where, absent)]
        if told[0] != told[1]:
            wrong.append(f"{ask.method} {where}: {told[0][:300]!r} and {told[1][:300]!r}")
    assert not wrong, "\n" + "\n".join(wrong)


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def same(text: bytes, where: str) -> bytes:
    """Without the id that was asked for, and without what changes at each answer."""
    value = PASSING.sub(b"", text).replace(where.encode(), b"<asked>")
    return re.sub(rb"[0-9a-f]{64}|\b\d+Z?\b|quetzal|never-was|QUETZAL", b"<asked>", value)


def test_a_body_cannot_name_what_belongs_to_somebody_else(stage: Stage, hidden: Hidden) -> None:
    """A version, a connection or a machine in a body is looked for among one's own."""
    owner = stage.clients["owner"]
    foreign_version = hidden.version.number
    assert not stage.project.versions.filter(number=foreign_version).exists()
    for where, given in (
        ("deployments/", {"machine": "prod", "action": "deploy", "version": foreign_version}),
        ("deployments/preview/", {"machine": "prod", "action": "rollback", "version": foreign_version}),
        ("builds/", {"ref": hidden.build.commit_sha}),
    ):
        answer = owner.post(f"/api/projects/shop/{where}", json.dumps(given), content_type="application/json")
        assert answer.status_code in {404, 422}, (where, answer.content)
        assert b"quetzal" not in answer.content.lower(), where
