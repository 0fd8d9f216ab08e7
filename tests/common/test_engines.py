"""How a row is driven: attempts are counted, trouble is shown and cleared, nothing spins, nothing vanishes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fangduoduo_release.common import runs
from fangduoduo_release.common.sentence import S

from .workshop.shop import Shop


def _drive(pk: int, times: int = 1) -> object:
    """Drive a job that is made due again before every turn; returns its row."""
    from django.db.models.functions import Now

    from fangduoduo_release.common import engines

    from .workshop.engine import JobEngine
    from .workshop.models import Job

    engines.BUDGET_S = 3600.0  # one claim is enough, however slow this machine is
    for _ in range(times):
        engines.drive(JobEngine(), pk)
        Job.objects.filter(pk=pk, next_at__isnull=False).update(next_at=Now())
    return Job.objects.get(pk=pk)


def job(behaviour: str, **fields: object) -> int:
    from django.db.models.functions import Now

    from .workshop.models import Job

    return Job.objects.create(**{"next_at": Now(), "state": "running", "behaviour": behaviour, **fields}).pk


def in_a_row(behaviour: str) -> list[object]:
    row = _drive(job("good", state="queued", size=3))
    return [row.state, row.attempts, row.event_seq, row.lease_until, row.next_at]


def test_short_waits_are_driven_under_one_claim(shop: Shop) -> None:
    assert shop.call(in_a_row, "good") == ["done", 0, 2, None, None]


def troubled(behaviour: str, times: int) -> dict[str, object]:
    from fangduoduo_release.common.models import Event

    row = _drive(job(behaviour), times)
    error = row.error or {}
    return {
        "state": row.state,
        "needs_ops": row.needs_ops,
        "attempts": row.attempts,
        "code": error.get("code"),
        "says": error.get("sentence", {}).get("msgid"),
        "evidence": error.get("evidence"),
        "for ops": "a bug\ufffd in the engine" in error.get("trace", ""),
        "asleep": row.next_at is None and row.lease_until is None,
        "events": list(Event.objects.filter(topic=row.topic).values_list("kind", flat=True)),
    }


def test_a_bug_is_tried_five_times_then_waits_for_ops_with_its_reason(shop: Shop) -> None:
    after_five = shop.call(troubled, "buggy", 5)
    assert after_five["needs_ops"] is False
    assert after_five["says"] == "An unexpected error stopped this step."
    assert shop.call(troubled, "buggy", 9) == {
        "state": "running",
        "needs_ops": True,
        "attempts": 6,
        "code": "no_progress",
        "says": "It stopped making progress after %(count)s attempts; ops must look at it.",
        "evidence": "",  # everybody who sees the run reads this: no trace of our code, no values in it
        "for ops": True,
        "asleep": True,
        "events": ["needs_ops"],
    }


def test_a_refusal_is_shown_in_its_own_words(shop: Shop) -> None:
    assert shop.call(troubled, "refused", 2)["says"] == "The other side said no."


def test_patience_with_the_other_side_has_no_number_of_attempts(shop: Shop) -> None:
    answer = shop.call(troubled, "away", 12)
    assert (answer["needs_ops"], answer["state"], answer["says"]) == (False, "running", "The other side is away.")


def own_error_survives() -> list[object]:
    """An engine's own `error` (why it turns back) must not be replaced by a passing trouble of the way."""
    from django.conf import settings

    own = runs.error_of("cancelled", S("Cancelled."), "proof")
    pk = job("away", error=own)
    during = _drive(pk, 2).error
    gate = Path(settings.VAR) / "open"
    gate.touch()
    after = _drive(pk)
    gate.unlink()
    return [during["code"], during["trouble"]["sentence"]["msgid"], after.state, after.error == own]


def test_passing_trouble_leaves_no_trace(shop: Shop) -> None:
    assert shop.call(own_error_survives) == ["cancelled", "The other side is away.", "done", True]


def die_in_a_step(pk: int) -> None:
    _drive(pk)


def wait_out_lease(pk: int) -> int:
    from .workshop.models import Job

    Job.objects.filter(pk=pk).update(lease_until=runs.in_seconds(-1))
    return Job.objects.get(pk=pk).attempts


def test_a_step_that_kills_its_worker_ends_with_ops(shop: Shop) -> None:
    pk = shop.call(job, "deadly")
    for attempt in range(1, 6):
        with pytest.raises(AssertionError, match="it died"):
            shop.call(die_in_a_step, pk)
        assert shop.call(wait_out_lease, pk) == attempt
    shop.call(die_in_a_step, pk)  # the sixth claim makes no step any more
    assert shop.call(is_parked, pk)


def is_parked(pk: int) -> bool:
    from .workshop.models import Job

    return Job.objects.get(pk=pk).needs_ops


def progress_counts() -> list[object]:
    """Killed again and again, but always after steps that were made: that is progress, not five attempts."""
    from .workshop.models import Job

    pk = job("mortal", size=24)
    attempts = []
    while Job.objects.get(pk=pk).state == "running":
        child = os.fork()
        if child == 0:
            _drive(pk)
            os._exit(0)
        os.waitpid(child, 0)
        Job.objects.filter(pk=pk, lease_until__isnull=False).update(lease_until=runs.in_seconds(-1))
        attempts.append(Job.objects.get(pk=pk).attempts)
    return [len(attempts), max(attempts), Job.objects.get(pk=pk).state]


def test_progress_resets_the_attempts_even_when_the_process_is_killed_later(shop: Shop) -> None:
    assert shop.call(progress_counts) == [9, 0, "done"]


def not_ours() -> list[object]:
    """Doorbells for rows that are gone, held, asleep or ended change nothing and raise nothing."""
    from fangduoduo_release.common import engines

    from .workshop.models import Job

    pks = [10**9, job("good", lease_until=runs.in_seconds(60)), job("good", next_at=None), job("good", state="done")]
    before = list(Job.objects.filter(pk__in=pks).order_by("pk").values_list("fence", "state"))
    for pk in pks:
        engines.answer("job", pk)
    return [before == list(Job.objects.filter(pk__in=pks).order_by("pk").values_list("fence", "state")), len(before)]


def test_a_needless_ring_does_nothing(shop: Shop) -> None:
    assert shop.call(not_ours) == [True, 3]


def stolen_between_steps(how: str) -> list[object]:
    """While a job is driven step by step, another process takes the row, or it is deleted."""
    from fangduoduo_release.common.engines import Again, drive

    from .workshop.engine import JobEngine
    from .workshop.models import Job

    steps_made: list[int] = []

    class Thief(JobEngine):
        def advance(self, row: Job) -> Again | None:
            steps_made.append(row.fence)
            if len(steps_made) == 2 and how == "taken":
                Job.objects.filter(pk=row.pk).update(fence=row.fence + 1, lease_owner="thief", phase="theirs")
            if len(steps_made) == 2 and how == "deleted":
                Job.objects.filter(pk=row.pk).delete()
            return Again(0)

    pk = job("good")
    drive(Thief(), pk)
    row = Job.objects.filter(pk=pk).first()
    return [len(steps_made), row and [row.lease_owner, row.phase]]


@pytest.mark.parametrize(("how", "left"), [("taken", ["thief", "theirs"]), ("deleted", None)])
def test_a_row_that_went_away_between_steps_is_dropped(shop: Shop, how: str, left: object) -> None:
    assert shop.call(stolen_between_steps, how) == [2, left]


def bad_data() -> list[object]:
    """An engine's mistake in the database (not an outage) is shown like any other, at once."""
    from django.db import IntegrityError

    from fangduoduo_release.common.engines import Again, drive

    from .workshop.engine import JobEngine
    from .workshop.models import Job

    other = Job.objects.create()

    class Wrong(JobEngine):
        def advance(self, row: Job) -> Again | None:
            Job.objects.create(key=other.key)
            raise AssertionError(IntegrityError)

    pk = job("good")
    drive(Wrong(), pk)
    row = Job.objects.get(pk=pk)
    return [row.error["code"], "IntegrityError" in row.error["trace"], row.lease_until]


def test_a_mistake_in_the_database_is_no_outage(shop: Shop) -> None:
    assert shop.call(bad_data) == ["step_failed", True, None]
