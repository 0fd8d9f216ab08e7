"""Failure, unstable and abort travel as in Jenkins; what is skipped says why; post runs in Jenkins' order."""

from __future__ import annotations

import pytest

from builds.drivers.builder.embedded.control import Interrupt, Interrupted, Result, StepFailed
from builds.drivers.builder.embedded.post import condition_holds
from fangduoduo_release.common.sentence import S

from .ground import Ground, pipeline

ORDER = [
    "always",
    "changed",
    "fixed",
    "regression",
    "aborted",
    "failure",
    "success",
    "unstable",
    "unsuccessful",
    "cleanup",
]
# Written in an order that is not the one they run in.
ALL_POST = "post { " + " ".join(f"{name} {{ echo '>{name}' }}" for name in reversed(ORDER)) + " }"


def stages(*bodies: str) -> str:
    return " ".join(f"stage('{chr(65 + i)}') {{ steps {{ {body} }} }}" for i, body in enumerate(bodies))


@pytest.mark.parametrize(
    ("first", "outcome", "state_of_first", "state_of_second"),
    [
        ("echo 'fine'", "succeeded", "succeeded", "succeeded"),
        ("sh 'true'", "succeeded", "succeeded", "succeeded"),
        ("sh 'exit 3'", "failed", "failed", "skipped"),
        ("error 'boom'", "failed", "failed", "skipped"),
        ("unstable 'shaky'", "unstable", "unstable", "succeeded"),
        ("catchError { error 'x' }", "failed", "succeeded", "succeeded"),
        (
            "catchError(buildResult: 'SUCCESS', stageResult: 'FAILURE') { error 'x' }",
            "succeeded",
            "failed",
            "succeeded",
        ),
        (
            "catchError(buildResult: 'UNSTABLE', stageResult: 'UNSTABLE') { error 'x' }",
            "unstable",
            "unstable",
            "succeeded",
        ),
        ("warnError('careful') { sh 'exit 1' }", "unstable", "unstable", "succeeded"),
        ("timeout(time: 200, unit: 'MILLISECONDS') { sh 'sleep 60' }", "cancelled", "cancelled", "skipped"),
        ("catchError { timeout(time: 200, unit: 'MILLISECONDS') { sleep 60 } }", "cancelled", "cancelled", "succeeded"),
        ("noSuchStep 'x'", "failed", "failed", "skipped"),
        ("readFile 'missing'", "failed", "failed", "skipped"),
        ("dir('/etc') { deleteDir() }", "failed", "failed", "skipped"),
    ],
)
def test_what_a_stage_does_to_the_build_and_to_the_next_stage(
    ground: Ground, first: str, outcome: str, state_of_first: str, state_of_second: str
) -> None:
    ran = ground.run(pipeline(stages(first, "echo 'second'")))
    assert (ran.state, ran.states) == (outcome, {"A": state_of_first, "B": state_of_second})
    assert bool(ran.outcome.sentence) == (outcome != "succeeded")


@pytest.mark.parametrize(
    ("step", "previous", "expected"),
    [
        ("echo 'ok'", None, ["always", "changed", "success", "cleanup"]),
        ("echo 'ok'", "succeeded", ["always", "success", "cleanup"]),
        ("echo 'ok'", "failed", ["always", "changed", "fixed", "success", "cleanup"]),
        ("echo 'ok'", "unstable", ["always", "changed", "fixed", "success", "cleanup"]),
        ("echo 'ok'", "cancelled", ["always", "changed", "success", "cleanup"]),
        ("error 'x'", "succeeded", ["always", "changed", "regression", "failure", "unsuccessful", "cleanup"]),
        ("error 'x'", "failed", ["always", "failure", "unsuccessful", "cleanup"]),
        ("unstable 'x'", "succeeded", ["always", "changed", "regression", "unstable", "unsuccessful", "cleanup"]),
        ("unstable 'x'", "failed", ["always", "changed", "unstable", "unsuccessful", "cleanup"]),
        (
            "timeout(time: 100, unit: 'MILLISECONDS') { sleep 9 }",
            "succeeded",
            ["always", "changed", "regression", "aborted", "unsuccessful", "cleanup"],
        ),
    ],
)
def test_the_posts_of_stage_and_pipeline_run_in_jenkins_order(
    ground: Ground, step: str, previous: str | None, expected: list[str]
) -> None:
    text = f"stage('A') {{ steps {{ {step} }} {ALL_POST} }}"
    ran = ground.run(pipeline(text, ALL_POST), previous_result=previous)
    assert ran.said() == expected * 2


@pytest.mark.parametrize(
    ("name", "run", "error", "stage", "expected"),
    [
        # A stage's success and failure look at its own error once the build has failed elsewhere.
        ("success", Result.FAILURE, None, True, True),
        ("failure", Result.FAILURE, None, True, False),
        ("failure", Result.FAILURE, None, False, True),
        ("success", Result.FAILURE, None, False, False),
        ("failure", Result.ABORTED, StepFailed(S("x")), True, False),
        ("aborted", Result.ABORTED, Interrupted(Interrupt(S("x"))), True, True),
        ("success", Result.UNSTABLE, None, True, False),
        ("unsuccessful", None, StepFailed(S("x")), True, True),
        ("success", None, StepFailed(S("x")), True, False),
        ("notBuilt", Result.NOT_BUILT, None, False, True),
    ],
)
def test_conditions_in_their_corners(
    name: str, run: Result | None, error: Exception | None, stage: bool, expected: bool
) -> None:
    assert condition_holds(name, run=run, error=error, previous=None, stage=stage) is expected


def test_an_error_in_one_post_condition_fails_the_build_and_the_later_ones_still_run(ground: Ground) -> None:
    post = "post { always { error 'in post' } success { echo '>success' } failure { echo '>failure' } cleanup { echo '>cleanup' } }"
    ran = ground.run(pipeline("stage('A') { steps { echo 'x' } }", post))
    assert ran.said() == ["failure", "cleanup"]
    assert ran.state == "failed"
    assert "in post" in ran.sentence


def test_a_failing_stage_post_fails_its_stage(ground: Ground) -> None:
    ran = ground.run(
        pipeline("stage('A') { steps { echo 'x' } post { always { sh 'false' } } } stage('B') { steps { echo 'b' } }")
    )
    assert ran.states == {"A": "failed", "B": "skipped"}


def test_the_pipelines_post_runs_though_the_agent_never_came(ground: Ground) -> None:
    text = "pipeline { agent { docker 'alpine' }\n stages { stage('A') { steps { echo 'x' } } } post { always { echo '>post' } failure { echo '>failure' } } }"
    ran = ground.run(text)
    assert ran.said() == ["post", "failure"]
    assert ran.state == "failed"
    assert "docker" in ran.sentence


def test_a_docker_agent_fails_its_stage_alone_with_a_sentence(ground: Ground) -> None:
    ran = ground.run(
        "pipeline { agent none stages { stage('A') { agent { docker { image 'alpine' } } steps { sh 'true' } }"
        " stage('B') { steps { echo 'b' } } } }"
    )
    assert ran.states == {"A": "failed", "B": "skipped"}
    assert "this host only" in ran.sentence


def test_without_an_agent_a_step_that_needs_one_fails_with_a_sentence_and_others_run(ground: Ground) -> None:
    ran = ground.run("pipeline { agent none stages { stage('A') { steps { echo '>here'; sh 'true' } } } }")
    assert ran.said() == ["here"]
    assert "agent none" in ran.sentence


def test_skipped_stages_say_why_all_the_way_down(ground: Ground) -> None:
    ran = ground.run(
        pipeline(
            "stage('A') { steps { error 'no' } }"
            " stage('B') { stages { stage('C') { steps { echo 'x' } } stage('D') { parallel {"
            " stage('E') { steps { echo 'x' } } stage('F') { steps { echo 'x' } } } } } }"
        )
    )
    assert ran.states == dict.fromkeys(["B", "B/C", "B/D", "B/D/E", "B/D/F"], "skipped") | {"A": "failed"}
    reasons = {str(u.sentence) for u in ran.sink.updates if u.state == "skipped"}
    assert reasons == {"Skipped because an earlier stage failed."}


def test_nested_stages_pass_their_error_up_and_their_posts_run_inside_out(ground: Ground) -> None:
    ran = ground.run(
        pipeline(
            "stage('A') { stages { stage('B') { steps { sh 'exit 1' } post { failure { echo '>b' } } }"
            " stage('C') { steps { echo 'c' } } } post { failure { echo '>a' } success { echo '>wrong' } } }",
            "post { failure { echo '>all' } }",
        )
    )
    assert ran.said() == ["b", "a", "all"]
    assert ran.states == {"A": "failed", "A/B": "failed", "A/C": "skipped"}


def test_an_unstable_stage_within_marks_the_stages_around_it(ground: Ground) -> None:
    ran = ground.run(
        pipeline("stage('A') { stages { stage('B') { steps { unstable 'x' } } stage('C') { steps { echo 'c' } } } }")
    )
    assert ran.states == {"A": "unstable", "A/B": "unstable", "A/C": "succeeded"}
    assert ran.sink.results == ["unstable"]


def test_skip_stages_after_unstable(ground: Ground) -> None:
    text = pipeline(
        "stage('A') { steps { unstable 'x' } } stage('B') { steps { echo 'b' } }", options="skipStagesAfterUnstable()"
    )
    ran = ground.run(text)
    assert ran.states == {"A": "unstable", "B": "skipped"}
    assert ran.state == "unstable"


def test_the_result_only_gets_worse(ground: Ground) -> None:
    ran = ground.steps(
        "script { currentBuild.result = 'FAILURE'\n currentBuild.result = 'SUCCESS'\n echo \">${currentBuild.currentResult}\" }"
    )
    assert ran.said() == ["FAILURE"]
    assert ran.state == "failed"


def test_a_bad_pipeline_says_where_and_runs_nothing(ground: Ground) -> None:
    for text in ("", "pipeline {", "pipeline { agent any stages { } }", "pipeline { agent any }", "x\0y", "{" * 5000):
        ran = ground.run(text)
        assert ran.state == "failed"
        assert "line" in ran.sentence
        assert not ran.sink.updates


def test_stage_updates_come_parents_first_with_times_and_end_once(ground: Ground) -> None:
    ran = ground.run(pipeline("stage('A') { stages { stage('x/y%') { steps { echo 'b' } } } }"))
    ids = [u.id for u in ran.sink.updates]
    assert ids == ["A", "A/x%2Fy%25", "A/x%2Fy%25", "A"]
    inner = ran.sink.updates[2]
    assert (inner.parent, inner.name, inner.path) == ("A", "x/y%", ("A", "x/y%"))
    assert inner.started_at
    assert inner.finished_at
    assert inner.started_at <= inner.finished_at


def test_the_id_of_a_stage_is_short_and_its_own_however_long_the_names(ground: Ground) -> None:
    long = "x" * 70
    ran = ground.run(
        pipeline(
            f"stage('A{long}') {{ stages {{ stage('B{long}1') {{ steps {{ echo 'b' }} }} stage('B{long}2') {{ steps {{ echo 'b' }} }} }} }}"
        )
    )
    assert len(ran.states) == 3
    assert max(map(len, ran.states)) <= 80
    assert {u.parent for u in ran.sink.updates} == {None, f"A{long}"}
