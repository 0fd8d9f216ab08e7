"""While a service changes nobody who uses it notices; a version that does not work never gets a request."""

from __future__ import annotations

import os
import signal
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from clusters.drivers.process import procfs
from clusters.drivers.runtime.base import Artifact
from clusters.drivers.runtime.local.instances import read_instances
from clusters.drivers.runtime.spec import Check, HealthChecks
from tests.clusters.drivers.conftest import Place
from tests.clusters.drivers.load import Load
from tests.waiting import until


def test_no_request_fails_during_deploy_rollback_scale_and_restart(place: Place) -> None:
    first = place.deploy("one", replicas=3)
    with Load(place.port) as load:
        place.deploy("two", replicas=3)
        for changes in ({}, {"replicas": 4}, {"replicas": 1}):
            spec = replace(first.spec, **changes)
            assert place.settle(replace(first, generation=next(place.generations), spec=spec)).settled
        again = replace(first, generation=next(place.generations), restart_nonce="again")
        assert place.settle(again).settled
    assert load.failures == []
    assert min(load.answers["one"], load.answers["two"]) > 0


def test_a_request_that_began_on_an_old_instance_is_finished_there(place: Place) -> None:
    place.deploy("one", replicas=1, drain_s=300.0)
    answers: list[tuple[int, str]] = []
    slow = threading.Thread(target=lambda: answers.append(place.ask("/slow")))
    old = place.instances().instances[0]
    slow.start()
    until(lambda: _connections(old.port), what="the request to arrive")
    change = threading.Thread(target=lambda: place.deploy("two", replicas=1, drain_s=300.0))
    change.start()
    until(lambda: place.answers() == {"two"}, what="everybody else to be on the new one")
    assert answers == []
    place.runtime.exec(place.service, old.name, ["touch", "go"])
    slow.join()
    change.join()
    assert place.instances().settled
    assert answers[0][0] == 200
    assert answers[0][1].startswith("one ")


def _connections(port: int) -> int:
    return procfs.connections().get(port, 0)


def test_an_endless_request_cannot_hold_an_old_instance_longer_than_its_drain_time(place: Place) -> None:
    place.deploy("one", replicas=1, drain_s=0.5)
    with socket.create_connection(("127.0.0.1", place.instances().instances[0].port)):
        wanted = place.deploy("two", replicas=1, drain_s=0.5)
    assert place.instances().green(wanted.artifact.digest)


def test_nobody_is_sent_to_an_instance_before_its_check_passes(place: Place) -> None:
    place.deploy("one")
    slow = place.want(
        place.version("two"),
        health=HealthChecks(readiness=Check("exec", command=("test", "-e", "${HOME}/open"), period_s=0.3)),
    )
    seen = place.runtime.advance(slow)
    until(lambda: len(place.runtime.advance(slow).instances) == 4)
    assert {place.ask()[1].split()[0] for _ in range(8)} == {"one"}
    assert (seen.ready, seen.settled) == (0, False)
    assert str(place.instances().doing) == "0 of 2 instances are ready."
    for one in place.instances().instances:
        if one.current:
            place.runtime.exec(place.service, one.name, ["sh", "-c", 'touch "$HOME/open"'])
    assert place.settle(slow).settled
    assert {place.ask()[1].split()[0] for _ in range(8)} == {"two"}


def test_an_instance_that_dies_under_load_costs_at_most_the_requests_in_its_hands(place: Place) -> None:
    wanted = place.deploy("one", replicas=3)
    victim = place.instances().instances[0]
    with Load(place.port) as load:
        os.kill(victim.pid, signal.SIGKILL)
        until(lambda: [i.restarts for i in place.instances().instances if i.name == victim.name] == [1])
        assert place.settle(wanted).settled
        until(lambda: load.answers["one"] > 8 * len(load.failures), what="many more answers than failures")
    assert len(load.failures) <= 8, "what it had accepted, and what was on the way to it"
    assert load.answers["one"] > 8 * len(load.failures)


def _told(place: Place) -> list[str]:
    """What is told of the instances that are not ready."""
    group = place.runtime.layout.group(place.service)
    found = (one.status for one in read_instances(group, place.runtime.layout.root))
    return [status.detail for status in found if status is not None and not status.ready]


FAILURES = {
    "missing_command": (("no-such-program",), "could not be started"),
    "not_ready": (("python3", "-S", "server.py"), "did not become ready within 0.01 seconds: HTTP 500"),
    "no_port": (("sleep", "600"), "did not listen on its port"),
    "crash_loop": (("sh", "-c", "kill -9 $$"), "last by signal 9"),
}


@pytest.mark.parametrize("code", FAILURES)
def test_a_first_version_that_does_not_come_up_says_why_and_leaves_nothing(quiet_place: Place, code: str) -> None:
    place = quiet_place
    command, words = FAILURES[code]
    if code == "not_ready":
        command = ("sh", "-c", "touch sick; exec python3 -S server.py")
    wanted = place.want(place.version("one"), command=command, replicas=1)
    if code in ("not_ready", "no_port"):
        place.runtime.advance(wanted)
        until(lambda: code == "no_port" or _told(place) == ["HTTP 500"], what="its check to fail")
        until(lambda: place.instances().instances[0].pid, what="its process")
        wanted = place.overdue(wanted)
    seen = place.settle(wanted)
    assert seen.failure is not None
    assert seen.failure.code == code
    assert words in str(seen.failure.sentence)
    assert place.runtime.advance(wanted).failure == seen.failure
    until(lambda: place.runtime.advance(wanted) and place.processes() == [], what="the failed instances to be gone")


def test_a_process_on_another_port_is_told_so(quiet_place: Place) -> None:
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); s.accept()"
    wanted = quiet_place.want(quiet_place.version("one"), command=("python3", "-c", code))
    quiet_place.runtime.advance(wanted)

    def listen() -> bool:
        pids = [one.pid for one in quiet_place.instances().instances if one.pid]
        return len([pid for pid in pids if procfs.listening_ports([pid])]) == 2

    until(listen, what="both to listen somewhere")
    failure = quiet_place.settle(quiet_place.overdue(wanted)).failure
    assert failure is not None
    assert failure.code == "no_port"
    assert "not on the port it was given in PORT" in str(failure.sentence)


def test_a_changed_or_missing_archive_is_refused(quiet_place: Place, tmp_path: Path) -> None:
    place = quiet_place
    good = place.version("one")
    changed = Artifact("sha256:" + "0" * 64, good.archive)
    missing = Artifact(good.digest, str(tmp_path / "gone.tar.gz"))
    for artifact, words in ((changed, "not what the version pinned"), (missing, "no longer there")):
        failure = place.settle(place.want(artifact)).failure
        assert failure is not None
        assert failure.code == "bad_artifact"
        assert words in str(failure.sentence)


def test_a_failed_scale_up_keeps_what_works(place: Place) -> None:
    """The second instance cannot come up (a lock outside): the first goes on serving."""
    lock = place.folder / "lock"
    command = ("sh", "-c", f"mkdir {lock} && exec python3 -S server.py")
    place.deploy("one", replicas=1, command=command)
    more = place.want(place.version("one"), replicas=2, command=command)
    seen = place.settle(more)
    assert seen.failure is not None
    assert seen.failure.exit_code == 1
    assert place.ask()[0] == 200


def test_a_port_snatched_by_a_stranger_is_left_for_another(quiet_place: Place) -> None:
    """The instance finds its port taken at start; it is replaced on a new port."""
    place = quiet_place
    grab = (
        "import os, socket, subprocess, sys, time\n"
        "port = int(os.environ['PORT'])\n"
        "if not os.path.exists(sys.argv[1]):\n"
        "    open(sys.argv[1], 'w').close()\n"
        "    keep = 'import socket,time; s=socket.create_server((\"127.0.0.1\", %d)); time.sleep(60)' % port\n"
        "    env = {'PATH': os.environ['PATH']}\n"
        "    subprocess.run(['sh', '-c', 'cat >> \"$0\"', sys.argv[2]], input=str(port).encode())\n"
        "    while True:  # until somebody listens there\n"
        "        try:\n"
        "            socket.create_connection(('127.0.0.1', port)).close()\n"
        "            break\n"
        "        except OSError:\n"
        "            time.sleep(0.02)\n"
        "    raise SystemExit(1)\n"
        "os.execvp('python3', ['python3', '-S', 'server.py'])\n"
    )
    marker, wish = place.folder / "grabbed", place.folder / "wish"
    wanted = place.want(place.version("one"), command=("python3", "-c", grab, str(marker), str(wish)), replicas=1)
    place.runtime.advance(wanted)
    until(lambda: wish.exists() and wish.read_text())
    port = int(wish.read_text())
    with socket.create_server(("127.0.0.1", port)):
        seen = place.settle(wanted)
    assert seen.green(wanted.artifact.digest)
    assert seen.instances[0].port != port
