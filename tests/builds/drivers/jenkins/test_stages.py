"""Stages: states, times, and which of those that say FAILED really failed."""

from __future__ import annotations

from typing import Any

import pytest

from builds.drivers.builder.jenkins import JenkinsBuilder

from .canned import Answer, Canned, json_answer, recorded_json, recording

URL = "/job/f/job/p/2"
DESCRIBE = f"GET {URL}/wfapi/describe"


def stage(
    number: int, status: str, error: str | None = None, name: str = "", start: int | None = None
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": str(number),
        "name": name or f"S{number}",
        "status": status,
        "startTimeMillis": 1795421400000 + (start if start is not None else number) * 1000,
        "durationMillis": 900,
        "pauseDurationMillis": 0,
    }
    if error is not None:
        made["error"] = {"message": error, "type": "hudson.AbortException"}
    return made


def steps(jenkins: Canned, node: int, *names: str) -> None:
    nodes = [{"id": str(node + 1 + i), "name": name} for i, name in enumerate(names)]
    jenkins.rules[f"GET {URL}/execution/node/{node}/wfapi/describe"] = json_answer(
        {"id": str(node), "stageFlowNodes": nodes}
    )


def states(jenkins: Canned, builder: JenkinsBuilder, *stages: dict[str, Any]) -> dict[str, str]:
    jenkins.rules[DESCRIBE] = json_answer({"stages": list(stages)})
    return {one.name: one.state for one in builder.stages("f/p", 2)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("success", ["succeeded", "succeeded", "succeeded", "succeeded"]),
        ("fail", ["succeeded", "failed", "skipped", "succeeded"]),
        ("unstable", ["succeeded", "succeeded", "unstable", "succeeded"]),
        ("aborted", ["succeeded", "cancelled", "skipped", "succeeded"]),
        ("running", ["succeeded", "running"]),
        ("slow-running", ["succeeded", "running"]),
        ("input", ["paused"]),
        ("input-done", ["succeeded", "succeeded"]),
        ("parallel", ["succeeded", "succeeded"]),
        ("no-stage", []),
        ("running-early", []),
        ("syntax-error", []),
        ("freestyle", []),
    ],
)
def test_the_recorded_builds_show_what_happened(
    jenkins: Canned, builder: JenkinsBuilder, name: str, expected: list[str]
) -> None:
    jenkins.rules[DESCRIBE] = recording(f"wfapi-describe-{name}")
    assert [one.state for one in builder.stages("f/p", 2)] == expected


def test_checkout_and_post_are_told_from_stages(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[DESCRIBE] = recording("wfapi-describe-parallel")
    assert [(one.name, one.kind) for one in builder.stages("f/p", 2)] == [
        ("Declarative: Checkout SCM", "checkout"),
        ("S", "stage"),
    ]
    jenkins.rules[DESCRIBE] = recording("wfapi-describe-success")
    assert builder.stages("f/p", 2)[-1].kind == "post"


def test_a_stage_has_jenkins_id_times_and_error(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[DESCRIBE] = recording("wfapi-describe-fail")
    checkout, build, test, _ = builder.stages("f/p", 2)
    assert (build.id, build.path, build.parent) == ("16", ("Build",), None)
    assert build.started_at is not None
    assert build.finished_at is not None
    assert (build.finished_at - build.started_at).total_seconds() == pytest.approx(6.953)
    assert str(build.sentence) == "Jenkins says: script returned exit code 3"
    assert checkout.sentence is None
    assert test.sentence is None


def test_a_pause_is_part_of_the_time_a_stage_took(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[DESCRIBE] = recording("wfapi-describe-input-done")
    approve, after = builder.stages("f/p", 2)
    assert approve.finished_at is not None
    assert after.started_at is not None
    assert approve.finished_at <= after.started_at


def test_what_runs_or_waits_has_no_end(jenkins: Canned, builder: JenkinsBuilder) -> None:
    for name in ("running", "input"):
        jenkins.rules[DESCRIBE] = recording(f"wfapi-describe-{name}")
        last = builder.stages("f/p", 2)[-1]
        assert last.started_at is not None
        assert last.finished_at is None


def test_a_stage_that_ran_a_step_failed_and_one_that_ran_none_was_skipped(
    jenkins: Canned, builder: JenkinsBuilder
) -> None:
    steps(jenkins, 1, "Shell Script")
    steps(jenkins, 2)
    found = states(jenkins, builder, stage(1, "FAILED", "exit 1"), stage(2, "FAILED", "exit 1"))
    assert found == {"S1": "failed", "S2": "skipped"}


def test_two_stages_that_failed_alike_both_failed_when_both_worked(jenkins: Canned, builder: JenkinsBuilder) -> None:
    """`catchError(stageResult: 'FAILURE')` lets the next stage run, and it may fail with the same words."""
    for node in (1, 2):
        steps(jenkins, node, "Shell Script")
    steps(jenkins, 3)
    found = states(jenkins, builder, *(stage(n, "FAILED", "exit 1") for n in (1, 2, 3)))
    assert found == {"S1": "failed", "S2": "failed", "S3": "skipped"}


def test_when_none_ran_a_step_the_first_in_time_failed(jenkins: Canned, builder: JenkinsBuilder) -> None:
    for node in (5, 6, 7):
        steps(jenkins, node)
    late_first = [
        stage(6, "FAILED", "boom", start=2),
        stage(7, "FAILED", "boom", start=3),
        stage(5, "FAILED", "boom", start=1),
    ]
    assert states(jenkins, builder, *late_first) == {"S5": "failed", "S6": "skipped", "S7": "skipped"}


def test_another_error_is_another_failure(jenkins: Canned, builder: JenkinsBuilder) -> None:
    post = stage(3, "FAILED", "archiving failed", "Declarative: Post Actions")
    found = states(jenkins, builder, stage(1, "FAILED", "exit 1"), stage(2, "FAILED", "exit 1"), post)
    assert found == {"S1": "failed", "S2": "skipped", "Declarative: Post Actions": "failed"}


def test_parallel_branches_that_fail_differently_all_failed(jenkins: Canned, builder: JenkinsBuilder) -> None:
    found = states(
        jenkins,
        builder,
        stage(1, "FAILED", "exit 1", "Branch: linux", start=1),
        stage(2, "FAILED", "exit 2", "Branch: windows", start=1),
        stage(3, "SUCCESS", None, "Branch: mac", start=1),
    )
    assert found == {"linux": "failed", "windows": "failed", "mac": "succeeded"}


def test_steps_are_asked_for_only_where_two_say_the_same(jenkins: Canned, builder: JenkinsBuilder) -> None:
    states(jenkins, builder, stage(1, "SUCCESS"), stage(2, "FAILED", "exit 1"), stage(3, "SUCCESS"))
    assert len(jenkins.asked) == 1


def test_a_monstrous_pipeline_costs_a_bounded_number_of_requests(jenkins: Canned, builder: JenkinsBuilder) -> None:
    steps(jenkins, 1, "Shell Script")
    found = states(jenkins, builder, *(stage(n, "FAILED", "exit 1") for n in range(1, 200)))
    assert found["S1"] == "failed"
    assert set(found.values()) == {"failed", "skipped"}
    assert len(jenkins.asked) <= 25


def test_a_stage_that_a_condition_left_out_is_skipped_without_times(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[DESCRIBE] = json_answer({"stages": [stage(1, "NOT_EXECUTED")]})
    (only,) = builder.stages("f/p", 2)
    assert (only.state, only.started_at, only.finished_at) == ("skipped", None, None)


def test_a_matrix_cell_is_called_one(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[DESCRIBE] = json_answer({"stages": [stage(1, "SUCCESS", None, "Matrix - OS = 'linux'")]})
    assert builder.stages("f/p", 2)[0].kind == "cell"


@pytest.mark.parametrize("stages", [3, None, ["x"], [{"id": "../1"}], [{"id": None}], [{}]])
def test_stages_of_an_odd_shape_are_left_out(jenkins: Canned, builder: JenkinsBuilder, stages: Any) -> None:
    jenkins.rules[DESCRIBE] = json_answer({"stages": stages})
    assert builder.stages("f/p", 2) == []


def test_without_the_stage_view_there_are_no_stages(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[DESCRIBE] = Answer(404, b"")
    assert builder.stages("f/p", 2) == []


def test_an_unknown_status_is_taken_as_running(jenkins: Canned, builder: JenkinsBuilder) -> None:
    described = recorded_json("wfapi-describe-running")
    described["stages"][0]["status"] = "SOMETHING_NEW"
    jenkins.rules[DESCRIBE] = json_answer(described)
    assert builder.stages("f/p", 2)[0].state == "running"
