"""The state a build really reached, and why, as a sentence."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from builds.drivers.builder.jenkins import JenkinsBuilder
from builds.drivers.builder.remote import KEY
from fangduoduo_release.common.errors import Unavailable

from .canned import Answer, Canned, json_answer, recorded_json, recording

URL = "/job/f/job/p"


def look(jenkins: Canned, builder: JenkinsBuilder, build: Answer, **more: Answer) -> Any:
    jenkins.rules[f"GET {URL}/2/api/json"] = build
    for name, answer in more.items():
        jenkins.rules[f"GET {URL}/2/{name.replace('_', '/')}"] = answer
    return builder.observe("f/p", 2)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("build-info-success", "succeeded"),
        ("build-info-unstable", "unstable"),
        ("build-info-fail", "failed"),
        ("build-info-aborted", "cancelled"),
        ("build-info-aborted-in-queue", "cancelled"),
        ("build-info-running", "running"),
        ("build-info-input", "running"),
        ("build-info-waiting-for-node", "running"),
        ("build-info-syntax-error", "failed"),
        ("build-info-running-tree", "running"),
    ],
)
def test_every_recorded_build_is_in_the_state_it_reached(
    jenkins: Canned, builder: JenkinsBuilder, name: str, state: str
) -> None:
    found = look(jenkins, builder, recording(name))
    assert found.state == state
    assert found.external_url == f"{jenkins.url}{URL}/2/"
    assert (found.finished_at is None) == (state == "running")
    assert (found.sentence is None) == (state in {"running", "succeeded"})


def test_times_come_from_jenkins(jenkins: Canned, builder: JenkinsBuilder) -> None:
    found = look(jenkins, builder, recording("build-info-aborted"))
    assert found.started_at == datetime.fromtimestamp(1795421404.989, UTC)
    assert (found.finished_at - found.started_at).total_seconds() == pytest.approx(16.329)


def test_a_build_with_tests_or_a_question_says_so(jenkins: Canned, builder: JenkinsBuilder) -> None:
    assert look(jenkins, builder, recording("build-info-success")).has_tests
    assert not look(jenkins, builder, recording("build-info-aborted")).has_tests
    assert look(jenkins, builder, recording("build-info-input")).asks
    assert not look(jenkins, builder, recording("build-info-running")).asks


def test_the_key_is_told(jenkins: Canned, builder: JenkinsBuilder) -> None:
    build = recorded_json("build-info-success")
    build["actions"][0]["parameters"].append({"name": KEY, "value": "k-9"})
    assert look(jenkins, builder, json_answer(build)).key == "k-9"


def test_a_failure_says_which_stage_and_what_happened(jenkins: Canned, builder: JenkinsBuilder) -> None:
    found = look(jenkins, builder, recording("build-info-fail"), wfapi_describe=recording("wfapi-describe-fail"))
    assert str(found.sentence) == "The stage “Build” failed: script returned exit code 3"


def test_a_pipeline_that_jenkins_cannot_read_says_where(jenkins: Canned, builder: JenkinsBuilder) -> None:
    found = look(
        jenkins,
        builder,
        recording("build-info-syntax-error"),
        wfapi_describe=recording("wfapi-describe-syntax-error"),
        logText_progressiveText=log("consoleText-syntax-error"),
    )
    assert str(found.sentence) == 'Jenkins cannot read the pipeline, line 1: Undefined section "agnt"'


def log(name: str) -> Answer:
    return Answer(200, recording(name).body, {"X-Text-Size": "9", "Content-Type": "text/plain;charset=utf-8"})


def test_the_sandbox_names_what_it_does_not_permit(jenkins: Canned, builder: JenkinsBuilder) -> None:
    found = look(
        jenkins,
        builder,
        recording("build-info-fail"),
        wfapi_describe=recording("wfapi-describe-no-stage"),
        logText_progressiveText=log("consoleText-sandbox-rejected"),
    )
    assert "staticMethod jenkins.model.Jenkins get" in str(found.sentence)
    assert "In-process Script Approval" in str(found.sentence)
    assert "Administrators can" not in str(found.sentence)


def test_the_sandbox_speaks_through_a_stage_too(jenkins: Canned, builder: JenkinsBuilder) -> None:
    described = recorded_json("wfapi-describe-fail")
    described["stages"][1]["error"] = {
        "message": "Scripts not permitted to use method java.io.File delete. Administrators can decide whether …",
        "type": "org.jenkinsci.plugins.scriptsecurity.sandbox.RejectedAccessException",
    }
    found = look(jenkins, builder, recording("build-info-fail"), wfapi_describe=json_answer(described))
    assert "use “method java.io.File delete”;" in str(found.sentence)


def test_an_error_outside_of_any_stage_is_taken_from_the_log(jenkins: Canned, builder: JenkinsBuilder) -> None:
    said = b"Started\n[2026-11-23T08:09:33.043Z] ERROR: Couldn't find any revision to build.\nFinished: FAILURE\n"
    found = look(
        jenkins,
        builder,
        recording("build-info-fail"),
        logText_progressiveText=Answer(200, said, {"X-Text-Size": "9"}),
    )
    assert str(found.sentence) == "The build failed in Jenkins: Couldn't find any revision to build."


def test_a_failure_without_any_reason_points_to_the_log(jenkins: Canned, builder: JenkinsBuilder) -> None:
    found = look(jenkins, builder, recording("build-info-fail"))
    assert str(found.sentence) == "The build failed in Jenkins; its log says why."


@pytest.mark.parametrize("fault", ["reset", "truncated"])
def test_that_it_failed_is_told_even_when_the_reason_cannot_be_read(
    jenkins: Canned, builder: JenkinsBuilder, fault: str
) -> None:
    torn = Answer(200, recording("wfapi-describe-fail").body, fault=fault)
    found = look(jenkins, builder, recording("build-info-fail"), wfapi_describe=torn)
    assert found.state == "failed"
    assert "could not be read" in str(found.sentence)


def test_who_stopped_a_build_is_told(jenkins: Canned, builder: JenkinsBuilder) -> None:
    build = recorded_json("build-info-aborted")
    for action in build["actions"]:
        if action.get("_class") == "jenkins.model.InterruptedBuildAction":
            action["causes"] = [{"shortDescription": "Aborted by admin"}, {"shortDescription": "Aborted by admin"}]
    found = look(jenkins, builder, json_answer(build))
    assert str(found.sentence) == "The build was stopped in Jenkins: Aborted by admin."
    assert "Started by" not in str(found.sentence)


def test_a_stop_without_a_cause_is_still_a_stop(jenkins: Canned, builder: JenkinsBuilder) -> None:
    assert str(look(jenkins, builder, recording("build-info-aborted")).sentence) == "The build was stopped in Jenkins."


@pytest.mark.parametrize(
    ("result", "state", "word"),
    [
        ("NOT_BUILT", "cancelled", "without building"),
        (None, "failed", "without a result"),
        ("NEW", "failed", "without a result"),
    ],
)
def test_rare_results_have_their_own_sentence(
    jenkins: Canned, builder: JenkinsBuilder, result: str | None, state: str, word: str
) -> None:
    found = look(jenkins, builder, json_answer({"number": 2, "building": False, "result": result, "actions": []}))
    assert found.state == state
    assert word in str(found.sentence)


def test_a_result_while_it_still_runs_is_not_its_end(jenkins: Canned, builder: JenkinsBuilder) -> None:
    found = look(jenkins, builder, json_answer({"building": True, "result": "FAILURE", "timestamp": 1795421404989}))
    assert found.state == "running"
    assert found.sentence is None


def test_a_deleted_build_and_a_deleted_job_are_told_apart(jenkins: Canned, builder: JenkinsBuilder) -> None:
    found = look(jenkins, builder, recording("build-info-missing"))
    assert found.state is None
    assert str(found.sentence).startswith("The job “f/p” was deleted in Jenkins")
    jenkins.rules[f"GET {URL}/api/json"] = json_answer({"name": "p"})
    assert str(builder.observe("f/p", 2).sentence) == "Build 2 of “f/p” was deleted in Jenkins."


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"actions": 3}', b'{"actions": [null, 1], "timestamp": "x"}'])
def test_answers_of_an_odd_shape_break_nothing(jenkins: Canned, builder: JenkinsBuilder, body: bytes) -> None:
    assert look(jenkins, builder, Answer(200, body)).state == "failed"


def test_an_answer_nested_beyond_reason_is_refused(jenkins: Canned, builder: JenkinsBuilder) -> None:
    with pytest.raises(Unavailable):
        look(jenkins, builder, Answer(200, b"[" * 200_000, {"Content-Type": "application/json"}))


def test_a_hostile_log_costs_no_time(jenkins: Canned, builder: JenkinsBuilder) -> None:
    said = "MultipleCompilationErrorsException\n" + "WorkflowScript: 1: x\n" * 60_000
    started = time.thread_time()
    found = look(
        jenkins,
        builder,
        recording("build-info-fail"),
        logText_progressiveText=Answer(200, said.encode(), {"X-Text-Size": "9"}),
    )
    assert time.thread_time() - started < 20
    assert str(found.sentence) == "The build failed in Jenkins; its log says why."
