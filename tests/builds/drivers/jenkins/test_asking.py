"""Input steps: what is asked, and answers that reach the right question once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builds.drivers.builder.base import InputParameter
from builds.drivers.builder.jenkins import JenkinsBuilder
from fangduoduo_release.common.errors import Rejected

from .canned import Answer, Canned, json_answer, recording

URL = "/job/f/job/p/1"
PENDING = f"GET {URL}/wfapi/pendingInputActions"
DESCRIBE = f"GET {URL}/wfapi/describe"
ID = "636f38b31b33dac894e924382f65efd1"


def test_a_recorded_question_is_read(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[PENDING] = recording("wfapi-pendingInputActions")
    jenkins.rules[DESCRIBE] = recording("wfapi-describe-input")
    (question,) = builder.questions("f/p", 1)
    assert (question.id, question.stage, question.message, question.ok) == (ID, "Approve", "Deploy?", "Go")
    assert question.parameters == (InputParameter("WHY", "string", "x"),)


def test_every_kind_of_parameter_is_told(jenkins: Canned, builder: JenkinsBuilder) -> None:
    def asked(kind: str, **definition: Any) -> dict[str, Any]:
        return {"type": f"{kind}ParameterDefinition", "name": kind, "description": "why", "definition": definition}

    inputs = [
        asked("Choice", choices=["a", "b"]),
        asked("Boolean", defaultVal=True),
        asked("Text", defaultVal="two\nlines"),
        asked("Password", defaultVal="secret"),
        asked("Surprise", defaultVal=None),
    ]
    jenkins.rules[PENDING] = json_answer([{"id": "Go-1", "message": "?", "inputs": inputs}])
    jenkins.rules[DESCRIBE] = recording("wfapi-describe-parallel")
    (question,) = builder.questions("f/p", 1)
    assert question.stage is None
    assert question.ok == "Proceed"
    assert [(p.kind, p.default, p.choices) for p in question.parameters] == [
        ("choice", "", ("a", "b")),
        ("booleanParam", True, ()),
        ("text", "two\nlines", ()),
        ("password", "", ()),
        ("string", "", ()),
    ]
    assert question.parameters[0].description == "why"


@pytest.mark.parametrize("answer", [json_answer([]), Answer(404), json_answer({})])
def test_a_build_that_asks_nothing_has_no_questions(jenkins: Canned, builder: JenkinsBuilder, answer: Answer) -> None:
    jenkins.rules[PENDING] = answer
    assert list(builder.questions("f/p", 1)) == []
    assert len(jenkins.asked) == 1


def asks(jenkins: Canned, *names: str) -> None:
    inputs = [{"type": "StringParameterDefinition", "name": name, "definition": {"defaultVal": "d"}} for name in names]
    inputs += (
        [{"type": "ChoiceParameterDefinition", "name": "ONE", "definition": {"choices": ["a", "b"]}}] if names else []
    )
    jenkins.rules[PENDING] = json_answer([{"id": ID, "proceedText": "Go", "message": "Deploy?", "inputs": inputs}])


def sent(jenkins: Canned) -> dict[str, Any]:
    (asked,) = [one for one in jenkins.asked if one.method == "POST"]
    assert asked.query == {}
    found = json.loads(asked.form["json"])["parameter"]
    return {one["name"]: one["value"] for one in found}


def test_yes_with_values_is_sent_as_recorded(jenkins: Canned, builder: JenkinsBuilder) -> None:
    asks(jenkins, "WHY", "SURE")
    jenkins.rules[f"POST {URL}/input/{ID}/proceed"] = recording("input-proceed")
    builder.answer("f/p", 1, ID, proceed=True, values={"WHY": "ok & ä", "SURE": True, "ONE": "b"})
    assert sent(jenkins) == {"WHY": "ok & ä", "SURE": True, "ONE": "b"}


def test_what_is_not_answered_gets_its_default(jenkins: Canned, builder: JenkinsBuilder) -> None:
    asks(jenkins, "WHY", "WHEN")
    jenkins.rules[f"POST {URL}/input/{ID}/proceed"] = recording("input-proceed")
    builder.answer("f/p", 1, ID, proceed=True, values={"WHY": "x", "NOT_ASKED_FOR": "y"})
    assert sent(jenkins) == {"WHY": "x", "WHEN": "d", "ONE": "a"}


def test_a_plain_yes_and_a_no_have_addresses_of_their_own(jenkins: Canned, builder: JenkinsBuilder) -> None:
    asks(jenkins)
    jenkins.rules[f"POST {URL}/input/{ID}/proceedEmpty"] = Answer(302, b"", {"Location": "/elsewhere"})
    jenkins.rules[f"POST {URL}/input/{ID}/abort"] = Answer(200)
    builder.answer("f/p", 1, ID, proceed=True, values={})
    builder.answer("f/p", 1, ID, proceed=False, values={"WHY": "ignored"})
    assert [path.rpartition("/")[2] for path in jenkins.paths("POST")] == ["proceedEmpty", "abort"]


@pytest.mark.parametrize("proceed", [True, False])
def test_an_answer_that_nobody_waits_for_is_refused(jenkins: Canned, builder: JenkinsBuilder, proceed: bool) -> None:
    with pytest.raises(Rejected) as caught:
        builder.answer("f/p", 1, ID, proceed=proceed, values={})
    assert caught.value.code == "not_asked"


def test_a_second_answer_at_the_same_moment_is_refused_as_late(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[f"POST {URL}/input/{ID}/proceedEmpty"] = Answer(400, b"This input has been already given")
    asks(jenkins)
    jenkins.rules[PENDING] = [jenkins.rules[PENDING], json_answer([])]  # type: ignore[list-item]
    with pytest.raises(Rejected) as caught:
        builder.answer("f/p", 1, ID, proceed=True, values={})
    assert caught.value.code == "not_asked"


def test_a_value_that_jenkins_does_not_take_leaves_the_question_open(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[f"POST {URL}/input/{ID}/proceed"] = Answer(500, b"Illegal choice for parameter: top-secret-value")
    jenkins.rules[PENDING] = recording("wfapi-pendingInputActions")
    with pytest.raises(Rejected) as caught:
        builder.answer("f/p", 1, ID, proceed=True, values={"WHY": "top-secret-value"})
    assert caught.value.code == "bad_parameters"
    assert "Illegal choice" in caught.value.evidence
    assert "top-secret" not in caught.value.evidence


def test_who_may_not_answer_is_told_so(jenkins: Canned, builder: JenkinsBuilder) -> None:
    headers = {"X-Required-Permission": "hudson.model.Item.Cancel"}
    jenkins.rules[f"POST {URL}/input/{ID}/abort"] = Answer(403, b"no", headers)
    with pytest.raises(Rejected) as caught:
        builder.answer("f/p", 1, ID, proceed=False, values={})
    assert caught.value.code == "no_permission"
    assert "Job/Cancel" in str(caught.value)
