"""Time is the database's. A clock that jumps wakes nothing early, and what it left asleep is woken."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from fangduoduo_release.common import runs

from .workshop.shop import Shop

COMMON = Path(runs.__file__).parent
OWN_CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "localtime"}


@pytest.mark.parametrize("name", ["runs", "steps", "engines", "inbox", "leases", "events", "sweeper", "queue"])
def test_rows_are_compared_with_the_databases_clock_only(name: str) -> None:
    """`time.monotonic` may pace a process; only `Now()` may decide about a row."""
    tree = ast.parse((COMMON / f"{name}.py").read_text())
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    used = {call.attr for call in calls if isinstance(call, ast.Attribute)} | {
        call.id for call in calls if isinstance(call, ast.Name)
    }
    assert not used & OWN_CLOCKS


def mend(kind: str) -> list[object]:
    """What a clock that was put back by an hour leaves: times an hour ahead. Two looks, more than a lease apart."""
    from django.conf import settings
    from django.db.models.functions import Now

    from fangduoduo_release.common.clock import Mender

    from .workshop.models import Job

    fields = {
        "dead": {"next_at": Now(), "lease_until": runs.in_seconds(3600), "lease_owner": "dead"},
        "alive": {"next_at": Now(), "lease_until": runs.in_seconds(3600), "lease_owner": "alive"},
        "asleep": {"next_at": runs.in_seconds(3600)},
        "resting": {"next_at": runs.in_seconds(300)},
        "ended": {"next_at": runs.in_seconds(3600), "state": "done"},
    }[kind]
    job = Job.objects.create(fence=4, **fields)
    mender = Mender()
    answers: list[object] = []
    for _ in range(2):
        mender.mend({Job})
        answers.append(runs.due(Job).filter(pk=job.pk).exists())
        if kind == "alive":
            runs.renew(Job.objects.get(pk=job.pk), lease_s=3700)
        mender._seen = {key: at - settings.LEASE_S - 0.1 for key, at in mender._seen.items()}  # so much later it is now
    return answers


@pytest.mark.parametrize(
    ("kind", "due"),
    [
        ("dead", [False, True]),
        ("alive", [False, False]),
        ("asleep", [True, True]),
        ("resting", [False, False]),
        ("ended", [False, False]),
    ],
)
def test_what_a_jump_back_left_is_mended(shop: Shop, kind: str, due: list[bool]) -> None:
    assert shop.call(mend, kind) == due


def jump(seconds: float) -> list[object]:
    """Shift every time of the tables by an hour, which is what a jump of the clock looks like from the rows."""
    from django.db.models.functions import Now

    from fangduoduo_release.common.clock import Clock
    from fangduoduo_release.common.models import InboxItem
    from fangduoduo_release.common.sweeper import Sweeper

    from .workshop.models import Job

    Job.objects.all().delete()
    InboxItem.objects.all().delete()  # letters that other tests left would be rung for too
    held = Job.objects.create(
        next_at=runs.in_seconds(-1), lease_until=runs.in_seconds(60), lease_owner="alive", fence=1
    )
    later = Job.objects.create(next_at=runs.in_seconds(300))
    sweeper = Sweeper()
    before = sweeper.sweep()
    clock: Clock = sweeper._clock
    assert clock._offset is not None
    least, most = clock._offset
    clock._offset = (least - seconds, most - seconds)  # as if the database's clock were ahead by that much from now on
    Job.objects.filter(pk=held.pk).update(lease_until=runs.in_seconds(60 - seconds))
    during = sweeper.sweep()
    runs.write(Job.objects.get(pk=held.pk), lease_until=runs.in_seconds(60))  # the living holder renews
    sweeper._quiet_until = 0.0
    after = sweeper.sweep()
    fences = list(Job.objects.filter(pk__in=[held.pk, later.pk]).order_by("pk").values_list("fence", flat=True))
    sweeper.close()
    Job.objects.filter(pk=later.pk).update(next_at=Now())
    return [before, during, after, fences]


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_after_a_jump_living_holders_keep_their_rows(shop: Shop, seconds: int) -> None:
    assert shop.call(jump, seconds) == [0, 0, 0, [1, 0]]


def look(held_up_s: float, moved_s: float) -> list[float]:
    """What four looks say, the second and third of which take long and the last of which finds the clock moved."""
    import time

    from django.db import connection

    from fangduoduo_release.common import clock as module

    def slow(execute: Callable[..., object], *statement: object) -> object:
        answer = execute(*statement)
        time.sleep(held_up_s)
        return answer

    module.JUMP_S = 0.3
    clock = module.Clock()
    jumps = [clock.jumped()]
    with connection.execute_wrapper(slow):
        jumps += [clock.jumped(), clock.jumped()]
    assert clock._offset is not None
    clock._offset = (clock._offset[0] - moved_s, clock._offset[1] - moved_s)
    return [*jumps, clock.jumped()]


def test_a_steady_clock_never_jumps_however_long_a_look_takes(shop: Shop) -> None:
    assert shop.call(look, 0.5, 0.0) == [0.0] * 4


@pytest.mark.parametrize("moved", [3600, -3600])
def test_a_clock_that_jumps_is_noticed_also_after_a_slow_look(shop: Shop, moved: int) -> None:
    *before, last = shop.call(look, 0.5, float(moved))
    assert before == [0.0] * 3
    assert last == pytest.approx(moved, abs=60)
