"""Fields of others are taken only where a person saw that very field and its owner; and what waits says what it waits for."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.drivers.runtime.base import FieldConflict
from clusters.models import ApproverRole, Machine
from deployments.approvals import Rule, Standing, rule_of
from deployments.beginning import require_agreed
from deployments.models import Deployment, DeploymentApproval
from fangduoduo_release.common.errors import Conflict

AGREED = {"what": "Deployment/shop", "field": "spec.replicas", "owner": "kubectl"}


def deployment(*agreed: dict[str, str]) -> Deployment:
    return Deployment(pins={"taken_over": list(agreed)} if agreed else {})


def test_what_was_seen_is_taken() -> None:
    require_agreed(deployment(AGREED), [FieldConflict(**AGREED)])


def test_what_is_in_the_way_no_more_is_no_matter() -> None:
    require_agreed(deployment(AGREED), [])
    require_agreed(deployment(), [])


@pytest.mark.parametrize(
    "other", [{"what": "Deployment/other"}, {"field": "spec.paused"}, {"owner": "helm"}], ids=["what", "field", "owner"]
)
def test_another_object_field_or_owner_was_not_agreed_to(other: dict[str, str]) -> None:
    """Whoever agreed to overwrite what kubectl set did not agree to overwrite what helm set since."""
    met = {**AGREED, **other}
    with pytest.raises(Conflict) as error:
        require_agreed(deployment(AGREED), [FieldConflict(**AGREED), FieldConflict(**met)])
    assert error.value.code == "field_conflict"
    assert str(error.value).endswith(f"{met['what']} {met['field']} ({met['owner']}).")


def test_without_a_word_of_anybody_nothing_is_taken() -> None:
    for pins in ({}, {"taken_over": None}, {"taken_over": []}):
        with pytest.raises(Conflict):
            require_agreed(Deployment(pins=pins), [FieldConflict(**AGREED)])


def test_many_are_named_up_to_five() -> None:
    many = [FieldConflict("Deployment/shop", f"spec.f{number}", "kubectl") for number in range(9)]
    with pytest.raises(Conflict) as error:
        require_agreed(deployment(), many)
    assert ("spec.f4" in str(error.value), "spec.f5" in str(error.value)) == (True, False)


# --- the rule of a machine -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("action", Deployment.Action.values)
@pytest.mark.parametrize("restoring", [True, False], ids=["guards-restoring", "lets-restoring"])
def test_what_a_machine_asks_for(action: str, restoring: bool) -> None:
    machine = Machine(approvals_needed=2, approver_role="maintainer", approve_restoring=restoring)
    exempt = action in {"rollback", "restart"} and not restoring
    assert rule_of(machine, action) == Rule(0 if exempt else 2, "maintainer")


def test_the_warning_says_how_many_and_who() -> None:
    assert str(Rule(2, ApproverRole.OPS).warning) == "Before it starts, others must approve: 2 from ops."
    assert str(Rule(1, "maintainer").warning) == (
        "Before it starts, others must approve: 1 with the role maintainer or higher."
    )


@pytest.mark.parametrize(("needed", "given", "missing"), [(0, 0, 0), (2, 0, 2), (2, 1, 1), (2, 2, 0), (1, 3, 0)])
def test_how_many_are_missing_is_never_less_than_none(needed: int, given: int, missing: int) -> None:
    rows: list[Any] = [DeploymentApproval(decided_by_name=f"p{number}") for number in range(given)]
    standing = Standing(Rule(needed, "maintainer"), rows, [], None)
    assert standing.missing == missing
    assert standing.names == ", ".join(f"p{number}" for number in range(given))


def test_approvals_that_count_no_more_are_missing_again() -> None:
    void = [DeploymentApproval(decided_by_name="gone")]
    assert Standing(Rule(1, "maintainer"), [], void, None).missing == 1
