"""Lists, searches, counts and pages hold what one may open, and nothing changes for anybody when somebody else's
project comes into the world."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from builds.models import Build, Version
from deployments.models import Deployment, Service
from projects.models import Project

from .hidden import WORD, Hidden
from .matrix import API, PAGES, ROLES
from .stage import Stage

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.timeout(1800)]
# Ops see everything; numbers of the whole portal are for its keepers.
BLIND = ["anonymous", "stranger", "expired", "team", "owner"]
OF_ALL = {"metrics", "readyz", "healthz", "api/schema/", "api/docs/"}
READS = [ask for ask in (*API, *PAGES) if ask.method == "GET" and ask.route not in OF_ALL]
QUESTIONS = (
    "search", "q", "project", "project__slug", "machine", "ref", "commit", "actor", "object_id", "requester",
)  # fmt: skip
ASKED = [
    *(f"?{name}={WORD}" for name in QUESTIONS),
    "?machine=test-a", "?state=running", "?state=queued", "?environment=test", "?ordering=-id", "?ordering=-created_at",
]  # fmt: skip
PASSING = re.compile(
    rb"<time\b.*?</time>|<span class=\"duration\".*?</span>"  # how long ago, how long so far
    rb"|\"age_s\":[0-9.]+"
    rb"|name=\"csrfmiddlewaretoken\" value=\"[^\"]*\""
    rb"|X-CSRFToken[^}]*}",
    re.DOTALL,
)


def plain(answer: Any) -> tuple[int, bytes]:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return answer.status_code, PASSING.sub(b"", body)


def everything(stage: Stage) -> dict[tuple[str, str], tuple[int, bytes]]:
    """Every answer to every reading question of everybody who sees nothing of the other project."""
    found = {}
    for role in BLIND:
        for ask in READS:
            where = stage.address(ask)
            lists = "<" not in ask.route and not ask.body
            for question in ["", *(ASKED if lists and role == "owner" else [])]:
                found[role, where + question] = plain(stage.ask(stage.clients[role], ask, where + question))
    return found


def test_another_project_changes_no_answer(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """First of all here: the others share a world that holds the other project already."""
    assert not Project.objects.filter(slug=WORD).exists()
    local, today = timezone.localtime, timezone.localtime()  # the calendar of freezes stays at it, also at midnight
    monkeypatch.setattr(timezone, "localtime", lambda value=None, zone=None: local(value or today, zone))
    before = everything(stage)
    Hidden()
    after = everything(stage)
    wrong = [
        f"{role}: GET {where}: {difference(before[role, where], after[role, where])}"
        for role, where in before
        if before[role, where] != after[role, where]
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def difference(one: tuple[int, bytes], other: tuple[int, bytes]) -> str:
    if one[0] != other[0]:
        return f"{one[0]} became {other[0]}"
    at = next((i for i, (a, b) in enumerate(zip(one[1], other[1], strict=False)) if a != b), 0)
    return f"{one[1][max(0, at - 80) : at + 80]!r} became {other[1][max(0, at - 80) : at + 80]!r}"


KINDS = {"projects": (Project, "slug"), "builds": (Build, "pk"), "deployments": (Deployment, "pk")}
OF_A_PROJECT = {"builds": Build, "versions": Version, "deployments": Deployment, "services": Service}


def listed(client: Client, where: str, key: str) -> set[Any]:
    """All that the list names, page after page."""
    found: set[Any] = set()
    following: str | None = where
    while following:
        answer = client.get(following)
        if answer.status_code != 200:
            return found
        told = answer.json()
        found |= {row[key] for row in told["results"]}
        following = told["next"]
    return found


@pytest.mark.parametrize("role", [role for role in ROLES if role != "anonymous"])
@pytest.mark.usefixtures("hidden")
def test_a_list_names_exactly_what_opens(role: str, stage: Stage) -> None:
    client = stage.clients[role]
    for room, (model, key) in KINDS.items():
        rows = [getattr(row, key) for row in model._default_manager.all()]  # type: ignore[attr-defined]
        opens = {value for value in rows if client.get(f"/api/{room}/{value}/").status_code == 200}
        assert listed(client, f"/api/{room}/", "slug" if key == "slug" else "id") == opens, room
    for slug in ("shop", WORD):
        for room, model in OF_A_PROJECT.items():
            path = "service__project" if room == "deployments" else "project"
            pks = model._default_manager.filter(**{f"{path}__slug": slug}).values_list("pk", flat=True)
            opens = {pk for pk in pks if client.get(f"/api/{room}/{pk}/").status_code == 200}
            assert listed(client, f"/api/projects/{slug}/{room}/", "id") == opens, (slug, room)


LINK = re.compile(r"""(?:href|hx-get|data-href|src)=["'](/[^"'#]*)""")
NOT_A_PAGE = re.compile(r"/(?:static|ws|git|sign-out|admin)/")


@pytest.mark.parametrize("role", [role for role in ROLES if role not in {"anonymous", "token"}])
@pytest.mark.usefixtures("hidden")
def test_every_link_that_is_shown_opens(role: str, stage: Stage) -> None:
    """A page leads nowhere that its reader may not go: no dead end, and no word of what is not theirs."""
    client, seen, dead = stage.clients[role], {"/"}, []
    pages = [
        f"{stage.address(ask)}?{urlencode(ask.body or {})}"
        for ask in PAGES
        if ask.method == "GET" and ask.allows(role) and ask.status == 200
    ]
    waiting, came = ["/", *pages], {}
    while waiting and len(seen) < 400:
        where = waiting.pop()
        answer = client.get(where)
        if answer.status_code >= 400:
            dead.append(f"{where} (from {came.get(where)}) -> {answer.status_code}")
        if not answer.headers.get("Content-Type", "").startswith("text/html") or answer.streaming:
            continue
        for link in LINK.findall(answer.content.decode()):
            plain_link = link.replace("&amp;", "&")
            if plain_link not in seen and not NOT_A_PAGE.match(urlsplit(plain_link).path):
                seen.add(plain_link)
                came[plain_link] = where
                waiting.append(plain_link)
    assert not dead, "\n".join(sorted(dead))
    assert len(seen) > 6
    if role != "ops":
        assert not [where for where in seen if WORD in where]
