"""The gateway as it is run: a real web process, a simulated cluster, other systems that come by HTTP."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import QuerySet
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_to

from clusters.drivers.runtime.kubernetes.names import PODS
from clusters.models import Cluster, Machine
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.models import Connection
from permissions import jwts
from permissions.models import ApiToken, User
from projects.models import Project
from tests import world
from tests.common.sockets import serving
from tests.common.sockets.serving import Server
from tests.portal import cpu_seconds
from tests.simulators.kubernetes_rig import Rig
from tests.waiting import until

from .conftest import K8S, PODS_OF_SHOP
from .rows import pod, put
from .simulated import connect, manifest, show

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
BRISK = "tests.clusters.gateway.brisk:application"
PATIENCE_S = 120.0  # with an answer; only one that never comes takes so long
APPLY = {"Content-Type": "application/apply-patch+yaml"}
WEB = f"{K8S}apis/apps/v1/namespaces/shop/deployments/web"


@pytest.fixture
def rig(cluster: Cluster, shop: Project) -> Iterator[Rig]:
    with Rig() as made:
        made.namespace("shop")
        connect(cluster, made)
        yield made


# A database that is not flushed between tests: to start a server for each takes longer than all they do.
open_database, _django_db_helper = serving.open_database, serving._django_db_helper


@pytest.fixture(scope="module")
def flushed_at_last(open_database: None) -> Iterator[None]:
    yield
    call_command("flush", verbosity=0, interactive=False)


@pytest.fixture(scope="module", params=serving.KINDS)
def server(request: pytest.FixtureRequest, flushed_at_last: None) -> Iterator[Server]:
    yield from serving.running(request.param, application=BRISK, FDD_GATEWAY_LOGS_PER_CALLER="2")


@pytest.fixture(autouse=True)
def rows_of_each_test_alone(flushed_at_last: None) -> Iterator[None]:
    yield
    for model in (Project, Machine, Cluster, Connection, User):
        model.objects.all().delete()  # type: ignore[attr-defined]


@pytest.fixture
def written() -> Callable[..., QuerySet[AuditEntry]]:
    """The lines of the audit since the test began."""
    before = AuditEntry.objects.order_by("pk").values_list("pk", flat=True).last() or 0
    return AuditEntry.objects.filter(pk__gt=before).filter


def caller(server: Server, user: User | str) -> httpx.Client:
    bearer = user if isinstance(user, str) else jwts.start(user)["access"]
    return httpx.Client(
        base_url=f"http://{server.address}", headers={"Authorization": f"Bearer {bearer}"}, timeout=PATIENCE_S
    )


def running(rig: Rig, cluster: Cluster) -> str:
    """A pod that runs and is known; its name."""
    rig.create("deployments", "shop", manifest())
    rig.rolled_out("shop", "web")
    show(cluster, rig, PODS)
    return str(rig.pods("shop")[0]["metadata"]["name"])


def test_sign_in_read_write_and_log_as_another_system_does(
    server: Server, rig: Rig, cluster: Cluster, shop: Project
) -> None:
    user = world.member(shop, "maintainer")
    user.set_password("a long enough password")
    user.save()
    base = f"http://{server.address}"
    said = {"username": user.username, "password": "a long enough password"}
    pair = httpx.post(f"{base}/api/auth/token/", json=said, timeout=PATIENCE_S)
    with httpx.Client(
        base_url=base, headers={"Authorization": f"Bearer {pair.json()['access']}"}, timeout=PATIENCE_S
    ) as client:
        made = client.patch(WEB, content=json.dumps(manifest()), headers=APPLY)
        assert made.status_code == 201, made.text
        rig.rolled_out("shop", "web")
        show(cluster, rig)
        show(cluster, rig, PODS)
        listed = client.get(PODS_OF_SHOP, params={"labelSelector": "app=web"})
        name = listed.json()["items"][0]["metadata"]["name"]
        assert listed.headers["X-Cache"] == "hit"
        rig.say("shop", name, ["one", "two"])
        log = client.get(f"{PODS_OF_SHOP}/{name}/log", params={"tailLines": 2})
        assert (log.status_code, log.text) == (200, "one\ntwo\n")
        assert log.headers["Content-Type"].startswith("text/plain")
        cluster.feeds.update(state="down")  # nobody shows it any more, so that it is not waited for
        assert client.delete(WEB).status_code == 200
    unknown = httpx.get(f"{base}{WEB}", headers={"Authorization": "Bearer nonsense"}, timeout=PATIENCE_S)
    assert (unknown.status_code, unknown.json()["kind"], unknown.headers["WWW-Authenticate"]) == (
        401,
        "Status",
        "Bearer",
    )
    nobody = httpx.get(f"{base}{WEB}", timeout=PATIENCE_S)
    assert (nobody.status_code, nobody.json()["reason"]) == (401, "Unauthorized")


def test_a_log_is_followed_as_it_is_written_and_hung_up_with_its_reader(
    server: Server, rig: Rig, cluster: Cluster, shop: Project
) -> None:
    name = running(rig, cluster)
    rig.say("shop", name, ["first"])
    with caller(server, world.member(shop, "viewer")) as client:
        with client.stream("GET", f"{PODS_OF_SHOP}/{name}/log", params={"follow": "true", "tailLines": 1}) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "first"
            rig.say("shop", name, ["second"])
            assert next(lines) == "second"
            # a third at the same time is one too many, and a refusal frees its place again
            with client.stream("GET", f"{PODS_OF_SHOP}/{name}/log", params={"follow": "true"}) as other:
                assert other.status_code == 200
                third = client.get(f"{PODS_OF_SHOP}/{name}/log")
                assert (third.status_code, third.json()["reason"]) == (429, "TooManyRequests")
                assert third.headers["Retry-After"] == "5"
        until(lambda: client.get(f"{PODS_OF_SHOP}/{name}/log").status_code == 200, what="the place to be free")
        for _ in range(4):
            wrong = client.get(f"{PODS_OF_SHOP}/{name}/log", params={"container": "nope"})
            assert (wrong.status_code, wrong.json()["message"]) == (400, f"container nope is not valid for pod {name}")
        missing = client.get(f"{PODS_OF_SHOP}/none/log")
        assert (missing.status_code, missing.json()["message"]) == (404, 'pods "none" not found')


def test_a_log_ends_for_a_reader_who_may_not_read_it_any_more(
    server: Server, rig: Rig, cluster: Cluster, shop: Project
) -> None:
    name = running(rig, cluster)
    row, text = ApiToken.make(world.member(shop, "viewer"), "t", scopes=["read"])
    ended = threading.Event()

    def talk() -> None:
        while not ended.wait(0.2):
            rig.say("shop", name, ["tick"])

    talking = threading.Thread(target=talk, daemon=True)
    with caller(server, text) as client, client.stream("GET", f"{PODS_OF_SHOP}/{name}/log?follow=1") as answer:
        talking.start()
        lines = answer.iter_lines()
        assert next(lines) == "tick"
        ApiToken.objects.filter(pk=row.pk).update(expires_at=row.created_at)
        began = time.monotonic()
        for _ in lines:
            assert time.monotonic() - began < 120, "it goes on"
    ended.set()
    talking.join()


def test_a_long_log_and_a_slow_reader_cost_no_memory(server: Server, rig: Rig, cluster: Cluster, shop: Project) -> None:
    name = running(rig, cluster)
    rig.say("shop", name, ["x" * 1000] * 40_000)
    with caller(server, world.member(shop, "viewer")) as client:
        client.get(f"{PODS_OF_SHOP}/{name}/log", params={"tailLines": 1})
        before = server.memory()
        with client.stream("GET", f"{PODS_OF_SHOP}/{name}/log") as answer:
            chunks = answer.iter_raw()
            taken = len(next(chunks))
            # nothing more is read for a while: what the server holds then is what it would hold for ever
            until(lambda: _stands_still(server), what="the server to wait for its reader")
            most = server.memory()
            taken += sum(len(chunk) for chunk in chunks)
        assert taken == 40_000 * 1001
        assert most - before < 25, f"{before:.0f} → {most:.0f} MiB"


def _stands_still(server: Server) -> bool:
    """It does next to nothing for a second."""
    before = cpu_seconds([server.process.pid])
    time.sleep(1)
    return cpu_seconds([server.process.pid]) - before <= 0.02


def test_a_write_answers_when_the_rows_show_it(server: Server, rig: Rig, cluster: Cluster, shop: Project) -> None:
    show(cluster, rig)
    ended = threading.Event()

    def inform() -> None:
        while not ended.wait(0.1):
            show(cluster, rig)
        connection.close()

    informer = threading.Thread(target=inform, daemon=True)
    informer.start()
    with caller(server, world.member(shop, "maintainer")) as client:
        for replicas in (1, 2, 3):
            answer = client.patch(WEB, content=json.dumps(manifest(replicas=replicas)), headers=APPLY)
            assert answer.headers["X-Cache-Synced"] == "true"
            assert client.get(WEB).json()["spec"]["replicas"] == replicas
        assert client.delete(f"{WEB}?propagationPolicy=Background").headers["X-Cache-Synced"] == "true"
        assert client.get(WEB).status_code == 404
    ended.set()
    informer.join()


def test_two_callers_at_once_each_write_under_their_own_name(
    server: Server, rig: Rig, shop: Project, written: Callable[..., QuerySet[AuditEntry]]
) -> None:
    people = [world.member(shop, "maintainer", f"writer{n}") for n in range(2)]
    clients = [caller(server, user) for user in people]

    def write(number: int) -> int:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "shared"},
            "data": {f"of-{number % 2}": str(number)},
        }
        path = f"{K8S}api/v1/namespaces/shop/configmaps/shared"
        return clients[number % 2].patch(path, content=json.dumps(body), headers=APPLY).status_code

    with ThreadPoolExecutor(4) as hands:
        answers = list(hands.map(write, range(12)))
    assert set(answers) <= {200, 201}, answers
    found = rig.get("configmaps", "shop", "shared")
    assert found is not None
    assert set(found["data"]) == {"of-0", "of-1"}
    assert {one["manager"] for one in found["metadata"]["managedFields"]} == {"gateway-writer0", "gateway-writer1"}
    rows = written(object_label__startswith="shop/configmaps/shared")
    assert rows.filter(verb="gateway.apply").count() == rows.filter(verb="gateway.done").count() == 12
    for client in clients:
        client.close()


def test_lists_stay_whole_while_rows_change(server: Server, cluster: Cluster, shop: Project) -> None:
    put(cluster, *[pod(f"web-{n:03}") for n in range(200)])
    ended = threading.Event()

    def change() -> None:
        n = 0
        while not ended.is_set():
            put(cluster, pod(f"web-{n % 200:03}", status={"phase": "Running", "message": str(n)}))
            put(cluster, pod(f"extra-{n}"))
            put(cluster, pod(f"extra-{n}"), gone=True)
            n += 1
        connection.close()

    changing = threading.Thread(target=change, daemon=True)
    user = world.member(shop, "viewer")
    with caller(server, user) as client:
        changing.start()

        def look(_: int) -> list[str]:
            return [item["metadata"]["name"] for item in client.get(PODS_OF_SHOP).json()["items"]]

        with ThreadPoolExecutor(4) as hands:
            seen = list(hands.map(look, range(60)))
        ended.set()
        changing.join()
        for names in seen:
            assert names == sorted(set(names))
            assert len([name for name in names if name.startswith("web-")]) == 200
            assert len(names) <= 201
        assert look(0) == [f"web-{n:03}" for n in range(200)]


def test_a_terminal_in_a_pod_with_a_jwt(
    server: Server, rig: Rig, cluster: Cluster, shop: Project, written: Callable[..., QuerySet[AuditEntry]]
) -> None:
    name = running(rig, cluster)
    bearer = jwts.start(world.member(shop, "developer"))["access"]
    url = f"ws://{server.address}/ws/clusters/east/k8s/api/v1/namespaces/shop/pods/{name}/exec"
    headers = {"Authorization": f"Bearer {bearer}"}
    with connect_to(
        f"{url}?container=app&command=echo%20hello", additional_headers=headers, open_timeout=PATIENCE_S
    ) as socket:
        frames = list(socket)
    said = b"".join(frame[1:] for frame in frames if isinstance(frame, bytes) and frame[0] == 1)
    assert said.split() == [b"hello"], frames
    assert json.loads(frames[-1][1:])["exit_code"] == 0
    until(lambda: written(verb="gateway.exec_closed").exists(), what="the end in the audit")
    bearer = jwts.start(world.member(shop, "viewer"))["access"]
    with connect_to(url, additional_headers={"Authorization": f"Bearer {bearer}"}, open_timeout=PATIENCE_S) as socket:
        with contextlib.suppress(ConnectionClosed):
            list(socket)  # what is said before it is closed
        assert socket.close_code == 4403
    assert written(verb="gateway.exec").count() == 1
