"""A row has one holder at a time; a holder that lost its claim can write nothing; no wake-up is lost."""

from __future__ import annotations

import pytest

from fangduoduo_release.common import runs
from fangduoduo_release.common.sentence import S

from .workshop.shop import Shop


def _job(**fields: object) -> object:
    from django.db.models.functions import Now

    from .workshop.models import Job

    return Job.objects.create(**{"next_at": Now(), **fields})


def _row(pk: int) -> object:
    from .workshop.models import Job

    return Job.objects.get(pk=pk)


def make_jobs(count: int) -> list[int]:
    return [_job().pk for _ in range(count)]


def claim_all(pks: list[int]) -> list[int]:
    from .workshop.models import Job

    return [pk for pk in pks if runs.claim(Job, pk) is not None]


def test_of_eight_processes_one_gets_each_row(shop: Shop) -> None:
    pks = shop.call(make_jobs, 60)
    taken = shop.together(claim_all, [[pks]] * 8)
    assert sorted(pk for won in taken for pk in won) == sorted(pks)


def claim_in_states() -> dict[str, bool]:
    from django.db.models.functions import Now

    from .workshop.models import Job

    def claimable(**fields: object) -> bool:
        return runs.claim(Job, _job(**fields).pk) is not None

    def claimable_ahead_of(name: str) -> bool:
        """Half a second before its time. Asked again when the machine took longer: then it was not before its time."""
        while True:
            job = _job(**{name: runs.in_seconds(0.5), "deadline_at": runs.in_seconds(0.5)})
            taken = runs.claim(Job, job.pk) is not None
            if Job.objects.filter(pk=job.pk, deadline_at__gt=Now()).exists():
                return taken

    return {
        "due": claimable(),
        "a moment ago": claimable(next_at=runs.in_seconds(-0.001)),
        "in a moment": claimable_ahead_of("next_at"),
        "asleep": claimable(next_at=None),
        "held": claimable(lease_until=runs.in_seconds(60)),
        "held for a moment": claimable_ahead_of("lease_until"),
        "lease ran out": claimable(lease_until=runs.in_seconds(-0.01)),
        "ended": claimable(state="done"),
        "waits for ops": claimable(needs_ops=True),
        "lease until now": claimable(lease_until=Now(), next_at=runs.in_seconds(-60)),
    }


def test_only_due_free_active_rows_are_to_be_had(shop: Shop) -> None:
    assert shop.call(claim_in_states) == {
        "due": True,
        "a moment ago": True,
        "in a moment": False,
        "asleep": False,
        "held": False,
        "held for a moment": False,
        "lease ran out": True,
        "ended": False,
        "waits for ops": False,
        "lease until now": True,
    }


def whole_second_leases() -> list[bool]:
    """Stored times without a fraction are shorter texts on SQLite; they must still compare as times."""
    from datetime import UTC, datetime, timedelta

    from .workshop.models import Job

    now = datetime.now(UTC).replace(microsecond=0)
    soon = _job(next_at=now + timedelta(hours=1))
    past = _job(next_at=now - timedelta(seconds=1))
    held = _job(lease_until=now + timedelta(hours=1))
    dead = _job(lease_until=now - timedelta(seconds=1))
    return [runs.claim(Job, row.pk) is not None for row in (soon, past, held, dead)]


def test_times_without_a_fraction_compare_like_others(shop: Shop) -> None:
    assert shop.call(whole_second_leases) == [False, True, False, True]


def released_at_once(times: int) -> int:
    from .workshop.models import Job

    due = 0
    for _ in range(times):
        row = runs.claim(Job, _job().pk)
        assert row is not None
        runs.release(row, delay_s=0)
        due += runs.due(Job).filter(pk=row.pk).exists()
    return due


def test_what_is_given_back_without_delay_is_due_within_the_same_millisecond(shop: Shop) -> None:
    assert shop.call(released_at_once, 50) == 50


def every_write_of_a_loser() -> dict[str, str]:
    from .workshop.models import Job

    outcome = {}
    writes = {
        "write": lambda row: runs.write(row, phase="lost"),
        "renew": runs.renew,
        "release": lambda row: runs.release(row, delay_s=0),
        "transition": lambda row: runs.transition(row, "running", S("Lost.")),
        "fail": lambda row: runs.fail(row, S("Lost.")),
        "park": lambda row: runs.park_for_ops(row, S("Lost."), code="lost"),
    }
    for name, write in writes.items():
        job = _job()
        loser = runs.claim(Job, job.pk, lease_s=-1)
        winner = runs.claim(Job, job.pk)
        assert loser is not None
        assert winner is not None
        assert winner.fence == loser.fence + 1
        try:
            write(loser)
            outcome[name] = "written"
        except runs.LostClaim:
            now = _row(job.pk)
            same = (now.phase, now.state, now.needs_ops, now.event_seq, now.fence) == (
                "",
                "queued",
                False,
                0,
                winner.fence,
            )
            outcome[name] = "dropped" if same and now.lease_owner == winner.lease_owner else "changed"
    return outcome


def test_a_loser_writes_nothing(shop: Shop) -> None:
    assert set(shop.call(every_write_of_a_loser).values()) == {"dropped"}


def hand_over() -> dict[str, object]:
    from .workshop.models import Job

    job = _job()
    first = runs.claim(Job, job.pk)
    assert first is not None
    fence = first.fence
    runs.release(first, delay_s=10)
    second = runs.take_over(Job, job.pk, fence)
    third = runs.take_over(Job, job.pk, fence)
    return {"taken": second is not None and second.fence == fence + 1, "twice": third is not None}


def test_a_row_is_handed_over_once(shop: Shop) -> None:
    assert shop.call(hand_over) == {"taken": True, "twice": False}


def pokes(case: str) -> list[object]:
    """After a release that asks for a minute's rest: is the row due now? And its attempts."""
    from .workshop.models import Job

    job = _job()
    held = runs.claim(Job, job.pk)
    assert held is not None
    if case == "while held":
        runs.poke(job)
    if case == "during a transition":
        runs.poke(job)
        runs.transition(held, "running", S("Go."))
    runs.release(held, delay_s=None if case == "asleep" else 60)
    if case == "after the release":
        runs.poke(job)
    return [runs.due(Job).filter(pk=job.pk).exists(), _row(job.pk).attempts]


@pytest.mark.parametrize(
    ("case", "due"),
    [
        ("none", False),
        ("asleep", False),
        ("while held", True),
        ("during a transition", True),
        ("after the release", True),
    ],
)
def test_no_poke_is_lost(shop: Shop, case: str, due: bool) -> None:
    assert shop.call(pokes, case) == [due, 0]


def release_far_ahead() -> float:
    from django.db.models import F
    from django.db.models.functions import Now

    from .workshop.models import Job

    held = runs.claim(Job, _job().pk)
    assert held is not None
    runs.release(held, delay_s=86_400)
    return Job.objects.filter(pk=held.pk).values_list(F("next_at") - Now(), flat=True).get().total_seconds()


def test_no_row_sleeps_longer_than_the_longest_delay(shop: Shop) -> None:
    assert runs.LONGEST_DELAY_S - 60 < shop.call(release_far_ahead) <= runs.LONGEST_DELAY_S


def cancel_a_parked_run() -> list[object]:
    from fangduoduo_release.common.engines import drive

    from .workshop.engine import JobEngine
    from .workshop.models import Job

    job = _job()
    held = runs.claim(Job, job.pk)
    assert held is not None
    runs.write(held, attempts=6)
    runs.park_for_ops(held, S("Stuck."), code="stuck", evidence="nul \x00 and \ud800 lone")
    parked = _row(job.pk)
    runs.request_cancel(parked, "ann")
    drive(JobEngine(), job.pk)
    now = _row(job.pk)
    return [parked.needs_ops, parked.error["evidence"], now.state, now.needs_ops]


def test_a_run_that_waits_for_ops_can_be_cancelled(shop: Shop) -> None:
    assert shop.call(cancel_a_parked_run) == [True, "nul \ufffd and \ufffd lone", "cancelled", False]
