"""The worker survives what kills processes: every run ends, no effect happens twice, nobody is left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter

import psutil
import pytest

from tests.waiting import until

from .workshop.shop import Shop, kill

pytestmark = pytest.mark.slow
LEASE_S = 3.0  # as the workshop's settings have it


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


def all_done(shop: Shop, count: int, timeout: float) -> None:
    until(lambda: shop.call(states) == {"done": count}, timeout, every=0.3, what=f"{count} jobs done")


def ready(shop: Shop, processes: int = 7) -> None:
    until(lambda: len(shop.everyone()) >= processes and shop.named("fdd-sweeper"), 20, what="the worker's processes")


def test_works_and_leaves_within_eight_seconds(own_shop: Shop) -> None:
    worker = own_shop.worker()
    ready(own_shop)
    own_shop.call(queue_jobs, 5, 2)
    all_done(own_shop, 5, 15)
    worker.terminate()
    assert worker.wait(8) == 0
    assert own_shop.everyone() == []
    assert "Traceback" not in own_shop.log(worker)


def test_leaves_in_time_while_a_step_hangs(sqlite_shop: Shop) -> None:
    worker = sqlite_shop.worker()
    ready(sqlite_shop)
    sqlite_shop.call(queue_jobs, 1, 1, "sleepy")
    until(lambda: sqlite_shop.call(states) == {"running": 1}, 10)
    worker.send_signal(signal.SIGINT)
    assert worker.wait(9.5) == 0
    assert sqlite_shop.everyone() == []


def test_nobody_outlives_a_killed_supervisor(sqlite_shop: Shop) -> None:
    worker = sqlite_shop.worker(SHOP_COMPANIONS=json.dumps({"friend": "tests.common.workshop.duties.companion"}))
    ready(sqlite_shop, 8)
    worker.kill()
    until(lambda: not sqlite_shop.everyone(), 3, what="everyone gone")


def test_nobody_outlives_a_killed_queue_leader(sqlite_shop: Shop) -> None:
    sqlite_shop.worker()
    ready(sqlite_shop)
    before = {process.pid for process in sqlite_shop.named("fdd-queue")}
    assert len(before) == 5
    leader = sqlite_shop.queue_leader()
    assert leader is not None
    kill(leader)
    until(lambda: not before & {process.pid for process in sqlite_shop.everyone()}, 3, what="the old group gone")
    until(lambda: len(sqlite_shop.named("fdd-queue")) == 5, 5, what="a new group")


def test_any_killed_member_gets_the_queue_a_fresh_start(sqlite_shop: Shop) -> None:
    sqlite_shop.worker()
    ready(sqlite_shop)
    for turn in range(4):
        leader = until(sqlite_shop.queue_leader, 10)
        members = until(lambda leader=leader: [p for p in leader.children() if p.is_running()] and leader.children(), 5)
        until(lambda leader=leader: len(leader.children()) == 4, 5, what="all four members")
        members = sorted(leader.children(), key=lambda process: process.pid)
        kill(members[turn])
        until(
            lambda leader=leader: (now := sqlite_shop.queue_leader()) and now.pid != leader.pid, 8, what="a new leader"
        )
        sqlite_shop.call(queue_jobs, 3, 1)
        all_done(sqlite_shop, 3 * (turn + 1), 10)


def test_a_queue_that_hangs_is_killed_and_meanwhile_the_sweeper_works(sqlite_shop: Shop) -> None:
    worker = sqlite_shop.worker()
    ready(sqlite_shop)
    leader = until(sqlite_shop.queue_leader, 5)
    until(lambda: len(leader.children()) == 4, 5)
    for member in sorted(leader.children(), key=lambda process: process.pid)[:2]:  # the two workers
        member.suspend()
    sqlite_shop.call(queue_jobs, 3, 1)
    all_done(sqlite_shop, 3, 10)
    until(lambda: (now := sqlite_shop.queue_leader()) and now.pid != leader.pid, 30, what="a new group")
    assert "the queue hangs" in sqlite_shop.log(worker)


def test_lost_rings_lose_nothing(own_shop: Shop) -> None:
    own_shop.call(queue_jobs, 20, 2)
    assert own_shop.call(forget_rings) == 20
    own_shop.worker()
    all_done(own_shop, 20, 30)


def test_companions_are_kept_alive_and_told_to_stop(sqlite_shop: Shop) -> None:
    companions = {name: f"tests.common.workshop.duties.{name}" for name in ("companion", "frail")}
    worker = sqlite_shop.worker(SHOP_COMPANIONS=json.dumps({**companions, "absent": "tests.common.nowhere.main"}))
    until(lambda: len(sqlite_shop.lines("companion")) == 1, 15)
    kill(until(lambda: sqlite_shop.named("fdd-companion"), 5)[0])
    until(lambda: len(sqlite_shop.lines("companion")) == 2, 5, what="a second hello")
    until(lambda: len(sqlite_shop.lines("frail")) >= 5, 15, what="five tries of the frail one")
    tries = [float(line[0]) for line in sqlite_shop.lines("frail")]
    assert tries[4] - tries[3] > 1.2  # it backs off
    worker.terminate()
    assert worker.wait(8) == 0
    assert sqlite_shop.lines("companion")[-1][2] == "goodbye"


def test_two_hundred_runs_under_random_kills(own_shop: Shop) -> None:
    """Whoever of the worker dies, and when: each effect happens once, each run ends, no event is missing."""
    dice = random.Random(7)
    count, size = 200, 1
    workers = [own_shop.worker()]
    ready(own_shop)
    own_shop.call(queue_jobs, count, size, "slow")
    kills: Counter[str] = Counter()
    begun = time.monotonic()
    while own_shop.call(states) != {"done": count} and time.monotonic() - begun < (
        12 if sum(kills.values()) >= 10 else 60
    ):
        target = dice.choice(["leader", "member", "member", "group", "sweeper", "supervisor"])
        leader = own_shop.queue_leader()
        sweepers = own_shop.named("fdd-sweeper")
        if target == "leader" and leader:
            kill(leader)
        elif target == "member" and leader and (members := _children(leader)):
            kill(dice.choice(members))
        elif target == "group" and leader:
            os.killpg(leader.pid, signal.SIGKILL)
        elif target == "sweeper" and sweepers:
            kill(dice.choice(sweepers))
        elif target == "supervisor" and kills["supervisor"] < 3:
            workers[-1].kill()
            workers.append(own_shop.worker())
        else:
            continue
        kills[target] += 1
    all_done(own_shop, count, 60)
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


def test_a_locked_database_is_waited_out(sqlite_shop: Shop) -> None:
    worker = sqlite_shop.worker()
    ready(sqlite_shop)
    sqlite_shop.call(queue_jobs, 30, 5, "slow")
    until(lambda: sqlite_shop.call(states).get("done"), 10)
    lock = sqlite3.connect(sqlite_shop.var / "db.sqlite3", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    until_time = time.monotonic() + 30
    while time.monotonic() < until_time:
        assert worker.poll() is None
        time.sleep(0.5)
    lock.execute("COMMIT")
    lock.close()
    all_done(sqlite_shop, 30, LEASE_S + 30)
    effects, promised = sqlite_shop.call(effects_and_promises)
    assert effects == promised


def test_a_database_that_went_away_is_waited_out(shop_on_server: Shop) -> None:
    from .workshop.shop import cut_off, let_in

    worker = shop_on_server.worker()
    ready(shop_on_server)
    shop_on_server.call(queue_jobs, 30, 5, "slow")
    until(lambda: shop_on_server.call(states).get("done"), 10)
    cut_off(shop_on_server)
    time.sleep(12)  # the outage itself
    assert worker.poll() is None
    let_in(shop_on_server)
    all_done(shop_on_server, 30, LEASE_S + 20)
    effects, promised = shop_on_server.call(effects_and_promises)
    assert effects == promised
