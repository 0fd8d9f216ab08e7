"""Every address of the portal × everybody who may come: what they are answered. An address without a line here fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from tests import world

from .matrix import API, PAGES, PUBLIC, ROLES, SAFE, Ask
from .matrix_admin import ADMIN, ADMIN_ROLES, SCREENS
from .matrix_doors import GIT, SOCKETS
from .stage import Stage

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(1800)]
METHODS = ("get", "post", "put", "patch", "delete")
LINES = [*API, *PAGES]


def routes(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every address with its view, without the admin's, which `test_matrix_admin.py` walks."""
    for pattern in patterns:
        where = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver) and pattern.app_name != "admin":
            yield from routes(pattern.url_patterns, where)
        elif isinstance(pattern, URLPattern):
            callback = pattern.callback
            yield where, getattr(callback, "view_class", None) or getattr(callback, "cls", None)


def test_every_address_and_verb_has_a_line_and_every_line_an_address() -> None:
    known = {
        (method.upper(), where)
        for where, view in routes(get_resolver().url_patterns)
        for method in METHODS
        if hasattr(view, method)
    }
    told = {(line.method, line.route) for line in LINES}
    assert sorted(known - told) == [], "say in tests/permissions/matrix.py who may do this"
    assert sorted(told - known) == []


def test_the_matrix_is_large() -> None:
    screens = sum(len(screen.asks()) for screen in SCREENS)
    doors = len(SOCKETS) + len(GIT)
    cells = (len(LINES) + len(ADMIN) + doors) * len(ROLES) + screens * len(ADMIN_ROLES)
    print(f"{cells} cells: {len(API)} API, {len(PAGES)} pages, {len(ADMIN) + screens} ops screen, {doors} other doors")
    assert cells >= 2000


def wrong(stage: Stage, ask: Ask, role: str) -> str:
    """What is not as expected, in words; empty when all is well."""
    answer, expected = stage.ask(stage.clients[role], ask), ask.expected(role)
    said = f"{role}: {ask.method} {stage.address(ask)} {ask.body or ''} -> {answer.status_code}, expected {expected}"
    if answer.status_code != expected:
        return said
    if ask.treated_as(role) == "anonymous" and expected == 302 and ask.level != PUBLIC:
        return "" if "/sign-in/" in answer["Location"] else f"{said}, but not to the sign-in"
    form = "application/json" if ask.kubernetes else "application/problem+json"
    if ask.api and expected >= 400 and answer["Content-Type"] != form:
        return f"{said}, but as {answer['Content-Type']}"
    if not ask.allows(role) and answer.wrote:
        return f"{said}, but it wrote {answer.wrote}"
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("lines", [API, PAGES], ids=["api", "pages"])
def test_everybody_gets_what_the_matrix_says(lines: list[Ask], stage: Stage) -> None:
    complaints = [said for role in ROLES for ask in lines if (said := wrong(stage, ask, role))]
    assert not complaints, "\n" + "\n".join(complaints)


def test_a_browser_writes_nothing_without_its_csrf_token(stage: Stage) -> None:
    ops = stage.client(world.ops("olaf"), csrf=True)
    for ask in LINES:
        if ask.method not in SAFE:
            answer = stage.ask(ops, ask)
            assert answer.status_code == 403, f"{ask.method} {stage.address(ask)}"
            assert not answer.wrote, f"{ask.method} {stage.address(ask)}"
            if ask.api:
                assert "CSRF" in answer.json()["message" if ask.kubernetes else "detail"]
