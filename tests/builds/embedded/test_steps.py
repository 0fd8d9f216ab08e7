"""Each step does what Jenkins' step of that name does, with a real shell and real files."""

from __future__ import annotations

import pytest

from .ground import Ground, Hands, pipeline
from .test_process import alive


def test_sh_returns_output_status_or_fails(ground: Ground) -> None:
    ran = ground.steps(
        "script { def out = sh(script: 'printf \"a b\"; echo noise >&2', returnStdout: true)\n"
        "def code = sh(script: 'exit 4', returnStatus: true)\n echo \">${out}|${code}\" }"
    )
    assert ran.said() == ["a b|4"]
    assert "noise" in ran.text
    assert "+ exit 4" in ran.text


def test_sh_runs_as_minus_xe_and_stops_at_the_first_error(ground: Ground) -> None:
    ran = ground.steps("sh '''echo one\nfalse\necho never'''")
    assert "+ echo one" in ran.text
    assert "never" not in ran.text
    assert ran.sentence == "script returned exit code 1"


def test_a_first_line_with_an_interpreter_is_respected(ground: Ground) -> None:
    ran = ground.steps("sh '''#!/usr/bin/env python3\nimport sys\nprint('>py', len(sys.argv))'''")
    assert ran.said() == ["py 1"]
    assert "+ " not in ran.text
    ran = ground.steps("sh '''#!/bin/sh\nfalse\necho '>not -e' '''")
    assert ran.said() == ["not -e"]
    ran = ground.steps("sh '''#!/no/such/thing\nx'''")
    assert "no interpreter" in ran.sentence


def test_sh_decodes_what_it_returns_by_encoding(ground: Ground) -> None:
    ran = ground.steps(
        "script { def x = sh(script: 'printf \"\\\\344\\\\366\"', returnStdout: true, encoding: 'ISO-8859-1')\n echo \">${x}\" }"
    )
    assert ran.said() == ["äö"]


def test_a_label_stands_above_the_step(ground: Ground) -> None:
    assert "# Compile it" in ground.steps("sh(label: 'Compile it', script: 'true')").sink.lines


def test_the_environment_of_a_step_is_clean_and_complete(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://portal:secret@db/portal")
    monkeypatch.setenv("SECRET_KEY", "portal-secret-key")
    ran = ground.steps("sh 'env | sed s/^/\\\\>/'", build_url="http://portal/builds/1/", portal_url="http://portal/")
    values = dict(line.split("=", 1) for line in ran.said() if "=" in line)
    assert "DATABASE_URL" not in values
    assert "SECRET_KEY" not in values
    assert not [name for name in values if name.startswith(("DJANGO", "PYTHON", "VIRTUAL", "PYTEST"))]
    expected = {
        "BUILD_NUMBER": "7", "BUILD_ID": "7", "BUILD_TAG": "jenkins-shop-7", "BUILD_DISPLAY_NAME": "#7",
        "JOB_NAME": "shop", "JOB_BASE_NAME": "shop", "BRANCH_NAME": "main", "GIT_BRANCH": "main",
        "GIT_COMMIT": ground.commit, "CI": "true", "EXECUTOR_NUMBER": "0", "NODE_NAME": "built-in",
        "STAGE_NAME": "S", "BUILD_URL": "http://portal/builds/1/", "LANG": "C.UTF-8",
        "WORKSPACE": str(ran.root / "ws"), "HOME": str(ran.root / "home"), "TMPDIR": str(ran.root / "tmp"),
        "PWD": str(ran.root / "ws"),
    }  # fmt: skip
    assert {k: values.get(k) for k in expected} == expected
    assert "TAG_NAME" not in values
    assert values["FDD_BUILD_KEY"]


def test_files_are_written_read_found_and_removed(ground: Ground) -> None:
    ran = ground.steps(
        "writeFile(file: 'a/b.txt', text: 'héllo')\n"
        "script { echo \">${readFile('a/b.txt')} ${fileExists('a/b.txt')} ${fileExists('nope')} ${isUnix()}\" }\n"
        "dir('a') { sh 'echo \">$(basename $PWD)\"'; deleteDir() }\n"
        "script { echo \">${fileExists('a')} ${pwd() == env.WORKSPACE}\" }\n"
        "sh 'touch x .y; mkdir d'\n cleanWs()\n sh 'echo \">$(ls -A | wc -l)\"'"
    )
    assert [s.strip() for s in ran.said()] == ["héllo true false true", "a", "false true", "0"]


@pytest.mark.parametrize(
    "step",
    [
        "readFile '../../../../etc/passwd'",
        "readFile '/etc/passwd'",
        "writeFile(file: '/tmp/fdd-escape', text: 'x')",
        "writeFile(file: '../../escape', text: 'x')",
        "dir('../../..') { sh 'pwd' }",
        "fileExists '/etc/passwd'",
        "sh 'ln -s /etc link'\n readFile 'link/passwd'",
        "sh 'ln -s /etc link'\n writeFile(file: 'link/fdd-escape', text: 'x')",
    ],
)
def test_file_steps_stay_in_the_builds_folders(ground: Ground, step: str) -> None:
    ran = ground.steps(step)
    assert ran.state == "failed"
    assert "outside of the workspace" in ran.sentence


def test_shell_characters_in_every_argument_are_just_text(ground: Ground) -> None:
    nasty = "a; touch pwned; $(touch pwned) `touch pwned` | & > x"
    ran = ground.steps(
        f"writeFile(file: 'f', text: '{nasty}')\n withEnv(['V={nasty}', 'X=1']) {{ sh 'test \"$V\" = \"$(cat f)\"' }}\n"
        f"dir('{nasty.replace('/', '')}') {{ sh 'true' }}\n stash(name: '{nasty}', includes: 'f')\n unstash '{nasty}'\n"
        "sh '! test -e pwned'",
        parameters={"P": nasty},
    )
    assert ran.state == "succeeded", ran.text


def test_with_env_adds_hides_and_prepends(ground: Ground) -> None:
    ran = ground.steps(
        "script { env.OUTER = 'o' }\n"
        "withEnv(['A=1', 'PATH+X=/x/bin', 'OUTER=inner']) { sh 'echo \">$A $OUTER ${PATH%%:*}\"' }\n"
        "sh 'echo \">${A:-none} $OUTER\"'"
    )
    assert ran.said() == ["1 inner /x/bin", "none o"]
    assert ground.steps("withEnv(['bad']) { echo 'x' }").state == "failed"


def test_retry_tries_so_often_and_no_more(ground: Ground) -> None:
    ran = ground.steps(
        "retry(3) { sh 'echo \">$(($(cat n 2>/dev/null || echo 0) + 1))\" | tee line; cut -c2- line > n; test $(cat n) = 3' }"
    )
    assert ran.said() == ["1", "2", "3"]
    assert ran.state == "succeeded"
    ran = ground.steps("retry(2) { echo '>try'; error 'always' }")
    assert (ran.said(), ran.state, ran.sentence) == (["try", "try"], "failed", "always")


def test_a_time_limit_inside_of_retry_is_tried_again(ground: Ground) -> None:
    ran = ground.steps("retry(2) { echo '>try'; timeout(time: 100, unit: 'MILLISECONDS') { sleep 30 } }")
    assert (ran.said(), ran.state) == (["try", "try"], "cancelled")


def test_a_timeout_kills_what_runs_and_says_its_limit(ground: Ground) -> None:
    ran = ground.steps("timeout(time: 300, unit: 'MILLISECONDS') { sh 'sleep 100 & sleep 100' }")
    assert ran.state == "cancelled"
    assert ran.sentence == "The time limit of 0.3 s was exceeded."


def test_a_timeout_of_activity_starts_anew_with_each_line(ground: Ground, hands: Hands) -> None:
    each = "set +x; for i in 1 2 3; do echo line $i; until [ -e go$i ]; do sleep 0.02; done; done"
    step = f"timeout(time: 20, activity: true) {{ sh '{each}' }}"
    running = ground.start(pipeline(f"stage('S') {{ steps {{ {step} }} }}"))
    for number in (1, 2, 3):
        running.wait_for(f"\nline {number}\n")
        hands.move(15 * 60)
        (running.root / "ws" / f"go{number}").touch()
    assert running.end().state == "succeeded", "45 minutes, but never 20 without a line"


def test_a_timeout_of_activity_ends_who_has_fallen_silent(ground: Ground) -> None:
    step = "timeout(time: 700, unit: 'MILLISECONDS', activity: true) { sh 'echo 1; echo 2; sleep 600' }"
    assert ground.steps(step).state == "cancelled"


def test_catch_error_goes_on_with_message(ground: Ground) -> None:
    ran = ground.steps("catchError(message: 'went wrong', buildResult: 'UNSTABLE') { sh 'exit 2' }\n echo '>after'")
    assert ran.said() == ["after"]
    assert "ERROR: went wrong" in ran.text
    assert "script returned exit code 2" in ran.text
    assert (ran.state, ran.sentence) == ("unstable", "went wrong")


def test_a_script_catches_what_a_step_throws(ground: Ground) -> None:
    ran = ground.steps(
        "script { try { sh 'exit 9' } catch (e) { echo \">${e.message}\" } finally { echo '>finally' }\n"
        "try { timeout(time: 1, unit: 'MILLISECONDS') { sleep 5 } }"
        " catch (org.jenkinsci.plugins.workflow.steps.FlowInterruptedException e) { echo '>interrupted' } }"
    )
    assert ran.said() == ["script returned exit code 9", "finally", "interrupted"]
    assert ran.state == "succeeded"


def test_stash_travels_between_agents(ground: Ground) -> None:
    ran = ground.run(
        "pipeline { agent none options { skipDefaultCheckout() } stages {"
        " stage('A') { agent any steps { sh 'mkdir -p out; echo hi > out/x.txt; echo no > out/y.log'\n stash(name: 's', includes: 'out/**', excludes: '**/*.log') } }"
        " stage('B') { agent any steps { cleanWs(); unstash 's'; sh 'echo \">$(cat out/x.txt) $(ls out)\"' } } } }"
    )
    assert ran.said() == ["hi x.txt"]


def test_artifacts_are_kept_with_their_hash_and_emptiness_is_judged(ground: Ground) -> None:
    ran = ground.steps(
        "sh 'mkdir -p out; echo data > out/app.bin; ln -s /etc/passwd out/passwd'\n"
        "archiveArtifacts artifacts: 'out/**', fingerprint: true"
    )
    assert [(a.path, a.size) for a in ran.sink.artifacts] == [("out/app.bin", 5)]
    assert (ran.root.parent.parent / "artifacts/out/app.bin").read_text() == "data\n"
    assert "out/passwd" in ran.text
    assert ground.steps("archiveArtifacts 'nothing/**'").sentence.startswith("No artifacts found")
    assert ground.steps("archiveArtifacts artifacts: 'nothing/**', allowEmptyArchive: true").state == "succeeded"


JUNIT = """<testsuites><testsuite name="s"><testcase classname="c" name="ok" time="1.5"/>
<testcase classname="c" name="bad"><failure message="no">trace token-12345</failure></testcase>
<testcase classname="c" name="err"><error message="boom"/></testcase>
<testcase classname="c" name="skip"><skipped/></testcase></testsuite></testsuites>"""


def test_junit_reports_and_makes_the_build_unstable(ground: Ground) -> None:
    ran = ground.steps(
        f"writeFile(file: 'r/TEST-a.xml', text: '''{JUNIT}''')\n junit 'r/*.xml'\n echo '>after'",
        secrets=("token-12345",),
    )
    (report,) = ran.sink.reports
    assert (report.passed, report.failed, report.skipped, report.seconds) == (1, 2, 1, 1.5)
    assert [c.name for c in report.cases][:2] == ["bad", "err"]
    assert "token-12345" not in report.cases[0].text
    assert (ran.state, ran.states, ran.said()) == ("unstable", {"S": "unstable"}, ["after"])
    assert ran.sentence == "2 of 4 tests failed."


@pytest.mark.parametrize(
    ("text", "steps", "sentence"),
    [
        ("", "junit 'r.xml'", "hold no test"),
        ("<not-xml", "junit 'r.xml'", "no readable JUnit report"),
        ("<a/>", "junit 'r.xml'", "no readable JUnit report"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><testsuite/>', "junit 'r.xml'", "no readable JUnit report"),
        ("x", "junit 'none*.xml'", "No test report files"),
    ],
)
def test_junit_says_what_is_wrong_with_reports(ground: Ground, text: str, steps: str, sentence: str) -> None:
    ran = ground.steps(f"writeFile(file: 'r.xml', text: '{text}')\n {steps}")
    assert ran.state == "failed"
    assert sentence in ran.sentence


def test_junit_may_allow_nothing(ground: Ground) -> None:
    assert ground.steps("junit testResults: 'none.xml', allowEmptyResults: true").state == "succeeded"


def test_timestamps_stand_before_each_line(ground: Ground) -> None:
    ran = ground.steps("timestamps { sh 'echo a; echo b' }\n echo 'plain'")
    stamped = [line for line in ran.sink.lines if line.startswith("[20") and line[24] == "Z"]
    assert [line.split("] ")[1] for line in stamped] == ["+ echo a", "a", "+ echo b", "b"]


def test_current_build_can_be_read_and_named(ground: Ground) -> None:
    ran = ground.steps(
        "script { currentBuild.displayName = 'v1.2'\n currentBuild.description = 'nice'\n"
        'echo ">${currentBuild.number} ${currentBuild.result} ${currentBuild.currentResult} ${currentBuild.previousBuild.result}" }',
        previous_result="failed",
        previous_number=6,
    )
    assert ran.said() == ["7 null SUCCESS FAILURE"]
    assert ran.sink.names[-1] == ("v1.2", "nice")


def test_an_output_too_large_to_return_is_refused(ground: Ground) -> None:
    ran = ground.steps("script { def x = sh(script: 'head -c 20000000 /dev/zero', returnStdout: true) }")
    assert "larger than the 16 MiB" in ran.sentence


def test_background_children_live_until_the_build_ends_and_no_longer(ground: Ground) -> None:
    ran = ground.run(
        pipeline(
            "stage('A') { steps { sh '''(while :; do echo tick; echo >> ticks; sleep 0.05; done) & echo $! > pid''' } }"
            " stage('B') { steps { sh '''touch ticks; n=$(($(wc -l < ticks) + 3))\n"
            "for i in $(seq 1000); do [ $(wc -l < ticks) -gt $n ] && break; sleep 0.05; done 2>/dev/null\n"
            "test $(wc -l < ticks) -gt $n; kill -0 $(cat pid); echo \">alive\"''' } }"
        )
    )
    assert ran.said() == ["alive"]
    assert not alive(int((ran.root / "ws" / "pid").read_text()))


def test_variables_of_the_environment_that_are_missing_are_null(ground: Ground) -> None:
    ran = ground.steps(
        "script { echo \">${env.NOPE} ${env.NOPE == null} ${env['CI']} ${env.getProperty('CI') ?: 'x'}\"\n"
        ' env.MADE = 1 + 1\n env.MADE2 = "${env.MADE}!" }\n sh \'echo ">$MADE $MADE2"\''
    )
    assert ran.said() == ["null true true true", "2 2!"]
