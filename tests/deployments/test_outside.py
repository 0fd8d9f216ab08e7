"""An address from outside: one host for each machine, and a word when somebody answers there already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clusters.drivers.runtime.spec import Ingress, ServiceSpec
from clusters.models import Cluster, Machine
from deployments import actions, outside
from deployments.models import Service
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Invalid
from projects.actions import grant_machine
from projects.models import Project
from tests import world
from tests.deployments.kubernetes_ground import Ground, ground_on
from tests.simulators.kubernetes_rig import Rig

pytestmark = pytest.mark.django_db


def service(project: Project, name: str, kind: str = "kubernetes", **facts: Any) -> Service:
    cluster, _ = Cluster.objects.get_or_create(name=kind, kind=kind)
    placement = {"namespace": f"{project.slug}-{name.lower()}"} if kind == "kubernetes" else {}
    machine = Machine.objects.create(name=name, cluster=cluster, environment="staging", placement=placement)
    return Service.objects.create(project=project, machine=machine, **facts)


def running(project: Project, name: str, url: str, **more: Any) -> Service:
    return service(project, name, version=world.version(project), url=url, **more)


@pytest.fixture
def shop() -> Project:
    return world.bare_project(slug="shop")


# -- one for each machine -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "is_then"),
    [
        ("${MACHINE}.shop.example", "blue-1.shop.example"),
        ("${PROJECT}-${ENVIRONMENT}.example", "shop-staging.example"),
        ("${NAMESPACE}.example", "shop-blue-1.example"),
        ("shop.example", "shop.example"),
        ("*.${MACHINE}.example", "*.blue-1.example"),
    ],
)
def test_the_host_is_filled_in_for_the_machine(shop: Project, host: str, is_then: str) -> None:
    wish = Ingress(host, "/api", "nginx", "${MACHINE}-tls")
    assert outside.filled(wish, service(shop, "blue-1")) == Ingress(is_then, "/api", "nginx", "blue-1-tls")


def test_hosts_are_written_small_whatever_the_machine_is_called(shop: Project) -> None:
    found = outside.filled(Ingress("${MACHINE}.example"), service(shop, "Blue-1"))
    assert found == Ingress("blue-1.example")


@pytest.mark.parametrize(
    ("name", "host"), [("blue_1", "${MACHINE}.example"), ("a" * 60, ".".join(["${MACHINE}"] * 5) + ".example")]
)
def test_a_machine_whose_name_makes_no_host_is_named(shop: Project, name: str, host: str) -> None:
    with pytest.raises(Invalid, match="is no host name") as refused:
        outside.filled(Ingress(host), service(shop, name))
    assert refused.value.code == "bad_host"


def test_kinds_without_an_ingress_take_it_as_it_is_written(shop: Project) -> None:
    wish = Ingress("${NAMESPACE}.example")
    assert outside.filled(wish, service(shop, "here", kind="local")) is wish
    assert outside.filled(None, service(shop, "blue-1")) is None


@pytest.mark.parametrize("host", ["${MACHINE}.example", "*.${PROJECT}.example", "${NAMESPACE}"])
def test_a_spec_may_ask_for_them(host: str) -> None:
    spec = ServiceSpec.from_json({"command": ["run"], "ingress": {"host": host, "tls_secret": "${MACHINE}-tls"}})
    assert spec.ingress == Ingress(host, tls_secret="${MACHINE}-tls")


@pytest.mark.parametrize(
    "host", ["${VERSION}.example", "${machine}.example", "${MACHINE", "$${MACHINE}.example", "-${MACHINE}"]
)
def test_and_for_nothing_else(host: str) -> None:
    with pytest.raises(Invalid, match="needs a host such as"):
        ServiceSpec.from_json({"command": ["run"], "ingress": {"host": host}})


# -- who answers there ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_another_machine_under_the_same_address_is_named(shop: Project, scheme: str) -> None:
    running(shop, "prod", f"{scheme}://shop.example/")
    (said,) = outside.shared(service(shop, "test"), Ingress("shop.example"))
    assert "prod answers under shop.example already" in str(said)
    assert "${MACHINE}" in str(said)


def test_a_strangers_service_is_told_without_its_name(shop: Project) -> None:
    running(world.bare_project(slug="secret"), "hidden", "http://shop.example/")
    (said,) = outside.shared(service(shop, "test"), Ingress("shop.example"))
    assert str(said) == "Another project's service answers under shop.example in this cluster already."


def test_nobody_is_named_who_is_not_in_the_way(shop: Project, django_assert_num_queries: Any) -> None:
    mine = running(shop, "test", "http://shop.example/")
    running(shop, "other-host", "http://shop2.example/")
    running(shop, "other-path", "http://shop.example/api")
    service(shop, "removed", url="http://shop.example/")
    elsewhere = running(shop, "elsewhere", "http://shop.example/")
    other = Cluster.objects.create(name="other", kind="kubernetes")
    Machine.objects.filter(pk=elsewhere.machine_id).update(cluster=other)
    with django_assert_num_queries(1):
        assert outside.shared(mine, Ingress("shop.example")) == []
    with django_assert_num_queries(0):
        assert outside.shared(mine, None) == []


# -- in a cluster ---------------------------------------------------------------------------------------------------


@pytest.fixture
def ground() -> Iterator[Ground]:
    with Rig() as rig:
        rig.namespace("shop-test")
        rig.namespace("shop-prod")
        yield ground_on(rig)
        assert rig.failures == []


def second(ground: Ground) -> Machine:
    made = Machine.objects.create(
        name="shop-b", cluster=ground.machine.cluster, environment="production", placement={"namespace": "shop-prod"}
    )
    grant_machine(actor=SYSTEM, project=ground.project, machine=made)
    return made


@pytest.mark.django_db(transaction=True)
def test_two_machines_of_one_spec_answer_under_two_hosts(ground: Ground) -> None:
    ground.spec(ingress={"host": "${MACHINE}.example"})
    ground.version("one")
    assert ground.run().state == "succeeded"
    assert ground.item("ingresses")["spec"]["rules"][0]["host"] == "shop-a.example"
    assert ground.service.url == "http://shop-a.example/"
    preview = actions.preview_deployment(actor=SYSTEM, project=ground.project, machine=second(ground), action="deploy")
    assert "shop-b.example" in preview.manifest
    assert not any("answers under" in str(one) for one in preview.warnings)


@pytest.mark.django_db(transaction=True)
def test_before_two_machines_share_a_host_it_is_said(ground: Ground) -> None:
    ground.spec(ingress={"host": "shop.example"})
    ground.version("one")
    ground.run()
    preview = actions.preview_deployment(actor=SYSTEM, project=ground.project, machine=second(ground), action="deploy")
    assert any("shop-a answers under shop.example already" in str(one) for one in preview.warnings)
