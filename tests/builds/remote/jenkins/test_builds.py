"""Builds on a Jenkins (the simulator, on a socket) end here as they ended there, with all they left."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from builds.actions import answer_input, cancel_build, retry_build, start_build
from builds.connections import builder_of
from builds.drivers.builder.remote import Place
from builds.job_actions import rewrite_job
from builds.logs import reader
from builds.models import Artifact, BuildLog, InputRequest, RemoteBuild, RemoteJob, Stage, TestResult, Version
from builds.remote.logs import LogReader
from fangduoduo_release.common.actor import SYSTEM
from projects.models import Project
from tests.builds.remote.pump import Pump
from tests.simulators.jenkins import Jenkins

from .shop import Gate, log_of, pipeline, started

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
JUNIT = (
    '<testsuite name="s"><testcase classname="c.D" name="a"/>'
    '<testcase classname="c.D" name="b">{failure}</testcase></testsuite>'
)


def edit_by_hand(jenkins: Jenkins, old: str, new: str) -> None:
    """What a person does in Jenkins' own form: the job's configuration is posted back, changed."""
    login = (jenkins.user, jenkins.token)
    address = f"{jenkins.url.rstrip('/')}/job/fdd/job/shop/config.xml"
    text = httpx.get(address, auth=login, timeout=60).text
    assert old in text
    told = {"Content-Type": "application/xml"}
    answer = httpx.post(address, auth=login, content=text.replace(old, new), headers=told, timeout=60)
    assert answer.status_code == 200


def test_a_build_runs_there_and_leaves_everything_here(pump: Pump, project: Project, jenkins: Jenkins) -> None:
    build = started(
        project,
        pipeline(
            "sh 'mkdir out; echo made > out/app.txt; echo hello from there'",
            "stage('Pack') { steps { archiveArtifacts artifacts: 'out/**' } }",
        ),
    )
    pump.ended(build)
    assert (build.state, build.error) == ("succeeded", None)
    assert build.external_url == f"{jenkins.url.rstrip('/')}/job/fdd/job/shop/1/"
    assert "hello from there" in log_of(build)
    assert "Finished: SUCCESS" in log_of(build)
    assert {s.name: s.state for s in Stage.objects.filter(build=build)} == {"Build": "succeeded", "Pack": "succeeded"}
    assert Artifact.objects.get(build=build).path == "out/app.txt"
    assert Version.objects.get(build=build).archive_sha256
    job = RemoteJob.objects.get()
    assert (job.path, job.state) == ("fdd/shop", "ok")
    assert len(jenkins.job("fdd/shop").runs) == 1


def test_the_key_repository_and_commit_arrive_as_parameters(pump: Pump, project: Project, jenkins: Jenkins) -> None:
    build = started(project, pipeline('echo "key ${params.FDD_BUILD_KEY} commit ${env.FDD_COMMIT} ref ${env.FDD_REF}"'))
    pump.ended(build)
    assert f"key {build.key} commit {build.commit_sha} ref refs/heads/main" in log_of(build)


def test_a_failure_is_a_failure_with_its_stage_and_the_rest_skipped(pump: Pump, project: Project) -> None:
    build = started(project, pipeline("sh 'echo before; exit 3'", "stage('Never') { steps { echo 'no' } }"))
    pump.ended(build)
    assert build.state == "failed"
    assert "exit code 3" in str(build.error)
    assert "before" in build.error["evidence"]
    states = {s.name: s.state for s in Stage.objects.filter(build=build)}
    assert states == {"Build": "failed", "Never": "skipped"}
    assert not Version.objects.exists()


def test_failed_tests_make_it_unstable_and_are_listed(pump: Pump, project: Project) -> None:
    report = JUNIT.format(failure='<failure message="m">boom</failure>')
    build = started(project, pipeline(f"writeFile file: 'r.xml', text: '''{report}'''; junit 'r.xml'"))
    pump.ended(build)
    assert (build.state, build.tests_passed, build.tests_failed) == ("unstable", 1, 1)
    assert TestResult.objects.get(build=build, state="failed").name == "b"
    assert not Version.objects.exists()


def test_a_question_is_shown_answered_here_and_goes_on_there(pump: Pump, project: Project) -> None:
    ask = "input message: 'Deploy?', ok: 'Go', parameters: [string(name: 'WHY', defaultValue: 'x')]"
    build = started(project, pipeline(f"{ask}; echo 'went on'"))
    question = pump.until(lambda: InputRequest.objects.filter(build=build).first(), what="the question")
    assert (question.message, question.ok_label) == ("Deploy?", "Go")
    answer_input(actor=SYSTEM, request=question, proceed=True, values={"WHY": "because"})
    pump.ended(build)
    assert build.state == "succeeded"
    assert "went on" in log_of(build)


def test_an_aborted_question_ends_it(pump: Pump, project: Project) -> None:
    build = started(project, pipeline("input message: 'Deploy?'"))
    question = pump.until(lambda: InputRequest.objects.filter(build=build).first(), what="the question")
    answer_input(actor=SYSTEM, request=question, proceed=False)
    pump.ended(build)
    assert build.state in {"cancelled", "failed"}


def test_a_cancel_stops_it_there(pump: Pump, project: Project, jenkins: Jenkins) -> None:
    build = started(project, pipeline("sh 'sleep 600'"))
    pump.running(build)
    cancel_build(actor=SYSTEM, build=build)
    pump.ended(build)
    assert build.state == "cancelled"
    assert "Cancelled by system" in str(build.error["sentence"]["msgid"] % build.error["sentence"]["params"])
    assert not jenkins.running()


def test_a_stop_in_jenkins_is_a_cancelled_build(pump: Pump, project: Project, jenkins: Jenkins) -> None:
    build = started(project, pipeline("sh 'sleep 600'"))
    row = pump.running(build)
    builder_of(row.connection).cancel(row.job, Place(number=row.number))
    pump.ended(build)
    assert build.state == "cancelled"
    assert "stopped" in str(build.error)


def test_a_second_build_uses_the_same_job(pump: Pump, project: Project, jenkins: Jenkins) -> None:
    pump.ended(started(project, pipeline("echo 'one'")))
    second = started(project, pipeline("echo 'two'"))
    pump.ended(second)
    assert "two" in log_of(second)
    assert [run.number for run in jenkins.job("fdd/shop").runs.values()] == [1, 2]


def test_a_retry_is_a_build_of_its_own(pump: Pump, project: Project) -> None:
    first = started(project, pipeline("sh 'exit 1'"))
    pump.ended(first)
    second = retry_build(actor=SYSTEM, build=first)
    pump.ended(second)
    assert second.state == "failed"
    assert RemoteBuild.objects.get(pk=second.pk).number == 2


def test_a_job_edited_by_hand_is_shown_and_not_overwritten(pump: Pump, project: Project, jenkins: Jenkins) -> None:
    pump.ended(started(project, pipeline("echo 'ours'")))
    edit_by_hand(jenkins, "ours", "theirs")
    RemoteJob.objects.update(checked_at=None)
    build = start_build(actor=SYSTEM, project=project)
    pump.ended(build)
    assert (build.state, build.error["code"]) == ("failed", "job_edited")
    row = RemoteJob.objects.get()
    assert row.state == "edited"
    assert "theirs" in str(row.found)
    assert "theirs" in jenkins.job("fdd/shop").config.definition.text
    rewrite_job(actor=SYSTEM, job=row)
    again = start_build(actor=SYSTEM, project=project)
    pump.ended(again)
    assert again.state == "succeeded"
    assert "ours" in jenkins.job("fdd/shop").config.definition.text


def test_passwords_go_as_passwords_and_are_masked(pump: Pump, project: Project, jenkins: Jenkins) -> None:
    text = pipeline(
        "sh 'echo the word is $WORD and $PLAIN'",
        parameters="parameters { password(name: 'WORD'); string(name: 'PLAIN', defaultValue: 'x') }",
    )
    build = started(project, text, WORD="hunter22secret", PLAIN="open")
    pump.ended(build)
    log = log_of(build)
    assert "hunter22secret" not in log
    assert "the word is **** and open" in log


def test_a_running_log_is_read_while_somebody_watches(pump: Pump, project: Project, gate: Gate) -> None:
    build = started(project, pipeline(f"sh 'echo early'; {gate.step}; sh 'echo late'"))
    row = pump.running(build)
    read = LogReader(RemoteBuild.objects.select_related("build__pipeline", "build__project").get(pk=row.pk))
    builder = builder_of(row.connection)

    def early() -> bool:
        read.read(builder)
        log = BuildLog.objects.filter(build=build).first()
        return log is not None and b"early" in b"".join(reader.pieces(reader.head(build.pk), 0, log.size))

    pump.until(early, what="the first line")
    gate.open()
    pump.ended(build)
    assert log_of(build).count("early\n") >= 1
    assert "late" in log_of(build)
    assert len(log_of(build).splitlines()) == len(set(enumerate(log_of(build).splitlines())))


def test_stages_in_parallel_are_shown_side_by_side(pump: Pump, project: Project) -> None:
    more = "stage('Both') { parallel { stage('left') { steps { echo 'l' } }\n stage('right') { steps { echo 'r' } } } }"
    build = started(project, pipeline("echo 'x'", more))
    pump.ended(build)
    states = dict(Stage.objects.filter(build=build).values_list("name", "state"))
    assert states["left"] == states["right"] == "succeeded"
    assert build.state == "succeeded"


def test_files_that_name_a_release_make_the_version(pump: Pump, project: Project, tmp_path: Path) -> None:
    steps = (
        "sh 'echo app > a.txt; tar cf app.tar a.txt'; "
        """writeFile file: 'release.json', text: '{"archive": "app.tar", "notes": "hi"}'; """
        "archiveArtifacts artifacts: 'app.tar, release.json'"
    )
    build = started(project, pipeline(steps))
    pump.ended(build)
    version = Version.objects.get(build=build)
    assert (version.notes, bool(version.archive_sha256)) == ("hi", True)
