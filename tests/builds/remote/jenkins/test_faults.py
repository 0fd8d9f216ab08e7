"""Whatever goes wrong with a Jenkins at whatever moment: the build ends as it really ended there, or failed with a sentence
that says what was lost; never twice there, never stuck."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from builds.actions import cancel_build
from builds.models import Build, RemoteBuild
from builds.remote import advance as advancing
from builds.remote import looking, triggering
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.models import Connection, Event, Step
from projects.models import Project
from tests.builds.remote.pump import Pump
from tests.simulators.jenkins import Jenkins

from .shop import Gate, log_of, pipeline, started

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
GOOD = pipeline("echo 'good'")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: Any) -> None:
    """Waits that are for people's servers are shortened; what is decided after them is not touched."""
    monkeypatch.setattr(advancing, "REST_S", 0.2)
    monkeypatch.setattr(triggering, "SETTLE_S", 1.0)
    monkeypatch.setattr(looking, "LOST_AFTER_S", 1.0)


def waiting(gate: Gate) -> str:
    """A build that goes on when the gate is opened."""
    return pipeline(f"{gate.step}; echo 'went on'")


def hurry() -> None:
    """Let nobody sleep for seconds between two tries."""
    Build.objects.filter(state__in=Build.STATES.active).update(next_at=Now())


def ended(pump: Pump, build: Build) -> Build:
    def over() -> bool:
        hurry()
        build.refresh_from_db()
        return build.is_final

    pump.until(over, what=f"the end of {build}")
    return build


def once_there(jenkins: Jenkins) -> None:
    assert len(jenkins.job("fdd/shop").runs) == 1, "never two builds there for one of ours"


WIRE = {
    "error 500": lambda faults, where: faults.status(500, where, times=2),
    "error 502": lambda faults, where: faults.status(502, where, times=2),
    "starting": lambda faults, where: faults.starting(where, times=2),
    "reset before": lambda faults, where: faults.reset(where, times=2),
    "reset after": lambda faults, where: faults.reset(where, times=1, after_effect=True),
    "truncated": lambda faults, where: faults.truncated(where, times=2),
    "torn": lambda faults, where: faults.truncated(where, times=1, torn=True),
}
PHASES = {
    "job": r"config\.xml|createItem",
    "trigger": r"buildWithParameters",
    "census": r"GET /(computer|queue)/",
    "observe": r"GET /job/fdd/job/shop(/\d+)?/api/json",
    "log": r"progressiveText",
    "stages": r"wfapi",
    "artifacts": r"tree=artifacts|/artifact/",
}


# A body that is cut and says that this is all of it cannot be told from a short log.
PAIRS = [(fault, phase) for fault in WIRE for phase in PHASES if (fault, phase) != ("truncated", "log")]


@pytest.mark.parametrize(("fault", "phase"), PAIRS)
def test_a_fault_of_the_wire_costs_time_and_nothing_else(
    pump: Pump,
    project: Project,
    jenkins: Jenkins,
    fault: str,
    phase: str,
) -> None:
    text = pipeline("sh 'echo made > a.txt'; archiveArtifacts 'a.txt'")
    build = started(project, text)
    rule = WIRE[fault](jenkins.faults, PHASES[phase])
    ended(pump, build)
    assert (build.state, build.error) == ("succeeded", None), build.error
    assert rule.hits, "the fault was met"
    assert build.artifacts.count() == 1
    assert log_of(build).count("Finished: SUCCESS") == 1
    once_there(jenkins)


def test_everything_slow_is_only_slow(pump: Pump, project: Project, jenkins: Jenkins) -> None:
    build = started(project, GOOD)
    jenkins.faults.latency(0.3)
    ended(pump, build)
    assert build.state == "succeeded"
    once_there(jenkins)


def test_an_answer_lost_after_the_build_was_queued_is_found_again(
    pump: Pump,
    project: Project,
    jenkins: Jenkins,
) -> None:
    build = started(project, GOOD)
    rule = jenkins.faults.reset("buildWithParameters", after_effect=True)
    ended(pump, build)
    assert (build.state, rule.hits) == ("succeeded", 1)
    assert jenkins.requests.count("buildWithParameters") == 1
    once_there(jenkins)


def test_a_killed_engine_finds_what_it_started(pump: Pump, project: Project, jenkins: Jenkins, gate: Gate) -> None:
    build = started(project, waiting(gate))
    pump.until(lambda: Step.objects.filter(name="trigger", outcome__isnull=False).exists(), what="the trigger")
    Step.objects.filter(name="trigger").update(outcome=None, done_at=None)
    RemoteBuild.objects.update(queue_id=None, number=None, observed_at=None)
    Build.objects.filter(pk=build.pk).update(state="queued")
    gate.open()
    ended(pump, build)
    assert build.state == "succeeded"
    once_there(jenkins)


def test_a_restart_that_keeps_builds_running_changes_nothing(
    pump: Pump,
    project: Project,
    jenkins: Jenkins,
    gate: Gate,
) -> None:
    build = started(project, waiting(gate))
    pump.running(build)
    jenkins.faults.restart(running="go_on")
    gate.open()
    ended(pump, build)
    assert build.state == "succeeded"
    assert "went on" in log_of(build)


def test_a_restart_that_kills_it_ends_it_as_jenkins_did(
    pump: Pump,
    project: Project,
    jenkins: Jenkins,
) -> None:
    build = started(project, pipeline("sh 'sleep 600'"))
    pump.running(build)
    jenkins.faults.restart(running="killed")
    ended(pump, build)
    assert build.state in {"failed", "cancelled"}
    assert build.error["sentence"]["msgid"]


def test_a_lost_queue_is_told_with_what_to_do(pump: Pump, project: Project, jenkins: Jenkins) -> None:
    build = started(project, GOOD)
    jenkins.queue.held = True
    pump.until(lambda: RemoteBuild.objects.filter(queue_id__isnull=False).exists(), what="the queue")
    jenkins.faults.lose_queue()
    ended(pump, build)
    assert (build.state, build.error["code"]) == ("failed", "lost_in_jenkins")
    assert "Nothing was built" in build.error["sentence"]["msgid"]


def test_a_deleted_build_is_told_with_its_number(pump: Pump, project: Project, jenkins: Jenkins) -> None:
    build = started(project, pipeline("sh 'sleep 600'"))
    row = pump.running(build)
    jenkins.faults.delete_build("fdd/shop", row.number)
    ended(pump, build)
    assert (build.state, build.error["code"]) == ("failed", "lost_in_jenkins")
    assert "was deleted in Jenkins" in build.error["sentence"]["msgid"]


def test_a_job_deleted_while_it_builds_is_told(pump: Pump, project: Project, jenkins: Jenkins) -> None:
    build = started(project, pipeline("sh 'sleep 600'"))
    pump.running(build)
    jenkins.faults.delete_job("fdd/shop")
    ended(pump, build)
    assert build.state == "failed"
    assert "deleted in Jenkins" in build.error["sentence"]["msgid"]


def test_a_job_deleted_between_two_builds_is_made_again(
    pump: Pump,
    project: Project,
    jenkins: Jenkins,
) -> None:
    assert ended(pump, started(project, GOOD)).state == "succeeded"
    jenkins.faults.delete_job("fdd/shop")
    again = started(project, pipeline("echo 'once more'"))
    assert ended(pump, again).state == "succeeded"
    assert RemoteBuild.objects.get(pk=again.pk).number == 1


def test_a_disabled_job_has_its_own_sentence(pump: Pump, project: Project, jenkins: Jenkins) -> None:
    assert ended(pump, started(project, GOOD)).state == "succeeded"
    jenkins.faults.disable_job("fdd/shop")
    build = ended(pump, started(project, GOOD))
    assert build.state == "failed"
    assert build.error["code"] in {"job_disabled", "job_edited"}


def test_a_rotated_log_is_kept_with_a_line_that_says_so(
    pump: Pump,
    project: Project,
    jenkins: Jenkins,
    gate: Gate,
) -> None:
    from builds.connections import builder_of
    from builds.remote.logs import LogReader

    lines = "sh 'for i in 1 2 3 4 5 6 7 8; do echo line $i of the old log; done'"
    build = started(project, pipeline(f"{lines}; {gate.step}"))
    row = pump.running(build)
    read = LogReader(RemoteBuild.objects.select_related("build__pipeline", "build__project").get(pk=row.pk))

    def old_lines() -> bool:
        read.read(builder_of(row.connection))
        return RemoteBuild.objects.get(pk=row.pk).log_offset > 400

    pump.until(old_lines, what="the old log")
    jenkins.faults.rotate_log("fdd/shop", row.number or 0, "short\n")
    read.read(builder_of(row.connection))  # before it is as long again as it was
    gate.open()
    ended(pump, build)
    assert "replaced this log" in log_of(build)
    assert "old log" in log_of(build)


@pytest.mark.parametrize(
    ("code", "break_it"),
    [
        ("bad_credentials", lambda j, c: Connection.objects.filter(pk=c.pk).update(secrets={"token": "wrong"})),
        ("no_pipeline_plugin", lambda j, c: j.faults.without_pipeline()),
        ("no_permission", lambda j, c: j.faults.deny("Job/Create")),
    ],
    ids=["credentials", "plugin", "permission"],
)
def test_what_a_person_must_mend_fails_at_once_with_its_sentence(
    pump: Pump,
    project: Project,
    connection: Connection,
    jenkins: Jenkins,
    code: str,
    break_it: Any,
) -> None:
    connection.secrets = {"token": jenkins.token}
    if code == "bad_credentials":
        connection.secrets = {"token": "wrong"}
        connection.save()
    else:
        break_it(jenkins, connection)
    build = ended(pump, started(project, GOOD))
    assert (build.state, build.error["code"]) == ("failed", code)
    assert jenkins.token not in str(build.error)


def test_no_permission_to_build_is_told(pump: Pump, project: Project, jenkins: Jenkins) -> None:
    assert ended(pump, started(project, GOOD)).state == "succeeded"
    jenkins.faults.deny("Job/Build")
    build = ended(pump, started(project, GOOD))
    assert (build.state, build.error["code"]) == ("failed", "no_permission")


def test_a_sandbox_rejection_has_its_own_sentence(pump: Pump, project: Project) -> None:
    text = pipeline("script { jenkins.model.Jenkins.get() }")
    build = ended(pump, started(project, text))
    assert build.state == "failed"
    assert build.error["sentence"]["msgid"]


def test_a_server_that_never_comes_back_ends_the_build_after_the_patience(
    pump: Pump,
    project: Project,
    jenkins: Jenkins,
    settings: Any,
) -> None:
    settings.REMOTE_PATIENCE_S = 2
    build = started(project, pipeline("sh 'sleep 600'"))
    pump.running(build)
    jenkins.faults.reset("", times=None)
    RemoteBuild.objects.update(observed_at=timezone.now() - timedelta(seconds=600))
    ended(pump, build)
    assert (build.state, build.error["code"]) == ("failed", "jenkins_away")
    assert "Look there before you retry" in build.error["sentence"]["msgid"]


def test_a_server_that_comes_back_is_believed(pump: Pump, project: Project, jenkins: Jenkins, gate: Gate) -> None:
    build = started(project, waiting(gate))
    pump.running(build)
    rule = jenkins.faults.reset("", times=None)
    for _ in range(5):
        hurry()
        pump.turn()
    build.refresh_from_db()
    assert build.state == "running"
    rule.lift()
    gate.open()
    assert ended(pump, build).state == "succeeded"


def test_without_a_follower_the_engine_sees_it_through(
    pump: Pump,
    project: Project,
    jenkins: Jenkins,
    monkeypatch: Any,
    gate: Gate,
) -> None:
    monkeypatch.setattr(advancing, "BACKSTOP_S", 0.2)
    pump.follows = False
    build = started(project, waiting(gate))
    pump.running(build)
    gate.open()
    assert ended(pump, build).state == "succeeded"


def test_a_cancel_while_the_server_is_away_is_passed_on_when_it_is_back(
    pump: Pump,
    project: Project,
    jenkins: Jenkins,
) -> None:
    build = started(project, pipeline("sh 'sleep 600'"))
    pump.running(build)
    rule = jenkins.faults.starting("")
    cancel_build(actor=SYSTEM, build=build)
    for _ in range(4):
        hurry()
        pump.turn()
    rule.lift()
    assert ended(pump, build).state == "cancelled"
    assert not jenkins.running()


def test_a_token_that_is_revoked_meanwhile_is_waited_for(
    pump: Pump, project: Project, connection: Connection, jenkins: Jenkins, gate: Gate
) -> None:
    """Ops put a new one into the connection; what runs in Jenkins was not given up for it."""
    build = started(project, waiting(gate))
    pump.running(build)
    connection.secrets = {"token": "revoked"}
    connection.save()
    for _ in range(4):
        RemoteBuild.objects.update(observed_at=timezone.now() - timedelta(seconds=60))  # so long nobody saw it
        hurry()
        pump.turn()
    build.refresh_from_db()
    assert build.state == "running"
    assert "does not accept the user" in str(build.error)
    connection.secrets = {"token": jenkins.token}
    connection.save()
    gate.open()
    assert ended(pump, build).state == "succeeded"
    assert build.error is None


def test_a_cancel_that_jenkins_refuses_is_told_and_the_build_ends_by_itself(
    pump: Pump, project: Project, jenkins: Jenkins, gate: Gate
) -> None:
    build = started(project, waiting(gate))
    pump.running(build)
    jenkins.faults.deny("Job/Cancel")
    cancel_build(actor=SYSTEM, build=build)
    pump.until(lambda: Event.objects.filter(kind="cancel_refused").exists(), what="the refusal")
    gate.open()
    assert ended(pump, build).state == "succeeded"
    assert Event.objects.filter(kind="cancel_refused").count() == 1


def test_a_connection_that_cannot_be_used_fails_the_build_with_what_is_wrong(
    pump: Pump, project: Project, connection: Connection
) -> None:
    connection.secrets = {}
    connection.save()
    pump.follows = False
    build = ended(pump, started(project, GOOD))
    assert (build.state, build.error["code"]) == ("failed", "bad_connection")
    assert "API token" in build.error["sentence"]["msgid"]
