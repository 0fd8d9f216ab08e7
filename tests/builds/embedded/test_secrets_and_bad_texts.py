"""Secrets with difficult characters stay hidden in every trace; texts that no database takes never reach one."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from builds.drivers.builder.base import Credential

from .ground import Ground, Recorder, pipeline

WEIRD = 'it\'s a "p$ss\\w`rd" & more%+/='


def texts(value: Any) -> list[str]:
    """Every text within a value of the border."""
    if isinstance(value, str):
        return [value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [t for f in dataclasses.fields(value) for t in texts(getattr(value, f.name))]
    if isinstance(value, dict):
        return [t for k, v in value.items() for t in (*texts(k), *texts(v))]
    if isinstance(value, list | tuple | set | frozenset):
        return [t for v in value for t in texts(v)]
    return []


def everything(sink: Recorder, *more: Any) -> list[str]:
    return texts([sink.text, sink.updates, sink.inputs, sink.reports, sink.artifacts, sink.names, *more])


@pytest.mark.parametrize("shell", ["", "#!/bin/bash -xe\n"])
def test_a_secret_is_hidden_as_shells_trace_it(ground: Ground, shell: str) -> None:
    script = f'{shell}echo "$T"; X="$T"; test "$T" = "x$T" || true; printf \'%s\' "$T" | python3 -c \'import sys,json,urllib.parse as u; t=sys.stdin.read(); print(json.dumps(t), u.quote(t), u.quote_plus(t), repr(t))\''
    ran = ground.run(
        pipeline(f"stage('S') {{ environment {{ T = credentials('t') }} steps {{ sh '''{script}\n''' }} }}"),
        credentials={"t": Credential("text", {"secret": WEIRD})},
    )
    assert ran.state == "succeeded", ran.text
    assert "p$ss" not in ran.text
    assert "w`rd" not in ran.text
    assert ran.text.count("****") >= 5


def test_values_given_as_secret_are_hidden_though_no_credential_holds_them(ground: Ground) -> None:
    ran = ground.steps("echo 'the registry-token-1 is here'", secrets=("registry-token-1",))
    assert "the **** is here" in ran.text


def test_a_password_parameter_and_a_password_answer_are_hidden(ground: Ground) -> None:
    running = ground.start(
        pipeline(
            "stage('S') { steps { script { def p = input(message: 'pw?', parameters: [password(name: 'P', defaultValue: 'default-pw')])\n"
            'echo ">${p} ${params.Q}" } } }',
            "parameters { password(name: 'Q', defaultValue: '') }",
        ),
        parameters={"Q": "given-password"},
    )
    asked = running.wait_for_input()
    assert "default-pw" not in repr(asked)
    running.execution.answer_input(asked.id, True, {"P": "typed-password"}, "ann")
    ran = running.end()
    assert ran.said() == ["**** ****"]


def test_a_branch_never_sees_the_private_files_of_a_finished_block(ground: Ground) -> None:
    ran = ground.steps(
        "withCredentials([file(credentialsId: 'f', variable: 'F')]) { sh 'true' }\n sh 'find .. -name \"*.secret\" | sed s/^/\\\\>/'",
        credentials={"f": Credential("file", {"name": "x.secret", "content": "abcdef"})},
    )
    assert ran.said() == []


def test_texts_that_are_no_texts_never_reach_the_sink(ground: Ground) -> None:
    bad = "a\\u0000b\\ud800c\\u001b]0;x\\u0007d"
    running = ground.start(
        pipeline(
            f'stage("{bad}") {{ steps {{ echo "{bad}"\n'
            f'withEnv(["W=x\\ud800y"]) {{ sh \'echo ">$W"\' }}\n'
            f'script {{ currentBuild.description = "{bad}"\n stage("in {bad}") {{ echo \'x\' }}\n'
            f'input(message: "{bad}", parameters: [string(name: \'N\', defaultValue: "{bad}", description: "{bad}")]) }}\n'
            f"writeFile(file: 'r.xml', text: '<testsuite name=\"s\"><testcase name=\"&#27;[2Jz\"/></testsuite>')\n"
            f'error "{bad}" }} }}'
        )
    )
    asked = running.wait_for_input()
    running.execution.answer_input(asked.id, True, {}, "ann")
    ran = running.end()
    assert ran.state == "failed"
    for text in everything(ran.sink, ran.outcome):
        assert "\0" not in text
        assert "]0;" not in text
        text.encode("utf-8")


def test_sentences_and_evidence_have_a_bounded_size(ground: Ground) -> None:
    ran = ground.steps("script { def s = 'x' * 300000\n echo s\n error s }")
    assert ran.state == "failed"
    assert len(ran.sentence) <= 2000
    assert len(ran.outcome.evidence) <= 20 * 501
    assert all(len(str(u.sentence)) <= 2000 for u in ran.sink.updates)


def test_html_stays_the_text_it_is(ground: Ground) -> None:
    assert "<img src=x onerror=alert(1)>" in ground.steps("echo '<img src=x onerror=alert(1)>'").text


def test_the_lists_of_steps_agree() -> None:
    from builds.drivers.builder.embedded.steps import ALL_STEPS
    from builds.jenkinsfile.steps import RUNNABLE_STEPS, VALUE_STEPS

    assert set(RUNNABLE_STEPS | VALUE_STEPS) - set(ALL_STEPS) == set()
