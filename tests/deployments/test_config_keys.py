"""Which keys of Consul are followed: those something runs with, and those the next deployment would take."""

from __future__ import annotations

from typing import Any

import pytest

from clusters import configs
from clusters.config_store import see
from clusters.drivers.config.base import Document, sha256_of
from deployments import configuring
from deployments.config_keys import changed, in_use
from deployments.models import Service
from fangduoduo_release.common.models import Connection, Event
from permissions.models import User
from projects import actions
from projects.models import Project
from tests import world

pytestmark = pytest.mark.django_db


@pytest.fixture
def kv() -> Connection:
    return Connection.objects.create(name="kv", kind="consul", config={"url": "http://consul.example:8500"})


def bind(project: Project, by: User, **config: Any) -> None:
    actions.save_spec(actor=by, project=project, spec={"command": ["./start"], "config": config})


def pin(service: Service, key: str, text: str = "a: 1\n", **files: str) -> None:
    parts = tuple(configs.PinnedFile(path, name, "1", sha256_of(text)) for path, name in files.items())
    service.config = configs.Pinned("kv", key, "1", sha256_of(text), parts).as_json()
    service.save()


def test_without_bindings_nothing_is_followed(kv: Connection) -> None:
    world.bare_project()
    assert in_use() == {}


def test_a_binding_names_its_keys_on_each_machine_of_the_project(kv: Connection) -> None:
    ann = world.person("ann")
    project = world.bare_project(ann, "shop")
    files = [{"path": "app.yaml", "key": "shop/app.yaml"}]
    bind(project, ann, source="kv", key="shop/${MACHINE}.yaml", files=files)
    assert in_use() == {}
    world.granted(project, "test-a")
    world.granted(project, "prod", "production")
    world.machine("test-b")
    assert in_use() == {"kv": frozenset({"shop/test-a.yaml", "shop/prod.yaml", "shop/app.yaml"})}
    Project.objects.update(archived=True)
    assert in_use() == {}


def test_only_the_newest_spec_counts(kv: Connection) -> None:
    ann = world.person("ann")
    project = world.bare_project(ann, "shop")
    world.granted(project, "test-a")
    bind(project, ann, source="kv", key="shop/old.yaml")
    bind(project, ann, source="kv", key="shop/new.yaml")
    assert in_use() == {"kv": frozenset({"shop/new.yaml"})}
    actions.save_spec(actor=ann, project=project, spec={"command": ["./start"]})
    assert in_use() == {}


def test_the_embedded_source_needs_nobody_to_follow_it() -> None:
    ann = world.person("ann")
    project = world.bare_project(ann, "shop")
    world.granted(project, "test-a")
    bind(project, ann, source="database", key="shop/app.yaml")
    assert in_use() == {}


def test_what_something_runs_with_is_followed_too(kv: Connection) -> None:
    service = Service.objects.create(project=world.bare_project(slug="shop"), machine=world.machine("test-a"))
    pin(service, "shop/base.yaml", conf="shop/app.yaml")
    other = Service.objects.create(project=service.project, machine=world.machine("test-b"))
    other.config = {"source": configuring.PORTAL, "key": "spec", "revision": 3, "sha256": "0" * 64}
    other.save()
    assert in_use() == {"kv": frozenset({"shop/base.yaml", "shop/app.yaml"})}


def test_those_who_run_with_a_key_are_told_that_it_changed_and_nobody_else(kv: Connection) -> None:
    project = world.bare_project(slug="shop")
    mine = Service.objects.create(project=project, machine=world.machine("test-a"))
    other = Service.objects.create(project=project, machine=world.machine("test-b"))
    pin(mine, "shop/base.yaml", conf="shop/app.yaml")
    pin(other, "shop/other.yaml")
    changed("kv", "shop/app.yaml")
    changed("elsewhere", "shop/app.yaml")
    (event,) = Event.objects.filter(kind="config_changed")
    assert (event.topic, event.kind) == (mine.topic, "config_changed")
    assert event.text % event.data == "The configuration “shop/app.yaml” says something new in “kv”."


def test_a_service_shows_how_its_configuration_drifted(kv: Connection) -> None:
    ann = world.person("ann")
    project = world.bare_project(ann, "shop")
    machine = world.granted(project, "test-a")
    bind(project, ann, source="kv", key="shop/${MACHINE}.yaml")
    spec = project.spec_revisions.get()
    service = Service.objects.create(project=project, machine=machine, spec_revision=spec)
    pin(service, "shop/test-a.yaml")
    assert configuring.drift(service) is None
    see(kv, "shop/test-a.yaml", Document("shop/test-a.yaml", "a: 2\n", "9", sha256_of("a: 2\n")))
    found = configuring.drift(service)
    assert found is not None
    assert [(one.key, one.was, one.now) for one in found.items] == [("shop/test-a.yaml", "1", "9")]
