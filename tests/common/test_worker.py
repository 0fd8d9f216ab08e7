"""The worker survives what kills processes: every run ends, no effect happens twice, nobody is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
from collections import Counter

import psutil
import pytest

from tests.waiting import until

from .test_watch import pauses
from .workshop.shop import Shop, kill

pytestmark = pytest.mark.slow


def queue_jobs(count: int, size: int, behaviour: str = "good", rung: bool = True) -> list[int]:
    from django.db.models.functions import Now

    from fangduoduo_release.common.queue import ring

    from .workshop.models import Job

    pks = []
    for _ in range(count):
        job = Job.objects.create(size=size, behaviour=behaviour, next_at=Now())
        pks.append(job.pk)
        if rung:
            ring("job", job.pk)
    return pks


def states() -> dict[str, int]:
    from .workshop.models import Job

    return dict(Counter(Job.objects.values_list("state", flat=True)))


def effects_and_promises() -> list[list[str]]:
    from .workshop.engine import effects
    from .workshop.models import Job

    promised = [f"{job.key}:{number}" for job in Job.objects.all() for number in range(job.size)]
    return [sorted(effects()), sorted(promised)]


def forget_rings() -> int:
    from django_q.models import OrmQ

    return OrmQ.objects.all().delete()[0]


def events_of_jobs() -> list[list[int]]:
    from fangduoduo_release.common.models import Event

    from .workshop.models import Job

    return [
        list(Event.objects.filter(topic=job.topic).order_by("id").values_list("seq", flat=True))
        for job in Job.objects.all()
    ]


def all_done(shop: Shop, count: int) -> None:
    until(lambda: shop.call(states) == {"done": count}, 240, every=0.3, what=f"{count} jobs done")


def ready(shop: Shop, processes: int = 7) -> None:
    until(lambda: len(shop.everyone()) >= processes and shop.named("fdd-sweeper"), 240, what="the worker's processes")


def members_of(leader: psutil.Process) -> list[psutil.Process]:
    """The queue's four, once all are there; none when the leader is gone."""
    try:
        found = leader.children()
    except psutil.NoSuchProcess:
        return []
    in_turn = sorted(found, key=lambda process: (process.pid < leader.pid, process.pid))  # numbers begin anew some day
    return in_turn if len(found) == 4 else []


def another(shop: Shop, leader: psutil.Process) -> psutil.Process | None:
    """The leader of a new queue."""
    now = shop.queue_leader()
    return now if now is not None and now.pid != leader.pid else None


def test_works_and_leaves_when_it_is_told_to(own_shop: Shop) -> None:
    worker = own_shop.worker()
    ready(own_shop)
    own_shop.call(queue_jobs, 5, 2)
    all_done(own_shop, 5)
    worker.terminate()
    assert worker.wait(60) == 0
    own_shop.wait_gone()
    assert "Traceback" not in own_shop.log(worker)


def test_leaves_in_time_while_a_step_hangs(sqlite_shop: Shop) -> None:
    worker = sqlite_shop.worker()
    ready(sqlite_shop)
    sqlite_shop.call(queue_jobs, 1, 1, "sleepy")
    until(lambda: sqlite_shop.call(states) == {"running": 1})
    worker.send_signal(signal.SIGINT)
    assert worker.wait(60) == 0  # the step would go on for an hour
    sqlite_shop.wait_gone()


def test_nobody_outlives_a_killed_supervisor(sqlite_shop: Shop) -> None:
    worker = sqlite_shop.worker(SHOP_COMPANIONS=json.dumps({"friend": "tests.common.workshop.duties.companion"}))
    ready(sqlite_shop, 8)
    worker.kill()
    sqlite_shop.wait_gone()


def test_nobody_outlives_a_killed_queue_leader(sqlite_shop: Shop) -> None:
    sqlite_shop.worker()
    ready(sqlite_shop)
    leader = until(sqlite_shop.queue_leader)
    before = {leader.pid, *(member.pid for member in until(lambda: members_of(leader), what="all four members"))}
    kill(leader)
    until(lambda: not before & {process.pid for process in sqlite_shop.everyone()}, what="the old group gone")
    until(lambda: len(sqlite_shop.named("fdd-queue")) == 5, what="a new group")


def test_any_killed_member_gets_the_queue_a_fresh_start(sqlite_shop: Shop) -> None:
    sqlite_shop.worker()
    ready(sqlite_shop)
    for turn in range(4):
        leader = until(sqlite_shop.queue_leader)
        members = until(lambda leader=leader: members_of(leader), what="all four members")
        kill(members[turn])
        until(lambda leader=leader: another(sqlite_shop, leader), what="a new leader")
        sqlite_shop.call(queue_jobs, 3, 1)
        all_done(sqlite_shop, 3 * (turn + 1))


def test_a_queue_that_hangs_is_killed_and_meanwhile_the_sweeper_works(sqlite_shop: Shop) -> None:
    worker = sqlite_shop.worker()
    ready(sqlite_shop)
    leader = until(sqlite_shop.queue_leader)
    for member in until(lambda: members_of(leader), what="all four members")[:2]:  # the two workers
        member.suspend()
    sqlite_shop.call(queue_jobs, 3, 1)
    all_done(sqlite_shop, 3)
    until(lambda: another(sqlite_shop, leader), 120, what="a new group")
    assert "the queue hangs" in sqlite_shop.log(worker)


def test_lost_rings_lose_nothing(own_shop: Shop) -> None:
    own_shop.call(queue_jobs, 20, 2)
    assert own_shop.call(forget_rings) == 20
    own_shop.worker()
    all_done(own_shop, 20)


def test_companions_are_kept_alive_and_told_to_stop(sqlite_shop: Shop) -> None:
    companions = {name: f"tests.common.workshop.duties.{name}" for name in ("companion", "frail")}
    worker = sqlite_shop.worker(SHOP_COMPANIONS=json.dumps({**companions, "absent": "tests.common.nowhere.main"}))
    until(lambda: len(sqlite_shop.lines("companion")) == 1, 120)
    kill(until(lambda: sqlite_shop.named("fdd-companion"))[0])
    until(lambda: len(sqlite_shop.lines("companion")) == 2, what="a second hello")
    until(lambda: len(sqlite_shop.lines("frail")) >= 5, what="five tries of the frail one")
    assert max(pauses(sqlite_shop, "frail")) > 1.2  # it backs off
    worker.terminate()
    assert worker.wait(60) == 0
    assert sqlite_shop.lines("companion")[-1][2] == "goodbye"


def test_two_hundred_runs_under_random_kills(own_shop: Shop) -> None:
    """Whoever of the worker dies, and when: each effect happens once, each run ends, no event is missing."""
    dice = random.Random(7)
    count, size = 200, 1
    own_shop.more["FDD_LEASE_S"] = "6"  # so long nobody who lives is held up between "I will" and the effect
    workers = [own_shop.worker()]
    ready(own_shop)
    own_shop.call(queue_jobs, count, size, "slow")
    kills: Counter[str] = Counter()
    while sum(kills.values()) < 30:
        if own_shop.call(states) == {"done": count}:
            if sum(kills.values()) >= 10:
                break
            own_shop.call(queue_jobs, 50, size, "slow")  # it is faster than we: there must be work to kill it at
            count += 50
        target = dice.choice(["leader", "member", "member", "group", "sweeper", "supervisor"])
        leader = own_shop.queue_leader()
        sweepers = own_shop.named("fdd-sweeper")
        if target == "leader" and leader:
            kill(leader)
        elif target == "member" and leader and (members := _children(leader)):
            kill(dice.choice(members))
        elif target == "group" and leader:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(leader.pid, signal.SIGKILL)
        elif target == "sweeper" and sweepers:
            kill(dice.choice(sweepers))
        elif target == "supervisor" and kills["supervisor"] < 3:
            workers[-1].kill()
            workers.append(own_shop.worker())
        else:
            continue
        kills[target] += 1
    all_done(own_shop, count)
    effects, promised = own_shop.call(effects_and_promises)
    assert effects == promised
    assert sum(kills.values()) >= 10, kills
    for seqs in own_shop.call(events_of_jobs):
        assert seqs == list(range(1, len(seqs) + 1))


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children()
    except psutil.NoSuchProcess:
        return []


def outage_is_met(shop: Shop, worker: subprocess.Popen[bytes], *complaints: str) -> None:
    """Whoever needs the database has found out that it is away."""
    until(lambda: all(one in shop.log(worker) for one in complaints), 120, what=f"{complaints} in the log")
    assert worker.poll() is None


def test_a_locked_database_is_waited_out(sqlite_shop: Shop) -> None:
    """For longer than anybody waits for a lock, which is two seconds here."""
    worker = sqlite_shop.worker(SQLITE_TIMEOUT_S="2")
    ready(sqlite_shop)
    sqlite_shop.call(queue_jobs, 30, 5, "slow")
    sqlite_shop.call(queue_jobs, 1, 1, "away")  # is tried again and again: there is work, however late the lock comes
    until(lambda: set(sqlite_shop.call(states)) - {"queued"}, what="the first at work")
    with contextlib.closing(sqlite3.connect(sqlite_shop.var / "db.sqlite3", timeout=60, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        outage_is_met(sqlite_shop, worker, "the sweeper cannot look", "the database failed under")
        lock.execute("COMMIT")
    (sqlite_shop.var / "open").touch()
    all_done(sqlite_shop, 31)
    effects, promised = sqlite_shop.call(effects_and_promises)
    assert effects == promised


def test_a_database_that_went_away_is_waited_out(shop_on_server: Shop) -> None:
    from .workshop.shop import cut_off, let_in

    worker = shop_on_server.worker()
    ready(shop_on_server)
    shop_on_server.call(queue_jobs, 30, 5, "slow")
    until(lambda: set(shop_on_server.call(states)) - {"queued"}, what="the first at work")
    cut_off(shop_on_server)
    outage_is_met(shop_on_server, worker, "the sweeper cannot look", "the queue cannot be read")
    let_in(shop_on_server)
    all_done(shop_on_server, 30)
    effects, promised = shop_on_server.call(effects_and_promises)
    assert effects == promised
