"""Who may change a service where: the whole table, and the sentence of each refusal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.models import Machine
from deployments.models import Deployment, Service
from deployments.news import _sentence
from deployments.rights import may_open_terminal, may_read_texts, require_change, require_terminal, unreadable
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Denied, NotFound
from projects.models import MachineGrant, Project
from tests import world

pytestmark = pytest.mark.django_db
ROLES = ["viewer", "developer", "maintainer", "owner"]
# The weakest role that may, by environment; on a test machine whoever develops, elsewhere whoever maintains.
NEEDED = {(action, "test"): "developer" for action in Deployment.Action.values} | {("remove", "test"): "maintainer"}
ENVIRONMENTS = ["test", "staging", "production"]


@pytest.fixture
def shop() -> Project:
    return world.bare_project(world.person("ann"), "shop")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("action", Deployment.Action.values)
def test_which_role_may_do_what_where(shop: Project, action: str, environment: str) -> None:
    machine = world.granted(shop, environment=environment)
    needed = NEEDED.get((action, environment), "maintainer")
    for role in ROLES:
        user = world.member(shop, role)
        if ROLES.index(role) >= ROLES.index(needed):
            require_change(user, shop, machine, action)
        else:
            with pytest.raises(Denied):
                require_change(user, shop, machine, action)
    with pytest.raises(NotFound):
        require_change(world.person(), shop, machine, action)
    for actor in (world.ops(), SYSTEM):
        require_change(actor, shop, machine, action)


@pytest.mark.parametrize("action", Deployment.Action.values)
def test_without_the_machine_only_removing_is_left_for_ops_too(shop: Project, action: str) -> None:
    """What was taken from a project must be possible to clear away, and nothing else."""
    machine = world.granted(shop, "live", "production")
    MachineGrant.objects.update(until=timezone.now() - timedelta(seconds=1))
    for actor in (world.member(shop, "owner"), world.ops()):
        if action == "remove":
            require_change(actor, shop, machine, action)
            continue
        with pytest.raises(Denied) as error:
            require_change(actor, shop, machine, action)
        assert str(error.value) == "shop has no grant for the machine live."
        assert (error.value.rule, error.value.granted_by) == ("machine_grant", ["ops"])
        assert "machine=live" in (error.value.request_url or "")


def test_what_is_known_of_the_grant_is_not_asked_again(shop: Project) -> None:
    machine = world.machine()
    require_change(SYSTEM, shop, machine, "deploy", granted=True)
    with pytest.raises(Denied):
        require_change(SYSTEM, shop, machine, "deploy", granted=False)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("role", ROLES)
def test_a_terminal_is_offered_where_it_opens_and_nowhere_else(shop: Project, role: str, environment: str) -> None:
    service = Service(project=shop, machine=world.granted(shop, environment=environment))
    user = world.member(shop, role)
    try:
        require_terminal(user, service)
    except Denied:
        opens = False
    else:
        opens = True
    assert may_open_terminal(user, service, granted=True) is opens
    assert not may_open_terminal(user, service, granted=False)


@pytest.mark.parametrize("role", ROLES)
def test_texts_are_for_those_who_build_and_a_pin_without_any_hides_nothing(shop: Project, role: str) -> None:
    user = world.member(shop, role)
    assert may_read_texts(user, shop, {"source": "kv", "key": "shop/a"}) is (role != "viewer")
    assert may_read_texts(user, shop, {"source": "portal", "key": "spec", "revision": 1})
    assert may_read_texts(user, shop, None)


def test_whoever_may_not_read_them_is_told_whom_to_ask(shop: Project) -> None:
    error = unreadable(shop)
    assert (error.rule, error.granted_by) == ("config_texts", ["ann"])
    assert "those who may build the project" in str(error)


# --- what is told when it has ended ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("action", "done", "failed"),
    [
        ("deploy", "shop #7 runs on live now.", "Deploying shop #7 to live failed."),
        ("rollback", "shop was rolled back to #7 on live.", "Rolling shop back to #7 on live failed."),
        ("restart", "shop was restarted on live.", "Restarting shop on live failed."),
        ("scale", "shop has 3 instances on live now.", "Scaling shop to 3 instances on live failed."),
        ("remove", "shop was removed from live.", "Removing shop from live failed."),
    ],
    ids=lambda value: value if " " not in value else "",
)
def test_every_end_has_its_sentence(shop: Project, action: str, done: str, failed: str) -> None:
    service = Service(project=shop, machine=Machine(name="live"))
    version = None if action == "remove" else world.version(shop, number=7)
    for state, told in (("succeeded", done), ("failed", failed)):
        ended = Deployment(service=service, action=action, version=version, replicas=3, state=state)
        assert str(_sentence(ended)) == told
