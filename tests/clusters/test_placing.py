"""Where a machine may stand: a namespace of a cluster, spelled in one way, shared with nobody, and not moved under its services."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clusters import kubernetes, placed, placing, streams
from clusters.connections import check_kubernetes
from clusters.drivers.runtime.base import ServiceRef
from clusters.drivers.runtime.kubernetes.names import DNS_LABEL, PODS, SERVICE
from clusters.models import Cluster, ClusterObject, Machine
from fangduoduo_release.common.errors import Conflict, Invalid
from fangduoduo_release.common.models import Connection
from tests.clusters.gateway.rows import pod, put

K8S = placing.KUBERNETES
NOT_A_NAMESPACE = (
    "cannot be a namespace: lower-case letters, digits and hyphens, 63 at most, neither first nor last a hyphen."
)


def refused(call: Any, *args: Any) -> tuple[str, str]:
    """The field and the sentence."""
    with pytest.raises(Invalid) as refusal:
        call(*args)
    ((field, sentences),) = refusal.value.fields.items()
    assert sentences == [refusal.value.sentence]
    return field, str(refusal.value.sentence)


# -- what a placement says ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["local", K8S])
@pytest.mark.parametrize("placement", [None, "shop", ["namespace"], 5, True], ids=repr)
def test_a_placement_is_an_object(kind: str, placement: Any) -> None:
    assert refused(placing.judged, kind, placement) == ("placement", "A placement is an object.")


@pytest.mark.parametrize("namespace", [None, "", " ", "\t\n", 5, True, ["shop"], {"a": 1}], ids=repr)
def test_a_machine_on_a_kubernetes_names_its_namespace(namespace: Any) -> None:
    said = 'A machine on a Kubernetes is a namespace of it: name it, {"namespace": "shop-test"}.'
    assert refused(placing.judged, K8S, {"namespace": namespace}) == ("placement", said)
    assert refused(placing.judged, K8S, {}) == ("placement", said)


@pytest.mark.parametrize(
    "name",
    ["Shop", "shop_test", "shop.test", "-shop", "shop-", "a b", "a/b", "../a", "é", "a\0", "a\nb", "x" * 64, "*"],
    ids=ascii,
)
def test_what_cannot_be_a_namespace_is_told(name: str) -> None:
    assert refused(placing.judged, K8S, {"namespace": name}) == ("placement", f"“{name[:80]}” {NOT_A_NAMESPACE}")


@pytest.mark.parametrize("name", sorted(placing.SYSTEM_NAMESPACES))
@pytest.mark.parametrize("spaces", ["", " "], ids=["plain", "with-spaces"])
def test_kubernetes_own_namespaces_are_no_machines(name: str, spaces: str) -> None:
    said = f"The namespace “{name}” belongs to Kubernetes itself."
    assert refused(placing.judged, K8S, {"namespace": spaces + name + spaces}) == ("placement", said)


def test_a_placement_names_nothing_else() -> None:
    said = "On a Kubernetes a placement names a namespace and nothing else (“a”)."
    assert refused(placing.judged, K8S, {"namespace": "shop", "b": 1, "a": 2}) == ("placement", said)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.sampled_from("abz09-._ AÉ\n"), max_size=8))
def test_what_is_stored_is_a_legal_name_and_judged_again_it_stays_the_same(name: str) -> None:
    try:
        stored = placing.judged(K8S, {"namespace": name})
    except Invalid:
        assert not DNS_LABEL.match(name.strip())
        return
    assert DNS_LABEL.match(stored["namespace"])
    assert stored == placing.judged(K8S, stored) == {"namespace": placing.spelled({"namespace": name})}


def test_on_this_host_a_placement_stays_as_it_is() -> None:
    placement = {"folder": "/srv", "namespace": "Not A Name"}
    assert placing.judged("local", placement) is placement


@pytest.mark.parametrize(
    ("kind", "namespace", "warned"),
    [(K8S, "default", True), (K8S, " Default ", True), (K8S, "shop", False), ("local", "default", False)],
)
def test_default_is_warned_of_and_nothing_else(kind: str, namespace: str, warned: bool) -> None:
    assert bool(placing.warnings(kind, {"namespace": namespace})) is warned


@pytest.mark.parametrize("placement", [None, "x", [], {}, {"namespace": None}, {"namespace": 0}], ids=repr)
def test_a_placement_of_any_form_names_a_namespace_or_none(placement: Any) -> None:
    assert placing.namespace_of(placement) == placing.spelled(placement) == ""


# -- what rows have a say in --------------------------------------------------------------------------------------------


@pytest.fixture
def connection(db: Any) -> Connection:
    return Connection.objects.create(name="k8s", kind=K8S)


@pytest.fixture
def cluster(connection: Connection) -> Cluster:
    return Cluster.objects.create(name="east", kind=K8S, connection=connection)


@pytest.mark.parametrize("kind", ["nomad", "", "Kubernetes", "consul"])
def test_a_cluster_is_of_a_kind_that_there_is(kind: str, db: Any) -> None:
    assert refused(placed.check_cluster, Cluster(name="x", kind=kind)) == (
        "kind", f"There is no runtime of kind “{kind}” here."
    )  # fmt: skip


def test_a_cluster_has_a_connection_where_its_kind_has_one_and_no_other(connection: Connection) -> None:
    other = Connection.objects.create(name="jenkins", kind="jenkins")
    needs = ("connection", "A cluster of kind “kubernetes” needs a connection of that kind.")
    for wrong in (None, other):
        assert refused(placed.check_cluster, Cluster(name="x", kind=K8S, connection=wrong)) == needs
    placed.check_cluster(Cluster(name="x", kind=K8S, connection=connection))
    assert refused(placed.check_cluster, Cluster(name="x", kind="local", connection=connection)) == (
        "connection", "A cluster of kind “local” is reached without a connection."
    )  # fmt: skip


def test_this_host_is_one_cluster(db: Any) -> None:
    Cluster.objects.filter(kind="local").delete()
    here = Cluster.objects.create(name="here", kind="local")
    placed.check_cluster(here)
    with pytest.raises(Conflict, match="This host is a cluster already"):
        placed.check_cluster(Cluster(name="again", kind="local"))


@pytest.mark.parametrize("older", ["shop", " shop ", "SHOP"], ids=["stored-plainly", "with-spaces", "in-capitals"])
def test_a_namespace_is_one_machine_s_however_an_older_row_spells_it(cluster: Cluster, older: str) -> None:
    Machine.objects.create(name="first", cluster=cluster, environment="test", placement={"namespace": older})
    second = Machine(name="second", cluster=cluster, environment="test", placement={"namespace": "shop"})
    with pytest.raises(Conflict) as refusal:
        placed.check_machine(second)
    assert refusal.value.code == "namespace_taken"
    assert str(refusal.value.sentence) == "The namespace “shop” of this cluster is the machine “first” already."


def test_the_same_namespace_of_another_cluster_is_another(cluster: Cluster, connection: Connection) -> None:
    west = Cluster.objects.create(name="west", kind=K8S, connection=connection)
    Machine.objects.create(name="first", cluster=cluster, environment="test", placement={"namespace": "shop"})
    second = Machine(name="second", cluster=west, environment="test", placement={"namespace": " shop"})
    placed.check_machine(second)
    assert second.placement == {"namespace": "shop"}, "as it is stored"


def test_a_machine_that_nothing_was_deployed_to_may_move(cluster: Cluster) -> None:
    machine = Machine.objects.create(name="m", cluster=cluster, environment="test", placement={"namespace": "shop"})
    machine.placement = {"namespace": "other"}
    placed.check_machine(machine)


# -- how it is reached --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "secrets", "field", "sentence"),
    [
        ({"proxy": "x"}, {}, "config", "A connection to a Kubernetes has no “proxy”."),
        ({"in_cluster": "yes"}, {}, "in_cluster", "“in_cluster” is true or false."),
        ({"in_cluster": 1}, {}, "in_cluster", "“in_cluster” is true or false."),
        ({"context": 5}, {}, "context", "“context” is the name of a context of the kubeconfig."),
        ({"in_cluster": True}, {"kubeconfig": "x"}, "in_cluster", "Give a kubeconfig or use the pod's own account, not both."),
        ({}, {}, "kubeconfig", "Give a kubeconfig, or use the account of the pod that the portal runs in."),
        ({}, {"kubeconfig": " \n"}, "kubeconfig", "Give a kubeconfig, or use the account of the pod that the portal runs in."),
    ],
    ids=lambda one: str(one)[:30],
)  # fmt: skip
def test_a_connection_that_says_too_much_or_too_little_is_refused_at_its_field(
    config: dict[str, Any], secrets: dict[str, Any], field: str, sentence: str
) -> None:
    connection = Connection(name="k8s", kind=K8S, config=config, secrets=secrets)
    assert refused(check_kubernetes, connection) == (field, sentence)


@pytest.mark.parametrize("kind", ["local", K8S])
def test_a_cluster_without_a_connection_is_not_reached(kind: str) -> None:
    with pytest.raises(Invalid, match="The cluster “east” has no connection to a Kubernetes"):
        kubernetes.api_of(Cluster(name="east", kind=kind))


def test_a_kind_that_streams_nothing_says_so() -> None:
    with pytest.raises(Invalid, match="Clusters of kind “nomad” have no logs or terminals to follow"):
        streams.streams_of(Cluster(name="x", kind="nomad"))


def test_a_pod_elsewhere_that_carries_a_service_s_label_is_none_of_its_pods(cluster: Cluster) -> None:
    """A label can be set by whoever may write in another namespace; a terminal there would be somebody else's."""
    for namespace in ("shop", "theirs"):
        put(cluster, pod("web", namespace, labels={SERVICE: "s-1"}), resource=PODS)
    ClusterObject.objects.update(service_key="s-1")

    def found(where: str) -> list[str]:
        pods = streams.pods_of(cluster.pk, ServiceRef("s-1", where=where))
        return sorted(one["metadata"]["namespace"] for one in pods)

    assert found("shop") == ["shop"]
    assert found("elsewhere") == []
    assert found("") == ["shop", "theirs"], "of a kind whose machines are no namespaces"
