"""The portal's own pages without a browser: who may see them, that nothing is believed that was typed, how many queries."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from builds.models import Artifact, Stage
from builds.models import TestResult as CaseResult
from deployments.models import Deployment, Service
from fangduoduo_release.common.actor import SYSTEM
from permissions import sessions
from permissions.models import User
from projects.actions import set_member
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db

RATCHET = Path(__file__).with_name("queries.json")
MOST = 12
PROJECTS, BUILDS = 40, 10
EVIL = "<script>alert(1)</script>"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


@pytest.fixture(autouse=True)
def pages() -> None:
    """The portal's real addresses: the other tests here use their own."""


def signed_in(user: User, language: str = "en") -> Client:
    client = Client()
    client.force_login(user)
    client.cookies["django_language"] = language
    return client


def deployed(project: Project, name: str, environment: str = "test") -> Deployment:
    """A service that runs the project's newest version, as if a deployment had ended well."""
    machine = world.granted(project, name, environment)
    version = world.version(project)
    now = timezone.now()
    service = Service.objects.create(
        project=project, machine=machine, version=version, state="healthy", replicas=2, changed_at=now
    )
    deployment = Deployment.objects.create(
        number=1, service=service, version=version, action="deploy", state="succeeded", replicas=2, pins={},
        started_by=project.created_by, started_at=now, finished_at=now,
    )  # fmt: skip
    Service.objects.filter(pk=service.pk).update(last_deployment=deployment)
    return deployment


def without_repositories(owner: User, count: int) -> list[Project]:
    """Projects for counting: making a repository for each would take a minute."""
    made = [Project.objects.create(slug=f"app{n:02}", name=f"App {n}", created_by=owner) for n in range(1, count + 1)]
    for project in made:
        set_member(actor=SYSTEM, project=project, user=owner, role="owner")
    return made


@pytest.fixture
def ann(db: None) -> User:
    return world.person("ann")


@pytest.fixture
def shop(ann: User) -> Project:
    return world.project(ann, "shop", name="Shop")


@pytest.fixture
def addresses(shop: Project) -> dict[str, str]:
    """Every page about an object of `shop`, by name."""
    deployment = deployed(shop, "test-a")
    build = deployment.version.build
    project = "/projects/shop/"
    return {
        "board": project,
        "project builds": f"{project}builds/",
        "versions": f"{project}versions/",
        "project deployments": f"{project}deployments/",
        "pipeline": f"{project}pipeline/",
        "settings": f"{project}settings/",
        "start a build": f"{project}builds/start/",
        "deploy": f"{project}change/?action=deploy",
        "roll back": f"{project}change/?action=rollback",
        "build": f"/builds/{build.pk}/",
        "build tests": f"/builds/{build.pk}/tests/",
        "build log": f"/builds/{build.pk}/log/lines/",
        "archive": f"/versions/{deployment.version.pk}/archive/",
        "deployment": f"/deployments/{deployment.pk}/",
        "service": f"/services/{deployment.service_id}/",
        "service logs": f"/services/{deployment.service_id}/logs/",
    }


LISTS = [
    "/",
    "/projects/",
    "/projects/new/",
    "/builds/",
    "/deployments/",
    "/machines/",
    "/search/?q=a",
    "/me/",
    "/me/tokens/",
]


def test_whoever_is_not_signed_in_is_asked_to(addresses: dict[str, str]) -> None:
    for address in [*LISTS, *addresses.values()]:
        answer = Client().get(address)
        assert answer.status_code in {302, 401}, address
        assert answer.status_code == 401 or answer["Location"].startswith("/sign-in/"), address


def test_a_stranger_finds_nothing(addresses: dict[str, str]) -> None:
    stranger = signed_in(world.person("bob"))
    assert {name: stranger.get(address).status_code for name, address in addresses.items()} == dict.fromkeys(
        addresses, 404
    )
    for address in ("/", "/projects/", "/builds/", "/deployments/", "/machines/", "/search/?q=shop"):
        assert 'href="/projects/shop/"' not in stranger.get(address).content.decode(), address


def test_a_viewer_sees_everything_and_changes_nothing(shop: Project, addresses: dict[str, str]) -> None:
    client = signed_in(world.member(shop, "viewer"))
    for name, address in addresses.items():
        assert client.get(address).status_code in {200, 403}, name
    board = client.get("/projects/shop/").content.decode()
    assert "Deploying needs the role developer" in board
    assert 'data-opens="locked-deploy"' in board
    assert "data-deploy" not in board
    settings_page = client.get("/projects/shop/settings/").content.decode()
    assert settings_page.count('<fieldset class="bare') == settings_page.count(" disabled>") == 3
    before = Deployment.objects.count()
    refused = client.post(
        "/projects/shop/change/", {"action": "restart", "machine": "test-a"}, headers={"HX-Request": "true"}
    )
    assert "Who can allow it" in refused.content.decode()
    assert client.post("/projects/shop/settings/", {"form": "archive", "archived": "1"}).status_code == 403
    assert (Deployment.objects.count(), Project.objects.get(pk=shop.pk).archived) == (before, False)


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_page_opens_in_both_languages(ann: User, addresses: dict[str, str], language: str) -> None:
    client = signed_in(ann, language)
    for address in [*LISTS, *addresses.values()]:
        if address.startswith("/versions/"):
            continue
        answer = client.get(address)
        assert answer.status_code == 200, address
        if "lines" not in address and "change" not in address and "start" not in address:
            assert f'lang="{"zh-Hans" if language == "zh-hans" else "en"}"' in answer.content.decode(), address


def test_nothing_that_was_typed_becomes_html(ann: User) -> None:
    project = world.project(ann, "evil", name=EVIL, description=EVIL)
    version = world.version(project)
    build = version.build
    type(build).objects.filter(pk=build.pk).update(commit_subject=EVIL, commit_author=EVIL, ref=f"refs/heads/{EVIL}")
    type(version).objects.filter(pk=version.pk).update(commit_subject=EVIL, commit_author=EVIL)
    Artifact.objects.create(build=build, path=f"{EVIL}.txt", sha256="0" * 64, size=3)
    Stage.objects.create(build=build, ident="1", name=EVIL, state="failed", order=1)
    CaseResult.objects.create(build=build, suite=EVIL, name=EVIL, state="failed", message=EVIL, details=EVIL)
    deployment = deployed(project, "test-a")
    Deployment.objects.filter(pk=deployment.pk).update(
        reason=EVIL, version=version, error={"sentence": {"msgid": "%(x)s", "params": {"x": EVIL}}, "evidence": EVIL}, state="failed",
    )  # fmt: skip
    client = signed_in(ann)
    for address in (
        "/", "/projects/", "/builds/", "/deployments/", "/machines/", f"/search/?q={EVIL}", "/me/", "/projects/evil/",
        "/projects/evil/builds/", "/projects/evil/versions/", "/projects/evil/deployments/", "/projects/evil/settings/",
        "/projects/evil/change/?action=deploy", "/projects/evil/builds/start/",
        f"/builds/{build.pk}/", f"/builds/{build.pk}/tests/", f"/deployments/{deployment.pk}/",
    ):  # fmt: skip
        text = client.get(address).content.decode()
        assert EVIL not in text, address
        assert "<script>" not in text, address
        assert ESCAPED in text, address


class TestForms:
    def test_a_bad_project_gets_a_sentence_and_keeps_what_was_typed(self, ann: User) -> None:
        given = {"slug": "Bad Slug", "name": "My shop", "description": "Sells", "origin": "starter", "starter": "blank"}
        answer = signed_in(ann).post("/projects/new/", given)
        text = answer.content.decode()
        assert answer.status_code == 422
        assert 'aria-invalid="true"' in text
        assert 'class="form-error"' in text
        for typed in ("Bad Slug", "My shop", "Sells"):
            assert f'value="{typed}"' in text
        assert not Project.objects.filter(name="My shop").exists()

    def test_a_bound_project_needs_an_address(self, ann: User) -> None:
        answer = signed_in(ann).post("/projects/new/", {"slug": "shop", "origin": "bound", "repository": " "})
        assert "Give the address of the repository." in answer.content.decode()

    def test_a_taken_name_is_said_at_its_field(self, ann: User, shop: Project) -> None:
        answer = signed_in(ann).post("/projects/new/", {"slug": "shop", "origin": "starter", "starter": "blank"})
        assert answer.status_code == 422
        assert 'id="id_slug-error"' in answer.content.decode()

    @pytest.mark.parametrize(
        ("field", "typed", "sentence"),
        [
            ("command", "run 'it", "A quotation mark is not closed."),
            ("env", "NOT A PAIR", "“NOT A PAIR” is not NAME=value."),
            ("replicas", "many", "Enter a whole number."),
            ("port", "99999", "less than or equal to 65535"),
        ],
    )
    def test_a_bad_spec_gets_a_sentence_and_keeps_what_was_typed(
        self, ann: User, shop: Project, field: str, typed: str, sentence: str
    ) -> None:
        fine = {
            "command": "./run",
            "replicas": "1",
            "port": "80",
            "drain_s": "1",
            "start_deadline_s": "5",
            "env": "A=b",
        }
        answer = signed_in(ann).post("/projects/shop/settings/", {"form": "spec", **fine, field: typed})
        text = answer.content.decode()
        assert answer.status_code == 422
        assert sentence in text
        assert typed.replace("'", "&#x27;") in text
        assert not shop.spec_revisions.filter(spec__port=80).exists()

    def test_nobody_of_that_name_can_be_a_member(self, ann: User, shop: Project) -> None:
        answer = signed_in(ann).post("/projects/shop/settings/", {"form": "member", "user": EVIL, "role": "viewer"})
        assert (answer.status_code, EVIL in answer.content.decode()) == (422, False)
        assert f"There is nobody called “{ESCAPED}”." in answer.content.decode()

    @pytest.mark.parametrize("version", ["9999", "x", "-1", "1" * 400])
    def test_a_panel_for_a_version_that_is_not_there_says_so(self, ann: User, shop: Project, version: str) -> None:
        world.granted(shop, "test-a")
        answer = signed_in(ann).get(f"/projects/shop/change/?action=deploy&machine=test-a&version={version}")
        assert answer.status_code in {404, 422}

    def test_a_broken_pipeline_is_kept_in_the_editor(self, ann: User, shop: Project) -> None:
        answer = signed_in(ann).post("/projects/shop/pipeline/", {"text": "pipeline { stages { } } // mine"})
        assert answer.status_code == 422
        assert "pipeline { stages { } } // mine" in answer.content.decode()
        assert shop.pipeline_revisions.count() <= 1

    def test_a_filter_that_makes_no_sense_is_no_error(self, ann: User, shop: Project) -> None:
        for query in ("before=x", "after=99999999999999999999", "state=nonsense", "project=%00", "before=-1"):
            for address in ("/builds/", "/deployments/", "/projects/", "/"):
                assert signed_in(ann).get(f"{address}?{query}").status_code < 500, (address, query)


def test_no_page_asks_the_database_more_than_it_did(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a world of 40 projects and 400 builds. FDD_RATCHET=1 writes lower counts down; higher ones are a decision."""
    # When somebody was last seen is written once a minute, which on a slow machine would fall into some page's count.
    monkeypatch.setattr(sessions, "FRESH_S", 24 * 3600)
    projects = [world.project(ann, "app00"), *without_repositories(ann, PROJECTS - 1)]
    for project in projects:
        for n in range(BUILDS - 2):
            world.build(project, ["succeeded", "failed", "unstable"][n % 3])
    ends = [deployed(project, f"m{n}", "production" if n % 2 else "test") for n, project in enumerate(projects[:6])]
    for project in projects[6:]:
        world.version(project)
    first, end = projects[0], ends[0]
    build = end.version.build
    Stage.objects.bulk_create(
        Stage(build=build, ident=str(n), name=f"s{n}", state="succeeded", order=n) for n in range(30)
    )
    Artifact.objects.bulk_create(Artifact(build=build, path=f"f{n}", sha256=f"{n:064}", size=n) for n in range(50))
    for n, one in enumerate(first.builds.all()[:BUILDS]):
        world.news(first, build=one if n % 2 else None)
    base = f"/projects/{first.slug}/"
    addresses = {
        "home": "/", "projects": "/projects/", "new project": "/projects/new/", "builds": "/builds/",
        "deployments": "/deployments/", "machines": "/machines/", "search": "/search/?q=app", "profile": "/me/",
        "tokens": "/me/tokens/", "board": base, "board, live": f"{base}?part=live", "project builds": f"{base}builds/",
        "versions": f"{base}versions/", "project deployments": f"{base}deployments/", "pipeline": f"{base}pipeline/",
        "settings": f"{base}settings/", "start a build": f"{base}builds/start/", "build": f"/builds/{build.pk}/",
        "build, live": f"/builds/{build.pk}/?part=live", "build tests": f"/builds/{build.pk}/tests/",
        "deployment": f"/deployments/{end.pk}/", "deployment, live": f"/deployments/{end.pk}/?part=live",
        "service": f"/services/{end.service_id}/", "service, live": f"/services/{end.service_id}/?part=live",
        "service logs": f"/services/{end.service_id}/logs/", "deploy": f"{base}change/?action=deploy",
        "roll back": f"{base}change/?action=rollback", "templates": "/templates/", "template": "/templates/node/",
        "template to take": f"{base}pipeline/template/", "triggers": f"{base}triggers/",
        "triggers, lately": f"{base}triggers/?part=lately",
    }  # fmt: skip
    counted: dict[str, int] = {}
    for who, client in (("owner", signed_in(ann)), ("ops", signed_in(world.ops()))):
        for name, address in addresses.items():
            client.get(address)  # what is remembered between requests is remembered now
            with CaptureQueriesContext(connection) as queries:
                assert client.get(address).status_code == 200, (who, address)
            counted[f"{name} ({who})"] = len(queries)
    known: dict[str, int] = json.loads(RATCHET.read_text()) if RATCHET.exists() else {}
    if os.environ.get("FDD_RATCHET"):
        lowest = {name: min(number, known.get(name, number)) for name, number in counted.items()}
        RATCHET.write_text(json.dumps(lowest, indent=2, sort_keys=True) + "\n")
        known = lowest
    assert {name: number for name, number in counted.items() if number > known.get(name, MOST)} == {}
    assert {name: number for name, number in counted.items() if number > MOST} == {}
