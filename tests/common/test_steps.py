"""An outside effect is intended before it is made and looked for before it is made again."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from fangduoduo_release.common import runs, steps

from .workshop.shop import Shop


def _held() -> object:
    from django.db.models.functions import Now

    from .workshop.models import Job

    return runs.claim(Job, Job.objects.create(next_at=Now()).pk)


def new_run() -> int:
    return _held().pk


def begin_and_die(pk: int, when: str) -> None:
    """Make a step and be killed: `before` the effect (the intent is there) or `after` it (the outcome is not)."""
    from .workshop.engine import write_effect
    from .workshop.models import Job

    job = Job.objects.get(pk=pk)

    def act() -> dict[str, object]:
        if when == "after":
            write_effect(f"{job.key}:dying")
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    steps.once(job, "effect", act, intent={"what": "a line"})


def step_of(pk: int) -> list[object]:
    from fangduoduo_release.common.models import Step

    from .workshop.models import Job

    step = Step.objects.get(run_key=Job.objects.get(pk=pk).key)
    return [step.intent, step.outcome, step.done_at is not None]


def go_on(pk: int) -> list[object]:
    from .workshop.engine import effects, write_effect
    from .workshop.models import Job

    job = Job.objects.get(pk=pk)
    calls: list[str] = []

    def observe() -> dict[str, object] | None:
        calls.append("observe")
        return {"seen": True} if f"{job.key}:dying" in effects() else None

    def act() -> dict[str, object]:
        calls.append("act")
        return write_effect(f"{job.key}:again")

    first = steps.once(job, "effect", act, observe=observe)
    second = steps.once(job, "effect", act, observe=observe)
    return [calls, first == second, sum(line.startswith(str(job.key)) for line in effects())]


@pytest.mark.parametrize(("when", "calls"), [("before", ["observe", "act"]), ("after", ["observe"])])
def test_after_a_kill_it_looks_before_it_acts(shop: Shop, when: str, calls: list[str]) -> None:
    pk = shop.call(new_run)
    with pytest.raises(AssertionError, match="it died"):
        shop.call(begin_and_die, pk, when)
    assert shop.call(step_of, pk) == [{"what": "a line"}, None, False]
    assert shop.call(go_on, pk) == [calls, True, 1]
    assert shop.call(step_of, pk)[2] is True


def losers() -> list[str]:
    """A holder that lost its claim: before the intent, before a second try, and while it acted."""
    from fangduoduo_release.common.models import Step

    from .workshop.models import Job

    told: list[str] = []

    def attempt(job: object, act: object) -> None:
        try:
            steps.once(job, "effect", act)
            told.append("done")
        except runs.LostClaim:
            told.append("lost")

    def steal(job: object) -> dict[str, object]:
        Job.objects.filter(pk=job.pk).update(fence=job.fence + 1)
        return {}

    acted: list[str] = []
    before = _held()
    steal(before)
    attempt(before, lambda: acted.append("before"))
    second = _held()
    Step.objects.create(run_key=second.key, key=f"{second.key}:effect", name="effect")
    steal(second)
    attempt(second, lambda: acted.append("second"))
    during = _held()
    attempt(during, lambda: steal(during))
    return [*told, *acted, str(Step.objects.get(run_key=during.key).outcome)]


def test_a_loser_neither_acts_nor_writes_an_outcome(shop: Shop) -> None:
    assert shop.call(losers) == ["lost", "lost", "lost", "None"]


def suffixes_and_failures() -> list[object]:
    job = _held()
    made: list[str] = []

    def fails() -> None:
        raise OSError("no")

    one = steps.once(job, "pod", lambda: made.append("a") or {"n": 1}, suffix="a")
    two = steps.once(job, "pod", lambda: made.append("b") or {"n": 2}, suffix="b")
    try:
        steps.once(job, "third", fails)
    except OSError:
        made.append("failed")
    three = steps.once(job, "third", lambda: made.append("third") or {})
    return [one, two, three, made]


def test_names_with_suffixes_are_steps_of_their_own_and_failures_are_tried_again(shop: Shop) -> None:
    assert shop.call(suffixes_and_failures) == [{"n": 1}, {"n": 2}, {}, ["a", "b", "failed", "third"]]


def lease_grew(pk: int) -> float:
    """By how many seconds a step moved the end of the lease."""
    from .workshop.models import Job

    def ends_at() -> Any:
        return Job.objects.values_list("lease_until", flat=True).get(pk=pk)

    Job.objects.filter(pk=pk).update(lease_until=runs.in_seconds(0.2))
    before = ends_at()
    steps.once(Job.objects.get(pk=pk), "effect", dict)
    return (ends_at() - before).total_seconds()


def test_a_step_renews_the_lease(shop: Shop) -> None:
    assert shop.call(lease_grew, shop.call(new_run)) > 2.5
