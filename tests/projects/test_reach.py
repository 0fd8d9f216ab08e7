"""Which namespaces somebody reaches: from roles, grants of machines and their expiry, freezes, approvals and emergencies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from clusters.models import Cluster, FreezeWindow, Machine
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Denied
from permissions.models import ApiToken
from projects import grants
from projects.actions import grant_machine
from projects.models import MachineGrant, Project
from projects.reach import namespaces
from tests import world

pytestmark = pytest.mark.django_db
EVERY_DAY = {"timezone": "UTC", "weekdays": [0, 1, 2, 3, 4, 5, 6], "duration_minutes": 1440}


@pytest.fixture
def east() -> Cluster:
    return Cluster.objects.create(name="east", kind="kubernetes")


def placed(cluster: Cluster, name: str, namespace: str, environment: str = "test", *to: Project) -> Machine:
    placement = {"namespace": namespace} if namespace else {}
    machine = Machine.objects.create(name=name, cluster=cluster, environment=environment, placement=placement)
    for project in to:
        grant_machine(actor=SYSTEM, project=project, machine=machine)
    return machine


def test_what_one_sees_of_a_shared_namespace_is_ones_own_projects(east: Cluster) -> None:
    shop, rival = world.bare_project(slug="shop"), world.bare_project(slug="rival")
    placed(east, "shared", "shared", "test", shop, rival)
    placed(east, "live", "live", "production", shop)
    placed(east, "nowhere", "", "test", shop)
    developer, maintainer = world.member(shop, "developer"), world.member(shop, "maintainer")
    found = namespaces(developer, east)
    assert set(found) == {"shared", "live"}
    assert (found["shared"].projects, found["shared"].deploys, found["shared"].removes) == ({"shop"}, {"shop"}, set())
    assert (found["live"].projects, found["live"].writes) == ({"shop"}, False)
    assert namespaces(maintainer, east)["live"].removes == {"shop"}
    assert namespaces(world.person(), east) == {}
    ops = namespaces(world.ops(), east)
    assert set(ops) == {"shared", "live"}
    assert ops["live"].everything


def test_a_grant_that_ran_out_and_another_cluster_reach_nothing(east: Cluster) -> None:
    shop = world.bare_project(slug="shop")
    placed(east, "test-a", "shop", "test", shop)
    user = world.member(shop, "owner")
    west = Cluster.objects.create(name="west", kind="kubernetes")
    assert namespaces(user, west) == {}
    MachineGrant.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert namespaces(user, east) == {}


def test_a_token_reaches_no_further_than_its_scopes(east: Cluster) -> None:
    shop = world.bare_project(slug="shop")
    placed(east, "test-a", "shop", "test", shop)
    for user in (world.member(shop, "owner"), world.ops()):
        _row, text = ApiToken.make(user, "t", scopes=["read"])
        token = ApiToken.find(text)
        assert token is not None
        place = namespaces(token.user, east)["shop"]
        assert (place.projects, place.writes) == ({"shop"}, False)


def test_two_machines_on_one_namespace_add_up_and_either_bars(east: Cluster) -> None:
    shop, rival = world.bare_project(slug="shop"), world.bare_project(slug="rival")
    placed(east, "one", "both", "test", shop)
    placed(east, "two", "both", "test", rival)
    user = world.member(shop, "maintainer")
    grants.set_role(rival, user, "maintainer", granted_by="ann")
    assert namespaces(user, east)["both"].deploys == {"shop", "rival"}
    Machine.objects.filter(name="two").update(approvals_needed=1)
    assert namespaces(user, east)["both"].barred is None  # nothing is to be changed, so nobody asked
    assert isinstance(namespaces(user, east, changing=True)["both"].barred, Denied)


@pytest.mark.parametrize("hold", ["freeze", "approvals"])
def test_what_holds_a_deployment_bars_changes_unless_an_emergency_is_open(hold: str, east: Cluster) -> None:
    shop = world.bare_project(slug="shop")
    machine = placed(east, "live", "live", "production", shop)
    user, ops = world.member(shop, "maintainer"), world.ops()
    if hold == "freeze":
        FreezeWindow.objects.create(name="Always", reason="The year's end", everywhere=True, **EVERY_DAY)
    else:
        Machine.objects.filter(pk=machine.pk).update(approvals_needed=1)
    for actor in (user, ops):
        place: Any = namespaces(actor, east, changing=True)["live"]
        assert place.barred is not None
        assert place.barred_restart is None
    grants.give_role(shop, user, "maintainer", granted_by="ann", reason="down", emergency=True, until=timezone.now() + timedelta(hours=1))  # fmt: skip
    assert namespaces(user, east, changing=True)["live"].barred is None
    assert namespaces(ops, east, changing=True)["live"].barred is not None
