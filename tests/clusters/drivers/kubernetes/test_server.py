"""How old a cluster is, its nodes too: pods wait before they stop in a way that every kubelet of it knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clusters.drivers.runtime.kubernetes import server as module
from clusters.drivers.runtime.kubernetes.api import Api
from clusters.drivers.runtime.kubernetes.server import Server
from fangduoduo_release.common.errors import NotFound, Rejected, Unavailable
from fangduoduo_release.common.sentence import S
from tests.clusters.drivers.kubernetes.places import api_of, place_on
from tests.simulators.kubernetes_rig import Rig, Rule


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig() as made:
        yield made
        assert made.failures == []


class Told(Api):
    """An API server of another version than the simulated one's. `asked`: how often for what."""

    minor = "32"
    asked: dict[str, int]

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        self.asked[path] = self.asked.get(path, 0) + 1
        if path == "/version" and self.minor == "forbidden":
            raise Rejected(S("no"), code="forbidden")
        if path == "/version":
            return {"major": "1", "minor": self.minor}
        return super().call(method, path, **options)


def told(rig: Rig, minor: str, user: str = "portal") -> Told:
    made = Told(api_of(rig, user).access)
    made.minor, made.asked = minor, {}
    return made


@pytest.mark.parametrize(
    ("minor", "kubelets", "sleeps"),
    [
        ("32", ["v1.32.1", "v1.30.0"], True),
        ("32", ["v1.32.1", "v1.29.15-eks-5d4a308"], False),  # nodes are brought up to date after their server
        ("33", ["v1.29.3"], False),
        ("35", ["v1.35.0", ""], True),  # it may be 1.32 at the oldest
        ("32", ["v1.32.0", ""], False),
        ("32", ["odd"], False),
        ("", ["v1.30.9+rke2r1"], True),
        ("forbidden", ["v1.30.9"], True),
        ("forbidden", ["v1.30.9", "odd"], False),
        ("29", ["v1.29.0"], False),
    ],
)
def test_the_oldest_of_the_server_and_its_kubelets_counts(
    rig: Rig, minor: str, kubelets: list[str], sleeps: bool
) -> None:
    for number, kubelet in enumerate(kubelets, 1):
        rig.node(f"node{number}", kubelet=kubelet)
    assert Server(told(rig, minor)).knows_sleep() is sleeps


@pytest.mark.parametrize(("minor", "sleeps"), [("29", False), ("30", False), ("32", False), ("33", True), ("", False)])
def test_where_nodes_may_not_be_seen_they_are_as_old_as_they_may_be(rig: Rig, minor: str, sleeps: bool) -> None:
    rig.user("narrow", Rule(("*",), ("pods",), namespaces=("shop-test",)))
    api = told(rig, minor, "narrow")
    assert Server(api).knows_sleep() is sleeps
    assert api.asked.get("/api/v1/nodes", 0) == (0 if minor == "29" else 1), "an old server's nodes are no newer"


def test_more_nodes_than_are_read_are_taken_to_be_as_old_as_they_may_be(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NODES", 1)
    assert Server(told(rig, "32")).knows_sleep()
    rig.node("node2")
    assert not Server(told(rig, "32")).knows_sleep()
    assert Server(told(rig, "33")).knows_sleep()


def test_a_server_without_nodes_says_nothing_of_them(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    class Virtual(Told):
        def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
            if path.endswith("/nodes"):
                raise NotFound(S("no"))
            return super().call(method, path, **options)

    for minor, sleeps in (("32", False), ("33", True)):
        api = Virtual(api_of(rig).access)
        api.minor, api.asked = minor, {}
        assert Server(api).knows_sleep() is sleeps


@pytest.mark.parametrize("status", [503, 401])
def test_nodes_that_cannot_be_asked_for_a_moment_are_asked_again_and_not_taken_for_old(rig: Rig, status: int) -> None:
    """Another answer would replace every pod."""
    server = Server(told(rig, "32"))
    with rig.faults.status(status, "/nodes"), pytest.raises((Unavailable, Rejected)):
        server.knows_sleep()
    assert server.knows_sleep()


def test_both_are_asked_for_once_in_a_while(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    api = told(rig, "32")
    server = Server(api)
    assert [server.knows_sleep() for _ in range(5)] == [True] * 5
    assert api.asked == {"/version": 1, "/api/v1/nodes": 1}
    rig.node("node1", kubelet="v1.29.0")
    assert server.knows_sleep(), "it is not looked at every time"
    monkeypatch.setattr(module, "KEPT_S", 0.0)
    assert not server.knows_sleep()


@pytest.mark.parametrize(("kubelet", "hook"), [("v1.30.0", "sleep"), ("v1.29.0", "exec")])
def test_pods_are_told_to_wait_in_a_way_that_every_node_knows(rig: Rig, kubelet: str, hook: str) -> None:
    rig.node("node2", kubelet=kubelet)
    place = place_on(rig)
    place.settle(place.want(place.version("one"), drain_s=1.0))
    pods = rig.pods("shop-test")
    assert [list(one["spec"]["containers"][0]["lifecycle"]["preStop"]) for one in pods] == [[hook]] * 2


@pytest.mark.parametrize(("minor", "sleeps"), [("27", False), ("29+", False), ("30", True), ("35", True), ("", True)])
def test_an_old_server_is_told_to_wait_by_the_image_s_own_sleep(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, minor: str, sleeps: bool
) -> None:
    place = place_on(rig)
    answered = 0

    def call(method: str, path: str, **options: Any) -> Any:
        nonlocal answered
        answered += path == "/version"
        return {"major": "1", "minor": minor} if path == "/version" else type(api).call(api, method, path, **options)

    api = place.runtime._api
    monkeypatch.setattr(api, "call", call)
    wanted = place.want(place.version("one"), drain_s=1.0)
    place.settle(wanted)
    place.runtime.plan(wanted)
    assert answered == 1, "once in a while is enough"
    item = rig.get("deployments", "shop-test", "shop")
    assert item is not None
    hook = item["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]
    assert hook == ({"sleep": {"seconds": 1}} if sleeps else {"exec": {"command": ["sleep", "1"]}})
