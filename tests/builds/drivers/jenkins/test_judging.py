"""Jenkins' own judgement of a pipeline, with line and column."""

from __future__ import annotations

import time

import pytest

from builds.drivers.builder.jenkins import JenkinsBuilder
from fangduoduo_release.common.errors import Rejected, Unavailable

from .canned import Answer, Canned

VALIDATE = "POST /pipeline-model-converter/validate"
AGENT = """Errors encountered validating Jenkinsfile:
WorkflowScript: 27: Invalid agent type "x" specified. Must be one of [any, docker,
 dockerfile, label, none] @ line 27, column 9.
           agent { x }
           ^

WorkflowScript: 1: Missing required section "stages" @ line 1, column 1.
   pipeline { agnt any }
   ^

"""


def test_a_good_pipeline_has_no_errors_and_a_judge(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[VALIDATE] = Answer(200, b"Jenkinsfile successfully validated.\n", {"X-Jenkins": "2.440.2"})
    found = builder.validate("pipeline { ü }")
    assert found.errors == ()
    assert found.judged_by == "Jenkins 2.440.2 (127.0.0.1)"
    assert jenkins.asked[0].form == {"jenkinsfile": "pipeline { ü }"}


def test_errors_have_line_column_and_words(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[VALIDATE] = Answer(200, AGENT.encode())
    first, second = builder.validate("x").errors
    assert (first.line, first.column) == (27, 9)
    assert 'Invalid agent type "x" specified. Must be one of [any, docker, dockerfile' in str(first.message)
    assert "^" not in str(first.message)
    assert (second.line, second.column, str(second.message)) == (
        1,
        1,
        'Jenkins says: Missing required section "stages"',
    )


def test_words_without_a_place_concern_the_whole_text(jenkins: Canned, builder: JenkinsBuilder) -> None:
    said = "Errors encountered validating Jenkinsfile:\nJenkinsfile content 'x' did not contain the 'pipeline' step"
    jenkins.rules[VALIDATE] = Answer(200, said.encode())
    (only,) = builder.validate("x").errors
    assert (only.line, only.column) == (1, 1)
    assert str(only.message) == "Jenkins says: Jenkinsfile content 'x' did not contain the 'pipeline' step"


def test_a_jenkins_without_the_plugin_has_no_validator(jenkins: Canned, builder: JenkinsBuilder) -> None:
    with pytest.raises(Rejected) as caught:
        builder.validate("x")
    assert caught.value.code == "no_validator"
    assert "pipeline-model-definition" in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"<html><body>Sign in</body></html>"])
def test_a_sign_in_page_is_no_judgement(jenkins: Canned, builder: JenkinsBuilder, body: bytes) -> None:
    jenkins.rules[VALIDATE] = Answer(200, body)
    with pytest.raises(Unavailable) as caught:
        builder.validate("x")
    assert caught.value.code == "not_jenkins"


def test_a_flood_of_errors_is_cut(jenkins: Canned, builder: JenkinsBuilder) -> None:
    line = "WorkflowScript: 3: odd @ line 3, column 5.\n"
    jenkins.rules[VALIDATE] = Answer(200, (line * 5000).encode())
    assert len(builder.validate("x").errors) == 100


def test_a_hostile_judgement_costs_no_time(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[VALIDATE] = Answer(200, b"WorkflowScript: 1: x\n" * 60_000)
    started = time.thread_time()
    assert len(builder.validate("x").errors) == 1
    assert time.thread_time() - started < 20
