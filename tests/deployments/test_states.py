"""Every move that a deployment may make, and no other; and how what is observed of a service is called."""

from __future__ import annotations

import pytest

from clusters.drivers.runtime import base
from deployments.models import Deployment
from deployments.observing import STATES as OBSERVED_AS
from deployments.states import DEPLOYMENT_STATES, SERVICE_STATES
from fangduoduo_release.common.states import StateTable
from fangduoduo_release.common.templatetags.looks import LOOKS

LEGAL = {
    "queued": {"running", "awaiting_approval", "failed", "cancelled"},
    "awaiting_approval": {"queued", "running", "failed", "cancelled"},
    "running": {"paused", "succeeded", "failed", "cancelled"},
    "paused": {"running", "failed", "cancelled"},
    "succeeded": set(),
    "failed": set(),
    "cancelled": set(),
}


@pytest.mark.parametrize("target", LEGAL)
@pytest.mark.parametrize("source", LEGAL)
def test_a_deployment_moves_so_and_not_otherwise(source: str, target: str) -> None:
    assert DEPLOYMENT_STATES.may_move(source, target) is (target in LEGAL[source])


def test_there_are_no_other_states() -> None:
    assert {state.name for state in DEPLOYMENT_STATES} == set(LEGAL)
    assert set(DEPLOYMENT_STATES.active) | set(DEPLOYMENT_STATES.final) == set(LEGAL)
    assert set(DEPLOYMENT_STATES.final) == {"succeeded", "failed", "cancelled"}


def test_from_every_state_that_is_not_final_it_can_be_called_off() -> None:
    for name in DEPLOYMENT_STATES.active:
        assert {"failed", "cancelled"} <= DEPLOYMENT_STATES[name].moves, name


def test_nothing_succeeds_that_did_not_run() -> None:
    assert [state.name for state in DEPLOYMENT_STATES if "succeeded" in state.moves] == ["running"]


def test_what_ended_is_at_a_hundred_percent_and_nothing_divides_by_nothing() -> None:
    for name in DEPLOYMENT_STATES.final:
        assert Deployment(state=name, ready=0, total=4).percent == 100
    assert Deployment(state="running", ready=0, total=0).percent == 0
    assert Deployment(state="running", ready=1, total=3).percent == 33
    assert Deployment(state="running", ready=3, total=3).percent == 100


@pytest.mark.parametrize("table", [DEPLOYMENT_STATES, SERVICE_STATES], ids=["deployment", "service"])
def test_each_state_has_a_look_and_no_other_state_looks_the_same(table: StateTable) -> None:
    """Whoever sees no colours tells them apart by icon and word."""
    looks = [LOOKS[state.name] for state in table]
    assert len({str(look.label) for look in looks}) == len(looks)


def test_what_goes_wrong_is_red_or_amber_and_nothing_that_is_well_is() -> None:
    loud = {state.name for state in (*DEPLOYMENT_STATES, *SERVICE_STATES) if LOOKS[state.name].tone in {"red", "amber"}}
    assert loud == {"failed", "down", "degraded"}


def test_whatever_a_runtime_says_has_a_word_for_people() -> None:
    said = {"absent", "converging", "ready", "degraded", "stopped", "failed", "removing"}
    assert all(name in str(base.Observed.__doc__) for name in said)
    assert set(OBSERVED_AS) == said
    assert set(OBSERVED_AS.values()) < {state.name for state in SERVICE_STATES}


def test_only_what_is_ready_in_full_is_called_healthy() -> None:
    assert [name for name, shown in OBSERVED_AS.items() if shown == "healthy"] == ["ready"]


def test_going_back_and_restarting_are_what_nothing_holds_up_at_night() -> None:
    assert {"rollback", "restart"} == Deployment.RESTORING
    assert set(Deployment.Action.values) >= Deployment.RESTORING
