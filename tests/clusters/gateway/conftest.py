"""A cluster with two namespaces, a project on one of them, and people with their JWTs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from clusters.drivers.runtime.kubernetes import api, async_api
from clusters.gateway import mirror
from clusters.models import Cluster, Machine
from fangduoduo_release.common import rates
from fangduoduo_release.common.actor import SYSTEM
from permissions import jwts
from permissions.models import User
from projects.actions import grant_machine
from projects.models import Project
from tests import world

K8S = "/api/clusters/east/k8s/"
PODS_OF_SHOP = f"{K8S}api/v1/namespaces/shop/pods"


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """Counts and mirrors are the process's own."""
    rates.HERE.forget()
    mirror.MIRRORS.forget()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated cluster shares this process's time: it is never away, however long a handshake with it takes."""
    monkeypatch.setattr(api, "CONNECT_S", 60.0)
    monkeypatch.setattr(async_api, "CONNECT_S", 60.0)


@pytest.fixture
def cluster(db: Any) -> Cluster:
    return Cluster.objects.create(name="east", kind="kubernetes")


def machine_of(cluster: Cluster, name: str, namespace: str, environment: str = "test", **more: Any) -> Machine:
    return Machine.objects.create(
        name=name, cluster=cluster, environment=environment, placement={"namespace": namespace}, **more
    )


@pytest.fixture
def shop(cluster: Cluster) -> Project:
    """The project `shop` with the namespaces `shop` (test) and `shop-live` (production)."""
    project = world.bare_project(world.person("ann"), "shop")
    for name, namespace, environment in (("east-test", "shop", "test"), ("east-live", "shop-live", "production")):
        grant_machine(actor=SYSTEM, project=project, machine=machine_of(cluster, name, namespace, environment))
    machine_of(cluster, "east-other", "other")
    return project


def at_the_gateway(user: User) -> Client:
    """A client with the person's JWT, as another system has it."""
    return Client(headers={"Authorization": f"Bearer {jwts.start(user)['access']}"})


@pytest.fixture
def as_role(shop: Project) -> Callable[[str], Client]:
    def make(role: str) -> Client:
        return at_the_gateway(world.ops() if role == "ops" else world.member(shop, role))

    return make


@pytest.fixture
def viewer(as_role: Callable[[str], Client]) -> Client:
    return as_role("viewer")


@pytest.fixture
def developer(as_role: Callable[[str], Client]) -> Client:
    return as_role("developer")


@pytest.fixture
def maintainer(as_role: Callable[[str], Client]) -> Client:
    return as_role("maintainer")
