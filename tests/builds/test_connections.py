"""Connections to Jenkins servers and registries: rules, tests, and the builder behind one. The Jenkins here is a stand-in for
the driver, which has tests of its own; the registry is real."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from rest_framework.test import APIClient

from builds.connections import builder_of, look_at_jenkins, look_at_registry
from builds.drivers.builder.remote import ServerFacts
from clusters.actions import save_connection
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Invalid, Rejected
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from tests import world
from tests.simulators.registry import PASSWORD, USER, DockerRegistry

pytestmark = pytest.mark.django_db
HERE = "tests.builds.test_connections"
CONFIG = {"url": "https://jenkins.example/ci/", "user": "robot"}


@dataclass(frozen=True)
class StandInConfig:
    url: str
    user: str
    token: str = field(repr=False)
    folder: str
    credentials_id: str
    ca: str

    def __post_init__(self) -> None:
        if not self.token:
            raise Invalid(S("A token is needed."), fields={"token": [S("A token is needed.")]})


class StandIn:
    kind: ClassVar[str] = "jenkins"
    Config: ClassVar[type] = StandInConfig
    facts: ClassVar[ServerFacts] = ServerFacts("2.440.2", "robot")

    def __init__(self, config: StandInConfig) -> None:
        self.config = config

    def check(self) -> ServerFacts:
        if self.config.user == "nobody":
            raise Rejected(S("Wrong token."))
        return self.facts


@pytest.fixture(autouse=True)
def _driver(settings: Any) -> None:
    settings.DRIVERS = {**settings.DRIVERS, "remote_builder": {"jenkins": f"{HERE}.StandIn"}}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path, basic=True) as found:
        yield found


def jenkins(secrets: dict[str, Any] | None = None, **config: str) -> Connection:
    return save_connection(
        actor=SYSTEM, name="ci", kind="jenkins", config={**CONFIG, **config}, secrets=secrets or {"token": "t0ken"}
    )


def test_a_builder_is_built_from_its_connection() -> None:
    built: Any = builder_of(jenkins(credentials_id="git-robot", folder="/release/team/"))
    assert built.config == StandInConfig(
        "https://jenkins.example/ci", "robot", "t0ken", "release/team", "git-robot", ""
    )
    again: Any = builder_of(Connection(name="x", kind="jenkins", config=CONFIG, secrets={"token": "t"}))
    assert again.config.folder == "fangduoduo-release"


def test_a_kind_that_is_no_builder_builds_nothing() -> None:
    with pytest.raises(Invalid) as error:
        builder_of(Connection(name="x", kind="registry"))
    assert error.value.code == "unknown_driver"


def test_a_jenkins_without_what_it_needs_is_not_saved() -> None:
    with pytest.raises(Invalid) as error:
        jenkins(secrets={"other": "x"})
    assert list(error.value.fields) == ["token"]
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    ("facts", "ok", "words"),
    [
        (ServerFacts("2.440.2", "robot"), True, "Jenkins 2.440.2 answers; signed in as “robot”."),
        (ServerFacts("2.440.2", "robot", ("Job/Build",)), False, "something that the portal needs is missing"),
        (ServerFacts("2.440.2", "robot", ("Job/Build",), S("In its own words.")), False, "In its own words."),
    ],
)
def test_what_a_jenkins_lacks_is_told_by_name(
    monkeypatch: pytest.MonkeyPatch, facts: ServerFacts, ok: bool, words: str
) -> None:
    monkeypatch.setattr(StandIn, "facts", facts)
    found = look_at_jenkins(jenkins())
    assert (found["ok"], found["version"], found["missing"]) == (ok, "2.440.2", list(facts.missing))
    assert words in str(found["sentence"])


def test_the_api_saves_a_jenkins_and_says_that_its_token_is_wrong() -> None:
    api = APIClient()
    api.force_authenticate(world.ops())
    body = {"name": "ci", "kind": "jenkins", "config": {**CONFIG, "user": "nobody"}, "secrets": {"token": "planted"}}
    answer = api.post("/api/connections/", body, format="json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["last_test"]["sentence"] == "Wrong token."
    assert answer.json()["secrets"] == ["token"]
    assert b"planted" not in answer.content


def test_a_registry_is_looked_at_with_its_credentials(registry: DockerRegistry) -> None:
    row = save_connection(
        actor=SYSTEM,
        name="images",
        kind="registry",
        config={"url": f"{registry.url}/", "username": USER},
        secrets={"password": PASSWORD},
    )
    found = look_at_registry(row)
    assert (found["ok"], found["version"]) == (True, "2.0")
    row.secrets = {"password": "wrong"}
    with pytest.raises(Rejected):
        look_at_registry(row)


@pytest.mark.parametrize(
    ("config", "secrets", "field"),
    [
        ({}, {}, "url"),
        ({"url": "registry.example"}, {}, "url"),
        ({"url": "https://registry.example/v2/"}, {}, "url"),
        ({"url": "https://registry.example"}, {"password": "p"}, "username"),
        ({"url": "https://registry.example", "ca": "x"}, {}, "ca"),
    ],
)
def test_a_registry_that_cannot_work_is_not_saved(config: dict[str, str], secrets: dict[str, str], field: str) -> None:
    api = APIClient()
    api.force_authenticate(world.ops())
    body = {"name": "images", "kind": "registry", "config": config, "secrets": secrets}
    answer = api.post("/api/connections/", body, format="json")
    assert answer.status_code == 422
    assert list(answer.json()["fields"]) == [field]
    assert not Connection.objects.exists()
