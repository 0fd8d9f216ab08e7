"""Whoever is killed, whenever: the goal is reached, nothing runs twice, nothing is left behind."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from clusters.drivers.process import procfs
from clusters.drivers.runtime.base import Wanted
from clusters.drivers.runtime.local.runtime import LocalRuntime
from tests.clusters.drivers.conftest import Place
from tests.clusters.drivers.load import Load
from tests.waiting import until

ROOT = Path(__file__).parents[3]


def caller(place: Place, wanted: Wanted, kills: Sequence[float] = ()) -> subprocess.Popen[bytes]:
    """Another process that works towards the goal (see `caller`); answers when it is about to begin."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.clusters.drivers.caller"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    goal = (place.runtime.config, place.traffic.config if place.traffic else None, wanted, list(kills))
    with process.stdin as pipe:
        pipe.write(pickle.dumps(goal))
    assert process.stdout.readline() == b"up\n"
    process.stdout.close()
    return process


def nothing_but(place: Place, wanted: Wanted) -> None:
    """Exactly the wanted processes run, each supervised once; the folders hold nothing else."""
    seen = place.instances()
    assert seen.green(wanted.artifact.digest)
    assert len(seen.instances) == wanted.spec.replicas
    group = place.runtime.layout.group(place.service)
    assert {path.name for path in group.instances.iterdir()} == {one.name for one in seen.instances}
    shims = {status.shim for status in map(_status, group.instances.iterdir())}
    wished = shims | {one.pid for one in seen.instances}
    until(lambda: set(place.processes()) == wished, what="what was killed to be gone")
    assert len(list(place.runtime.layout.releases.glob("*.new"))) == 0


def _status(path: Path):  # type: ignore[no-untyped-def]
    from clusters.drivers.process.handle import Handle

    status = Handle(path, {}).status()
    assert status is not None
    return status


def test_callers_killed_at_any_moment_lose_nothing_and_double_nothing(place: Place) -> None:
    chance = random.Random(7)
    first = place.deploy("one")
    with Load(place.port, rate=60, clients=2) as load:
        for artifact, replicas in ((place.version("two"), 2), (first.artifact, 2), (place.version("three"), 3)):
            wanted = place.want(artifact, replicas=replicas)
            assert caller(place, wanted, [chance.uniform(0.0, 0.25) for _ in range(10)]).wait(240) == 0
            nothing_but(place, wanted)
    assert load.failures == []
    assert place.runtime.reconcile([place.service]).killed == ()


def test_two_callers_at_once_do_it_once(place: Place) -> None:
    wanted = place.want(place.version("one"), replicas=3)
    both = [caller(place, wanted), caller(place, wanted)]
    assert [process.wait(240) for process in both] == [0, 0]
    nothing_but(place, wanted)
    assert list(place.runtime.layout.group(place.service).history.iterdir()) == []


def test_another_process_adopts_what_runs(quiet_place: Place) -> None:
    place = quiet_place
    wanted = place.deploy("one")
    pids = {one.pid for one in place.instances().instances}
    place.runtime = LocalRuntime(place.runtime.config)
    assert {one.pid for one in place.settle(wanted).instances} == pids
    nothing_but(place, wanted)


def test_a_killed_instance_is_started_again_by_its_shim_alone(quiet_place: Place) -> None:
    place = quiet_place
    place.deploy("one", replicas=1)
    before = place.instances().instances[0]
    os.kill(before.pid, signal.SIGKILL)
    after = until(lambda: (s := place.instances()).settled and s.instances[0].restarts and s.instances[0])
    assert (after.name, after.port, after.restarts, after.exit_signal) == (before.name, before.port, 1, 9)
    assert after.pid != before.pid


def test_a_killed_shim_takes_its_process_along_and_both_are_replaced(quiet_place: Place) -> None:
    place = quiet_place
    command = ("sh", "-c", "sleep 300 & exec python3 -S server.py")
    wanted = place.deploy("one", replicas=2, command=command)
    victim = place.instances().instances[0]
    ticks = procfs.start_ticks(victim.pid)
    status = _status(place.runtime.layout.group(place.service).instances / victim.name)
    os.kill(status.shim, signal.SIGKILL)
    until(lambda: not procfs.same_process(victim.pid, ticks), what="the process to die with its shim")
    dead = next(one for one in place.instances().instances if one.name == victim.name)
    assert (dead.state, dead.ready, dead.digest) == ("dead", False, "")
    assert place.instances().state == "degraded"
    seen = place.settle(wanted)
    assert victim.name not in {one.name for one in seen.instances}
    mark = victim.name.encode()
    until(lambda: procfs.marked(b"FDD_INSTANCE", mark) == [], what="what the victim had started to be gone")


def test_orphans_are_killed_and_nobody_else(quiet_place: Place) -> None:
    place = quiet_place
    wanted = place.deploy("one")
    root = str(place.runtime.layout.root)
    marks = {"FDD_SERVICE_KEY": place.service.key, "FDD_INSTANCE": "long-gone"}
    orphan = subprocess.Popen(["sleep", "300"], env={**marks, "FDD_RUNTIME": root})
    foreign = subprocess.Popen(["sleep", "300"], env={**marks, "FDD_RUNTIME": root + "-of-another-portal"})
    try:
        assert place.runtime.reconcile([place.service]).killed == (orphan.pid,)
        assert orphan.wait(60) == -signal.SIGKILL
        assert foreign.poll() is None
    finally:
        foreign.kill()
        orphan.kill()
        foreign.wait()
    assert place.instances().green(wanted.artifact.digest)


def test_a_recycled_pid_is_never_signalled(quiet_place: Place) -> None:
    from clusters.drivers.process.handle import send

    stranger = subprocess.Popen(["sleep", "300"])
    try:
        assert not send(stranger.pid, procfs.start_ticks(stranger.pid) - 1, signal.SIGKILL)
        assert stranger.poll() is None
        assert send(stranger.pid, procfs.start_ticks(stranger.pid), signal.SIGKILL)
    finally:
        stranger.kill()
        stranger.wait()


def test_a_removal_goes_on_after_a_kill(place: Place) -> None:
    place.deploy("one")
    first = place.runtime.remove(place.service)
    assert first.state == "removing"
    place.runtime = LocalRuntime(place.runtime.config, place.traffic)
    assert until(lambda: place.runtime.remove(place.service, 1.0).state == "absent")
    until(lambda: place.processes() == [], what="what was killed to be gone")


def test_instances_outlive_the_process_that_started_them(quiet_place: Place) -> None:
    place = quiet_place
    wanted = place.want(place.version("one"))
    process = caller(place, wanted)
    until(lambda: place.instances().settled)
    process.kill()
    process.wait()
    nothing_but(place, wanted)
