"""What keys of a Consul say is known here a moment after somebody changed them, whatever happens to the server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clusters.config_watch import line
from clusters.config_watch.duty import _hubs, follow
from clusters.config_watch.hub import Hub
from clusters.drivers.config.base import sha256_of
from clusters.drivers.config.consul import ConsulAccess
from clusters.drivers.config.consul_follow import ConsulFollower
from clusters.models import ConfigSeen, ConfigSighting
from fangduoduo_release.common.errors import Invalid, Rejected, Unavailable
from fangduoduo_release.common.models import Connection
from tests.portal import free_port
from tests.simulators.consul import Consul
from tests.simulators.consul.server import Rights
from tests.simulators.registry import certificate
from tests.waiting import until

from .conftest import connection_to

TOKEN = "b1gs33d0-planted-token"
wanted: dict[str, frozenset[str]] = {}
heard: list[tuple[str, str]] = []


def in_use() -> dict[str, frozenset[str]]:
    return dict(wanted)


def changed(source: str, key: str) -> None:
    heard.append((source, key))


@pytest.fixture
def hub(transactional_db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Hub]]:
    """Follows the keys it is called with in the connection “kv”."""
    settings.CONFIG_KEYS, settings.CONFIG_NEWS = f"{__name__}.in_use", f"{__name__}.changed"
    monkeypatch.setattr(Hub, "grace_s", 600.0)  # who renews it may stand still for as long as the machine does
    monkeypatch.setattr(Hub, "tick_s", 0.5)
    wanted.clear()
    heard.clear()
    lost = threading.Event()
    made: list[Hub] = []
    stop = threading.Event()

    def begin(*keys: str) -> Hub:
        wanted["kv"] = frozenset(keys)
        made.append(Hub(lost))
        return made[-1]

    def renew() -> None:
        while not stop.wait(0.5):
            for one in made:
                one.renew(lost)

    renewing = threading.Thread(target=renew)
    renewing.start()
    yield begin
    lost.set()
    stop.set()
    renewing.join()
    for one in made:
        one.join(60)
        assert not one.alive


def seen(key: str = "shop/a.yaml") -> ConfigSeen | None:
    return ConfigSeen.objects.filter(key=key).first()


def says(text: str, key: str = "shop/a.yaml") -> bool:
    row = seen(key)
    return row is not None and row.seen_at is not None and row.text == text and row.trouble is None


def trouble(key: str = "shop/a.yaml") -> str:
    row = seen(key)
    return str(row.trouble["msgid"]) if row is not None and row.trouble else ""


# --- the hub ---------------------------------------------------------------------------------------------------------
def test_a_key_that_is_in_use_is_read_and_its_changes_are_heard_of(consul: Consul, hub: Any) -> None:
    connection_to(consul)
    consul.put("shop/a.yaml", "a: 1\n")
    hub("shop/a.yaml")
    until(lambda: says("a: 1\n"))
    until(lambda: consul.waiting == 1)
    for number in range(2, 6):
        index = consul.put("shop/a.yaml", f"a: {number}\n")
        until(lambda n=number: says(f"a: {n}\n"))
        assert seen().revision == str(index)  # type: ignore[union-attr]
    assert heard == [("kv", "shop/a.yaml")] * 5
    told = ConfigSighting.objects.filter(key="shop/a.yaml")
    assert [row.author for row in told] == [""] * 5


def test_a_key_that_is_not_there_yet_and_one_that_goes(consul: Consul, hub: Any) -> None:
    connection_to(consul)
    hub("shop/a.yaml")
    until(lambda: says(""))
    assert seen().sha256 == ""  # type: ignore[union-attr]
    assert not ConfigSighting.objects.exists()
    consul.put("shop/a.yaml", "a: 1\n")
    until(lambda: says("a: 1\n"))
    consul.delete("shop/a.yaml")
    until(lambda: says(""))
    assert [row.sha256 == "" for row in ConfigSighting.objects.order_by("id")] == [False, True]


def test_what_is_used_no_more_is_followed_no_more(consul: Consul, hub: Any) -> None:
    connection_to(consul)
    running = hub("shop/a.yaml", "shop/b.yaml")
    until(lambda: running.follows == 2)
    wanted["kv"] = frozenset({"shop/c.yaml"})
    until(lambda: running.follows == 1 and says("", "shop/c.yaml"))
    wanted.clear()
    until(lambda: running.follows == 0)


def test_more_keys_than_connections_are_all_followed(consul: Consul, hub: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(line, "CONNECTIONS", 4)
    connection_to(consul)
    keys = [f"shop/{number}.yaml" for number in range(12)]
    for key in keys:
        consul.put(key, "a: 1\n")
    hub(*keys)
    until(lambda: all(says("a: 1\n", key) for key in keys))
    for key in keys:
        consul.put(key, "a: 2\n")
    until(lambda: all(says("a: 2\n", key) for key in keys))
    assert consul.waiting <= 4


def test_indexes_that_go_backwards_are_followed_from_the_beginning(consul: Consul, hub: Any) -> None:
    connection_to(consul)
    consul.store.index = 10_000
    consul.put("shop/a.yaml", "a: 1\n")
    hub("shop/a.yaml")
    until(lambda: says("a: 1\n") and consul.waiting)
    consul.store.restore(50)
    until(lambda: seen().revision == "50" and consul.waiting)  # type: ignore[union-attr]
    consul.put("shop/a.yaml", "a: 2\n")
    until(lambda: says("a: 2\n"))
    assert max(int(one.query.get("index", 0)) for one in consul.asked[-2:]) < 10_000


def test_a_server_that_goes_and_comes_back(consul: Consul, hub: Any) -> None:
    connection_to(consul)
    keys = ["shop/a.yaml", "shop/b.yaml", "shop/new.yaml"]
    consul.put("shop/a.yaml", "a: 1\n")
    hub(*keys)
    until(lambda: says("a: 1\n") and consul.waiting == 3)
    consul.stop()
    until(lambda: all(trouble(key) == "“%(host)s” does not answer." for key in keys))
    assert seen().text == "a: 1\n"  # type: ignore[union-attr] - what was known stays
    consul.store.put("default", "shop/a.yaml", b"a: 2\n")
    consul.start()
    until(lambda: says("a: 2\n") and not any(map(trouble, keys)))


def test_while_it_is_away_it_is_not_stormed(consul: Consul, hub: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(line, "AGAIN_S", (0.3, 15.0))
    connection_to(consul)
    keys = [f"shop/{number}.yaml" for number in range(30)]
    running = hub(*keys)
    until(lambda: consul.waiting == 30)
    before = len(consul.asked)
    consul.faults.status, consul.faults.gate = 500, threading.Event()
    consul.store.restore(40)  # ends every wait
    until(lambda: len(consul.asked) == before + 30, what="a look at each key")
    failed = time.monotonic()
    consul.faults.gate.set()  # all of them fail at once, and from now on one look is tried at a time
    until(lambda: len(consul.asked) >= before + 33)
    assert consul.asked[before + 32].at - failed >= 0.7 * (0.3 + 0.6 + 1.2)
    until(lambda: trouble("shop/0.yaml"))
    consul.faults.status = 0
    until(lambda: consul.waiting == 30)
    assert running.follows == 30


@pytest.mark.parametrize(
    "fault", [{"status": 429}, {"status": 500, "body": "No cluster leader"}, {"garbage": b"<html>"}]
)
def test_what_ails_it_is_said_at_the_key_and_ends(
    consul: Consul, hub: Any, fault: dict[str, Any], monkeypatch: Any
) -> None:
    monkeypatch.setattr(line, "REFUSED_S", (0.5, 5.0))
    connection_to(consul)
    for name, value in fault.items():
        setattr(consul.faults, name, value)
    hub("shop/a.yaml")
    until(trouble)
    assert seen().seen_at is None  # type: ignore[union-attr]
    consul.faults.status, consul.faults.garbage = 0, None
    consul.put("shop/a.yaml", "a: 1\n")
    until(lambda: says("a: 1\n"))


def test_a_token_that_is_taken_away_and_another_that_is_given(hub: Any) -> None:
    with Consul(tokens={TOKEN: Rights(read=("shop/",))}) as consul:
        consul.put("shop/a.yaml", "a: 1\n")
        connection = connection_to(consul, token=TOKEN)
        hub("shop/a.yaml")
        until(lambda: says("a: 1\n") and consul.waiting)
        consul.tokens = {"another": Rights(read=("shop/",))}
        consul.put("shop/a.yaml", "a: 2\n")  # ends the wait that was let through
        consul.put("shop/a.yaml", "a: 3\n")
        until(lambda: "does not know this ACL token" in trouble())
        assert TOKEN not in str(seen().trouble)  # type: ignore[union-attr]
        connection.secrets = {"token": "another"}
        connection.save()
        until(lambda: says("a: 3\n"))


def test_a_text_that_cannot_be_taken_in_is_said_at_its_key_alone(consul: Consul, hub: Any) -> None:
    connection_to(consul)
    consul.put("shop/a.yaml", b"\xff\xfe")
    consul.put("shop/b.yaml", "b: 1\n")
    hub("shop/a.yaml", "shop/b.yaml")
    until(lambda: "not text in UTF-8" in trouble() and says("b: 1\n", "shop/b.yaml"))
    consul.put("shop/b.yaml", "b: 2\n")
    until(lambda: says("b: 2\n", "shop/b.yaml"))


def test_a_connection_that_cannot_be_used_says_so_until_it_is_mended(consul: Consul, hub: Any) -> None:
    connection = connection_to(consul, namespace="a b")
    consul.put("shop/a.yaml", "a: 1\n")
    hub("shop/a.yaml")
    until(lambda: "is no name in Consul" in trouble())
    connection.config = {"url": consul.url}
    connection.save()
    until(lambda: says("a: 1\n"))


def test_that_it_was_looked_at_is_written_also_when_nothing_changed(consul: Consul, hub: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(line, "WAIT_S", 1.0)
    connection_to(consul)
    consul.put("shop/a.yaml", "a: 1\n")
    hub("shop/a.yaml")
    until(lambda: says("a: 1\n"))
    first = seen()
    assert first is not None
    assert first.seen_at is not None
    until(lambda: seen().seen_at > first.seen_at)  # type: ignore[union-attr,operator]
    assert seen().changed_at == first.changed_at  # type: ignore[union-attr]


def test_what_one_before_us_wrote_too_late_does_not_stay(consul: Consul, hub: Any, monkeypatch: Any) -> None:
    """A process that lost the duty while it stood still writes what it saw before: nothing changes in Consul after that."""
    monkeypatch.setattr(line, "WAIT_S", 1.0)
    connection_to(consul)
    consul.put("shop/a.yaml", "a: 2\n")
    hub("shop/a.yaml")
    until(lambda: says("a: 2\n"))
    ConfigSeen.objects.update(text="a: 1\n", sha256=sha256_of("a: 1\n"), revision="1")
    until(lambda: says("a: 2\n"))


def test_the_duty_begins_a_hub_where_there_is_something_to_follow(consul: Consul, hub: Any) -> None:
    assert follow() == 0
    assert _hubs == []
    connection_to(consul)
    assert follow() == 0
    assert _hubs == []
    wanted["kv"] = frozenset({"shop/a.yaml"})
    until(lambda: follow() == 1)
    begun = _hubs[0]
    begun.renew(threading.Event())
    begun._until = 0.0  # as when the duty's calls stop
    begun.join(60)
    assert not begun.alive
    Connection.objects.all().delete()
    assert follow() == 0
    assert _hubs == []


# --- one look --------------------------------------------------------------------------------------------------------
async def test_a_look_waits_until_the_key_changes_or_the_time_is_over(consul: Consul) -> None:
    follower = ConsulFollower(ConsulAccess(consul.url))
    index = consul.put("shop/a.yaml", "a: 1\n")
    first = await follower.changed("shop/a.yaml", 0, 20)
    assert (first.index, first.document.text if first.document else "") == (index, "a: 1\n")
    threading.Timer(0.3, lambda: consul.put("shop/a.yaml", "a: 2\n")).start()
    second = await follower.changed("shop/a.yaml", first.index, 20)
    assert second.document is not None
    assert second.document.text == "a: 2\n"
    same = await follower.changed("shop/a.yaml", second.index, 1)
    assert same == second
    await follower.close()


async def test_the_refusals_of_a_look(consul: Consul) -> None:
    ca = certificate("CA of the tests")
    with Consul(tls=certificate(signer=ca)) as secure:
        secure.put("shop/a.yaml", "a: 1\n")
        trusting = ConsulFollower(ConsulAccess(secure.url, ca=ca.certificate.decode()))
        assert (await trusting.changed("shop/a.yaml", 0, 1)).document is not None
        await trusting.close()
        strange = ConsulFollower(ConsulAccess(secure.url))
        with pytest.raises(Rejected) as told:
            await strange.changed("shop/a.yaml", 0, 1)
        assert told.value.code == "bad_certificate"
        await strange.close()
    nobody = ConsulFollower(ConsulAccess(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(Unavailable):
        await nobody.changed("shop/a.yaml", 0, 1)
    await nobody.close()
    forbidden = ConsulFollower(ConsulAccess("http://169.254.169.254"))
    with pytest.raises(Rejected, match="must not be reached"):
        await forbidden.changed("shop/a.yaml", 0, 1)
    follower = ConsulFollower(ConsulAccess(consul.url, TOKEN, stale=True))
    with pytest.raises(Invalid):
        await follower.changed("../a", 0, 1)
    consul.put("shop/a.yaml", b"x" * (3 * 1024 * 1024))
    with pytest.raises(Invalid, match="larger than"):
        await follower.changed("shop/a.yaml", 0, 1)
    consul.faults.redirect = "http://127.0.0.1:1/"
    with pytest.raises(Rejected, match="redirect"):
        await follower.changed("shop/a.yaml", 0, 1)
    await follower.close()
    assert all(one.headers["X-Consul-Token"] == TOKEN and TOKEN not in one.path for one in consul.asked)
    assert "stale" in consul.asked[0].query
