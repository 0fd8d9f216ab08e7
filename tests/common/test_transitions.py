"""A run moves only along its state table, with one event per move; a final state lets go of everything."""

from __future__ import annotations

import pytest

from builds.states import BUILD_STATES
from deployments.states import DEPLOYMENT_STATES
from fangduoduo_release.common import runs
from fangduoduo_release.common.errors import Conflict
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.states import StateTable

from .workshop.shop import Shop

TABLES = {"build": BUILD_STATES, "deployment": DEPLOYMENT_STATES}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_tables_are_sound(table: StateTable) -> None:
    names = {state.name for state in table}
    for state in table:
        assert state.moves <= names, f"{state.name} moves to unknown states"
        assert state.final == (not state.moves), f"{state.name}: final states do not move, others must"
        assert state.name not in state.moves
        assert len(state.name) <= 20
    reached, fresh = {"queued"}, {"queued"}
    while fresh:
        fresh = set().union(*(table[name].moves for name in fresh)) - reached
        reached |= fresh
    assert reached == names, f"never reached: {names - reached}"


def walk_every_pair() -> list[list[object]]:
    from .workshop.models import Job

    table = []
    for source in Job.STATES:
        for target in Job.STATES:
            job = Job.objects.create(state=source.name, lease_owner="me", lease_until=runs.in_seconds(9), attempts=2)
            try:
                runs.transition(job, target.name, S("Moved."), phase="x")
                moved = True
            except Conflict:
                moved = False
            now = Job.objects.get(pk=job.pk)
            kept = (now.state, now.phase, now.event_seq) == ((target.name, "x", 1) if moved else (source.name, "", 0))
            table.append([source.name, target.name, moved, kept])
    return table


def test_exactly_the_legal_moves_happen(shop: Shop) -> None:
    legal = {("queued", "running"), ("queued", "failed"), ("queued", "cancelled"), ("running", "waiting")}
    legal |= {("running", end) for end in ("done", "failed", "cancelled")} | {
        ("waiting", "running"),
        ("waiting", "cancelled"),
    }
    for source, target, moved, kept in shop.call(walk_every_pair):
        assert moved == ((source, target) in legal), (source, target)
        assert kept, (source, target)


def ends() -> dict[str, object]:
    from fangduoduo_release.common.models import Event

    from .workshop.models import Job

    trouble = runs.with_trouble(None, runs.error_of("unavailable", S("Away.")))
    job = Job.objects.create(
        next_at=runs.in_seconds(5), lease_owner="me", lease_until=runs.in_seconds(9), error=trouble
    )
    runs.transition(job, "running", S("Go."))
    runs.transition(job, "done", S("Done by %(who)s.", who="ann\x00"), data={"extra": 1})
    event = Event.objects.get(topic=job.topic, seq=2)
    return {
        "open": [job.next_at, job.lease_until, job.lease_owner, job.needs_ops, job.error],
        "times": job.started_at is not None and job.finished_at is not None and job.duration_ms is not None,
        "event": [event.kind, event.text, event.data],
    }


def test_a_final_state_lets_go_and_tells(shop: Shop) -> None:
    assert shop.call(ends) == {
        "open": [None, None, "", False, None],
        "times": True,
        "event": ["state", "Done by %(who)s.", {"who": "ann\ufffd", "state": "done", "extra": 1}],
    }


def cancel_twice() -> list[str]:
    from .workshop.models import Job

    job = Job.objects.create(state="done")
    try:
        runs.request_cancel(job, "ann")
    except Conflict as error:
        return [error.code]
    return []


def test_what_has_ended_cannot_be_cancelled(shop: Shop) -> None:
    assert shop.call(cancel_twice) == ["already_ended"]
