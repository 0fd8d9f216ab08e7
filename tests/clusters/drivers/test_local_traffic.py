"""Runtime and proxy together: groups share a service's requests, and a proxy in trouble delays a change but spoils nothing."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace

from clusters.drivers.runtime.base import CANARY, STABLE, ServiceRef, Wanted
from clusters.drivers.runtime.local.instances import read_instances
from clusters.drivers.runtime.spec import Check, HealthChecks
from tests.clusters.drivers.conftest import Place
from tests.clusters.drivers.load import Load
from tests.waiting import until


def versions(place: Place, count: int = 20) -> set[str]:
    return {place.ask()[1].split()[0] for _ in range(count)}


def told(place: Place, wanted: Wanted) -> list[str]:
    """What is told of the goal's instances that are not ready."""
    place.runtime.advance(wanted)
    group = place.runtime.layout.group(place.service)
    found = (one.status for one in read_instances(group, place.runtime.layout.root))
    return [status.detail for status in found if status is not None and not status.ready]


def test_a_canary_takes_its_share_beside_the_stable_group_and_gives_it_back(place: Place) -> None:
    assert place.traffic is not None
    place.deploy("one", replicas=1)
    canary = ServiceRef(place.service.key, CANARY)
    wanted = replace(place.want(place.version("two"), replicas=1), service=canary)
    assert place.settle(wanted).green(wanted.artifact.digest)
    assert versions(place) == {"one"}, "no share was given to the canary yet"
    place.traffic.set_weights(place.service.key, {STABLE: 50, CANARY: 50})
    until(lambda: place.traffic.in_force(place.service.key))  # type: ignore[union-attr]
    assert versions(place) == {"one", "two"}
    with Load(place.port, rate=100, clients=2) as load:
        assert until(lambda: place.runtime.remove(canary, 2.0).state == "absent")
    assert load.failures == []
    assert versions(place) == {"one"}
    assert place.instances().settled


def test_removing_the_stable_group_leaves_the_canary_its_port(place: Place) -> None:
    place.deploy("one", replicas=1)
    canary = replace(place.want(place.version("two"), replicas=1), service=ServiceRef(place.service.key, CANARY))
    place.settle(canary)
    assert until(lambda: place.runtime.remove(place.service, 2.0).state == "absent")
    assert place.traffic is not None
    place.traffic.set_weights(place.service.key, {CANARY: 100})
    until(lambda: place.traffic.in_force(place.service.key))  # type: ignore[union-attr]
    assert versions(place) == {"two"}
    assert until(lambda: place.runtime.remove(canary.service, 2.0).state == "absent")
    assert place.ask()[0] == 404


def test_a_service_that_gives_up_its_port_is_no_longer_routed(place: Place) -> None:
    place.deploy("one", replicas=1)
    place.deploy("one", replicas=1, port_name="", health=HealthChecks())
    assert place.ask()[0] == 404


def test_a_service_that_moves_to_another_port_answers_there(place: Place) -> None:
    assert place.traffic is not None
    wanted = place.deploy("one", replicas=1)
    other = place.traffic.free_port([place.port])
    moved = replace(wanted, generation=next(place.generations), stable_port=other)
    names = [one.name for one in place.instances().instances]
    assert [one.name for one in place.settle(moved).instances] == names
    assert place.ask()[0] == 404
    place.port = other
    assert place.ask()[0] == 200


def test_a_failing_version_never_gets_a_request(place: Place) -> None:
    place.deploy("one")
    bad = place.want(
        place.version("two"),
        health=HealthChecks(
            readiness=Check("http", "/health", period_s=0.2), liveness=Check("exec", command=("true",))
        ),
        command=("sh", "-c", "touch sick; exec python3 -S server.py"),
    )
    with Load(place.port, rate=100, clients=2) as load:
        until(lambda: told(place, bad) == ["HTTP 500"] * 2, what="both checks to fail")
        until(lambda: load.answers["one"] > 20, what="requests meanwhile")
        bad = place.overdue(bad)
        seen = place.settle(bad)
        until(lambda: place.runtime.advance(bad) and not [i for i in place.instances().instances if i.current])
    assert seen.failure is not None
    assert load.failures == []
    assert set(load.answers) == {"one"}
    assert {one.state for one in place.instances().instances} <= {"running", "stopping"}


def test_a_half_failed_deployment_never_mixes_versions(place: Place) -> None:
    """One of two new instances becomes ready, the other never does: all requests stay with the old ones."""
    place.deploy("one")
    lock = place.folder / "only-one"
    bad = place.want(
        place.version("two"),
        command=("sh", "-c", f"mkdir {lock} || touch sick; exec python3 -S server.py"),
    )  # fmt: skip
    with Load(place.port, rate=50, clients=2) as load:
        until(lambda: told(place, bad) == ["HTTP 500"], what="one to be ready, and the other's check to fail")
        served = load.answers["one"]
        until(lambda: load.answers["one"] > served + 20, what="requests meanwhile")
        assert place.settle(place.overdue(bad)).failure is not None
    assert load.failures == []
    assert set(load.answers) == {"one"}


def test_a_proxy_killed_in_the_middle_delays_the_change_only(place: Place) -> None:
    assert place.traffic is not None
    place.deploy("one")
    status = place.traffic.handle.status()
    assert status is not None
    wanted = place.want(place.version("two"))
    done: list[bool] = []
    worker = threading.Thread(target=lambda: done.append(place.settle(wanted).green(wanted.artifact.digest)))
    worker.start()
    os.kill(status.pid, signal.SIGKILL)
    worker.join()
    assert done == [True]
    assert versions(place) == {"two"}


def test_a_proxy_that_is_down_is_started_by_the_change_that_needs_it(place: Place) -> None:
    assert place.traffic is not None
    place.deploy("one", replicas=1)
    place.traffic.stop()
    assert place.runtime.observe(place.service).settled is False
    assert place.deploy("two", replicas=1)
    assert versions(place) == {"two"}


def test_a_service_can_be_removed_while_the_proxy_is_down(place: Place) -> None:
    assert place.traffic is not None
    place.deploy("one", replicas=1)
    place.traffic.stop()
    assert until(lambda: place.runtime.remove(place.service, 2.0).state == "absent")
    place.traffic.ensure()
    assert place.ask()[0] == 404


def test_when_nobody_is_ready_the_port_waits_for_those_it_knows(place: Place) -> None:
    """A single instance crashes: its port stays routed to it, so that it serves again the moment it is back."""
    held = ("sh", "-c", "while test -e held; do sleep 0.1; done; exec python3 -S server.py")
    wanted = place.deploy("one", replicas=1, command=held)
    assert place.traffic is not None
    before = place.traffic.wanted(place.service.key)
    one = place.instances().instances[0]
    place.runtime.exec(place.service, one.name, ["touch", "held"])
    os.kill(one.pid, signal.SIGKILL)
    until(lambda: not place.instances().instances[0].ready)
    place.runtime.advance(wanted)
    assert place.traffic.wanted(place.service.key) == before
    next(place.runtime.layout.root.rglob("held")).unlink()
    until(lambda: place.instances().settled)
    assert place.ask()[0] == 200
