"""No address answers an odd question with an error of ours: endless numbers, wrong types, broken bytes, foreign cursors."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from deployments.models import Deployment, Service
from fangduoduo_release.common.actor import SYSTEM
from projects.actions import save_spec
from tests import world

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(1800)]  # much is asked for here: no sign of a hang
ODD = ("-1", "0", "9" * 40, "1e400", "NaN", "²", "x", "%ED%A0%80", "%FF", "../../etc/passwd", "a%0d%0ab", "'\"<b>", "")
SHARES = 6  # of the addresses, so that each ends in time on a machine that does much else
NAMES = (
    "q", "from", "before", "after", "part", "archived", "state", "number", "ref", "project", "machine", "action",
    "version", "replicas", "stage", "tail", "instance", "since", "previous", "offset", "limit", "count", "direction",
    "page_size", "ordering", "search", "trigger", "commit", "environment", "kind", "lang", "next",
)  # fmt: skip
CURSORS = tuple(
    base64.b64encode(text.encode()).decode() for text in ("p=x", "p=9" + "9" * 40, "o=x", "r=1&p=", "o=99999&p=1")
)


def addresses(patterns: list[Any], prefix: str = "/") -> Iterator[str]:
    for pattern in patterns:
        where = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if pattern.app_name != "admin":
                yield from addresses(pattern.url_patterns, where)
        elif isinstance(pattern, URLPattern):
            yield where


def filled(address: str, **values: object) -> str:
    for name, value in values.items():
        for kind in ("str", "int", "path", "slug", "uuid"):
            address = address.replace(f"<{kind}:{name}>", str(value))
    return address


@pytest.fixture
def world_of_one(db: Any) -> tuple[Client, dict[str, object]]:
    user = world.ops()
    project = world.project(user)
    save_spec(actor=SYSTEM, project=project, spec={"command": ["./start"]})
    machine = world.granted(project)
    version = world.version(project)
    service = Service.objects.create(project=project, machine=machine, port=20009)
    Deployment.objects.create(service=service, number=1, action="deploy", version=version, state="succeeded")
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client, {"slug": project.slug, "pk": 1, "name": machine.name, "number": 1, "ident": "x", "verb": "x",
                    "path": "x", "key": "x"}  # fmt: skip


@pytest.mark.parametrize("share", range(SHARES))
def test_odd_questions_are_never_an_error_of_ours(world_of_one: tuple[Client, dict[str, object]], share: int) -> None:
    client, values = world_of_one
    from builds.models import Build, Version

    ids = {"build": Build.objects.latest("pk").pk, "version": Version.objects.latest("pk").pk,
           "service": Service.objects.latest("pk").pk, "deployment": Deployment.objects.latest("pk").pk}  # fmt: skip
    wrong = []
    fine = 0
    for address in list(addresses(get_resolver().url_patterns))[share::SHARES]:
        if "schema" in address or "docs" in address:
            continue
        pk = next((number for word, number in ids.items() if f"/{word}" in address), 1)
        plain = filled(address, **{**values, "pk": pk})
        for index, odd in enumerate(ODD):
            # Every name gets every value in the course of the addresses, a third of the names at a time.
            query = "&".join(f"{name}={odd}" for name in NAMES[index % 3 :: 3])
            answer = client.get(f"{plain}?{query}")
            fine += answer.status_code == 200
            if answer.status_code >= 500:
                wrong.append(f"{plain}?{query} {answer.status_code}")
        for cursor in CURSORS:
            if plain.startswith("/api/") and client.get(plain, {"cursor": cursor}).status_code >= 500:
                wrong.append(f"{plain} cursor {base64.b64decode(cursor)!r}")
    assert wrong == []
    assert fine > 40  # they were asked something, not only refused
