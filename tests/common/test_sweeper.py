"""The sweeper rings for what is due, never for more than the queue can begin with soon, and leaves nobody out."""

from __future__ import annotations

from .workshop.shop import Shop

MANY = 60


def sweep_many(count: int) -> list[list[object]]:
    """Passes over so many due rows; after each, what was rung for is done. [rings so far, others wait] of each."""
    from django.db.models import F
    from django_q.models import OrmQ

    from fangduoduo_release.common import runs
    from fangduoduo_release.common import sweeper as module
    from fangduoduo_release.common.models import InboxItem
    from fangduoduo_release.common.sweeper import Sweeper

    from .workshop.models import Job

    Job.objects.all().delete()
    InboxItem.objects.all().delete()  # letters that other tests left would be rung for too
    OrmQ.objects.all().delete()
    for number in range(count):
        Job.objects.create(next_at=runs.in_seconds(number - 2 * count))
    sweeper, found = Sweeper(), []
    sweeper._hands = 0  # it works on nothing by itself, however slow this machine is,
    module.RING_AGAIN_S = 3600.0  # and has no reason to ring again
    for _ in range(8):
        sweeper.sweep()
        again = OrmQ.objects.count()
        sweeper.sweep()
        assert OrmQ.objects.count() == again, "nothing was begun, and yet more was rung for"
        found.append([again, sweeper.held_back])
        done = sorted({ring.task["args"][1] for ring in OrmQ.objects.all()})
        Job.objects.filter(pk__in=done).update(next_at=None, pokes=F("pokes") + 1)
    sweeper.close()
    left = Job.objects.exclude(next_at=None).count()
    Job.objects.all().delete()
    OrmQ.objects.all().delete()
    return [*found, [left, False]]


def test_many_due_rows_are_rung_for_by_and_by(shop: Shop) -> None:
    *passes, last = shop.call(sweep_many, MANY)
    rings = [count for count, _ in passes]
    assert 0 < rings[0] < MANY
    assert passes[0][1], "others wait, so that it looks again soon"
    assert rings == sorted(rings)
    assert rings[-1] == MANY, "each of them once"
    assert not passes[-1][1]
    assert last == [0, False]
