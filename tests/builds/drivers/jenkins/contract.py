"""What the portal relies on in any Jenkins: the same tests for the simulator and for a real one.

A subclass gives `builder`: a driver on a Jenkins whose folder is ours alone. Every test has a project of its own.
"""

from __future__ import annotations

import http.server
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from builds.drivers.builder.jenkins import JenkinsBuilder, facts_of, same
from builds.drivers.builder.jenkins.paths import job_url
from builds.drivers.builder.remote import KEY, JobSpec, Observation, ParameterSpec, Place, Values
from fangduoduo_release.common.errors import Rejected
from tests.builds.embedded.ground import Repository
from tests.waiting import until

PATIENCE = 90.0
GOOD = """pipeline {
  agent any
  stages {
    stage('Build') { steps { sh 'echo hello $FDD_REF; mkdir -p out; printf abc > out/a.txt' } }
    stage('Test') { steps {
      sh '''mkdir -p r; cat > r/t.xml <<X
<testsuite name="s" tests="2"><testcase classname="c.D" name="a"/><testcase classname="c.D" name="b"/></testsuite>
X'''
      junit 'r/*.xml' } }
  }
  post { always { archiveArtifacts 'out/**' } }
}
"""
FAILING = """pipeline {
  agent any
  stages {
    stage('Fine') { steps { sh 'true' } }
    stage('Broken') { steps { sh 'exit 3' } }
    stage('After') { steps { sh 'echo never' } }
    stage('Last') { steps { sh 'echo never' } }
  }
}
"""
UNSTABLE = "pipeline { agent any\n stages { stage('S') { steps { unstable('so so') } } } }"
SLOW = "pipeline { agent any\n stages { stage('Wait') { steps { sh 'echo begun; sleep 300' } } } }"
ASKING = """pipeline { agent none
  stages { stage('Approve') { steps { script {
    def why = input message: 'Deploy?', ok: 'Go', parameters: [string(name: 'WHY', defaultValue: 'x')]
    echo "because ${why}" } } } } }
"""
SANDBOX = "pipeline { agent any\n stages { stage('S') { steps { script { jenkins.model.Jenkins.get() } } } } }"
CHECKOUT = """pipeline { agent any
  options { skipDefaultCheckout() }
  stages { stage('Checkout') { steps { checkout scm
    sh 'cat marker.txt' } } } }
"""


@contextmanager
def served(folder: Path, host: str = "127.0.0.1") -> Iterator[str]:
    """A folder of bare repositories over plain HTTP, as a Jenkins may fetch them."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer((host, 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class JenkinsContract:
    """Subclasses define the fixture `builder`."""

    seen_as = "127.0.0.1"  # how the Jenkins reaches this machine

    @pytest.fixture
    def project(self) -> str:
        return f"p-{uuid.uuid4().hex[:12]}"

    def job(self, builder: JenkinsBuilder, project: str, text: str, **more: Any) -> JobSpec:
        spec = JobSpec(builder.job_path(project), project, 1, text, more.pop("repository", ""), **more)
        builder.write_job(spec)
        return spec

    def start(self, builder: JenkinsBuilder, spec: JobSpec, **plain: str) -> tuple[str, int]:
        """(key, number) of a new build that has begun."""
        key = uuid.uuid4().hex
        place = builder.trigger(spec.path, Values({KEY: key, **plain}, {"REGISTRY_PASSWORD": f"secret-{key}"}))
        assert place.queue_id is not None
        return key, self.number(builder, place.queue_id)

    def number(self, builder: JenkinsBuilder, queue_id: int) -> int:
        def begun() -> int | None:
            item = builder.queue_item(queue_id)
            return item.number if item is not None else None

        return until(begun, PATIENCE, 0.1, "the build to begin")

    def ended(self, builder: JenkinsBuilder, spec: JobSpec, number: int) -> Observation:
        def over() -> Observation | None:
            found = builder.observe(spec.path, number)
            assert found.state is not None
            return found if found.finished_at is not None else None

        return until(over, PATIENCE, 0.1, "the build to end")

    def whole_log(self, builder: JenkinsBuilder, spec: JobSpec, number: int) -> str:
        text, offset, more = b"", 0, True
        while more:
            with builder.log(spec.path, number, offset) as answer:
                text += b"".join(answer.data)
                assert not answer.restarted
            offset, more = answer.next_offset, answer.more
        return text.decode()

    def says(self, builder: JenkinsBuilder, spec: JobSpec, number: int, words: str) -> None:
        until(lambda: words in self.peek(builder, spec, number), PATIENCE, 0.2, words)

    def peek(self, builder: JenkinsBuilder, spec: JobSpec, number: int) -> str:
        with builder.log(spec.path, number, 0) as answer:
            return b"".join(answer.data).decode()

    # -- the server, and jobs -----------------------------------------------------------------------------------------

    def test_the_connection_is_complete(self, builder: JenkinsBuilder) -> None:
        found = builder.check()
        assert found.missing == ()
        assert found.version
        assert found.user == builder.config.user

    def test_a_job_is_made_changed_and_read(self, builder: JenkinsBuilder, project: str) -> None:
        path = builder.job_path(project)
        assert builder.read_job(path) is None
        spec = self.job(builder, project, GOOD)
        assert builder.read_job(path) == facts_of(spec)
        changed = replace(spec, text=FAILING, revision=2, parameters=(ParameterSpec("MODE", "choice", choices=("a",)),))
        assert builder.write_job(changed) == facts_of(changed)

    def test_jenkins_own_rewriting_is_no_edit(self, builder: JenkinsBuilder, project: str) -> None:
        text = GOOD.replace("agent any", "agent any\n parameters { string(name: 'WHO', defaultValue: 'me') }", 1)
        spec = self.job(builder, project, text)
        _, number = self.start(builder, spec)
        self.ended(builder, spec, number)
        found = builder.read_job(spec.path)
        assert same(found, facts_of(spec))
        assert found is not None
        assert found["parameters_missing"] == []

    def test_an_edit_by_hand_is_seen(self, builder: JenkinsBuilder, project: str) -> None:
        spec = self.job(builder, project, GOOD)
        config = builder._jobs.config(spec.path)
        assert config is not None
        builder._jobs.change(spec.path, config.replace("echo hello", "echo bye"))
        assert not same(builder.read_job(spec.path), facts_of(spec))

    def test_a_pipeline_is_judged_with_line_and_column(self, builder: JenkinsBuilder) -> None:
        assert builder.validate(GOOD).errors == ()
        first, *_ = builder.validate(
            "pipeline {\n  agnt any\n  stages { stage('x') { steps { echo 'x' } } }\n}\n"
        ).errors
        assert first.line in {1, 2}
        assert first.column >= 1
        assert str(first.message)

    # -- a build ------------------------------------------------------------------------------------------------------

    def test_a_build_succeeds_and_leaves_what_it_made(
        self, builder: JenkinsBuilder, project: str, tmp_path: Path
    ) -> None:
        spec = self.job(builder, project, GOOD)
        key, number = self.start(builder, spec, FDD_REF="refs/heads/main")
        found = self.ended(builder, spec, number)
        assert (found.state, found.key, found.has_tests, found.sentence) == ("succeeded", key, True, None)
        assert found.started_at is not None
        stages = {stage.name: stage for stage in builder.stages(spec.path, number)}
        assert stages["Build"].state == stages["Test"].state == "succeeded"
        assert stages["Build"].finished_at is not None
        log = self.whole_log(builder, spec, number)
        assert "hello refs/heads/main" in log
        assert log.rstrip().endswith("Finished: SUCCESS")
        report = builder.tests(spec.path, number)
        assert report is not None
        assert (report.passed, report.failed, len(report.cases)) == (2, 0, 2)
        assert [artifact.path for artifact in builder.artifacts(spec.path, number)] == ["out/a.txt"]
        assert builder.download(spec.path, number, "out/a.txt", tmp_path, limit=100).size == 3
        assert (tmp_path / "out" / "a.txt").read_text() == "abc"

    def test_a_build_is_found_again_by_its_key(self, builder: JenkinsBuilder, project: str) -> None:
        spec = self.job(builder, project, UNSTABLE)
        key, number = self.start(builder, spec)
        other, _ = self.start(builder, spec)
        assert other != key
        found = builder.find(spec.path, key)
        assert found is not None
        assert (found.number, found.key) == (number, key)
        assert len(builder.twins(spec.path, key)) == 1
        assert builder.find(spec.path, "nobody") is None

    def test_equal_builds_are_not_folded_into_one(self, builder: JenkinsBuilder, project: str) -> None:
        spec = self.job(builder, project, UNSTABLE)
        places = [builder.trigger(spec.path, Values({KEY: uuid.uuid4().hex})) for _ in range(4)]
        assert len({self.number(builder, place.queue_id or 0) for place in places}) == 4

    def test_a_failure_shows_the_stage_that_failed(self, builder: JenkinsBuilder, project: str) -> None:
        spec = self.job(builder, project, FAILING)
        _, number = self.start(builder, spec)
        found = self.ended(builder, spec, number)
        assert found.state == "failed"
        assert "“Broken” failed: script returned exit code 3" in str(found.sentence)
        states = {stage.name: stage.state for stage in builder.stages(spec.path, number)}
        assert states == {"Fine": "succeeded", "Broken": "failed", "After": "skipped", "Last": "skipped"}
        assert builder.tests(spec.path, number) is None
        assert list(builder.artifacts(spec.path, number)) == []

    def test_an_unstable_build_is_called_so(self, builder: JenkinsBuilder, project: str) -> None:
        spec = self.job(builder, project, UNSTABLE)
        _, number = self.start(builder, spec)
        assert self.ended(builder, spec, number).state == "unstable"
        assert [stage.state for stage in builder.stages(spec.path, number)] == ["unstable"]

    def test_a_running_build_is_in_the_census_until_it_is_stopped(self, builder: JenkinsBuilder, project: str) -> None:
        spec = self.job(builder, project, SLOW)
        key, number = self.start(builder, spec)
        self.says(builder, spec, number, "begun")
        census = builder.census()
        (mine,) = [one for one in census.running if one.job == spec.path]
        assert (mine.number, mine.key) == (number, key)
        assert mine.queue_id is not None
        assert census.session
        assert builder.observe(spec.path, number).state == "running"
        assert builder.stages(spec.path, number)[-1].state == "running"
        builder.cancel(spec.path, Place(number=number))
        found = self.ended(builder, spec, number)
        assert found.state == "cancelled"
        assert "stopped in Jenkins" in str(found.sentence)
        until(lambda: not [one for one in builder.census().running if one.job == spec.path], PATIENCE, 0.1)
        builder.cancel(spec.path, Place(number=number))

    def test_a_question_is_asked_and_answered_once(self, builder: JenkinsBuilder, project: str) -> None:
        spec = self.job(builder, project, ASKING)
        _, number = self.start(builder, spec)
        (question,) = until(lambda: builder.questions(spec.path, number), PATIENCE, 0.1)
        assert (question.message, question.ok, question.stage) == ("Deploy?", "Go", "Approve")
        assert [(p.name, p.kind, p.default) for p in question.parameters] == [("WHY", "string", "x")]
        assert builder.observe(spec.path, number).asks
        assert [one.maybe_asks for one in builder.census().running if one.job == spec.path] == [True]
        assert builder.stages(spec.path, number)[-1].state == "paused"
        builder.answer(spec.path, number, question.id, proceed=True, values={"WHY": "friday"})
        assert self.ended(builder, spec, number).state == "succeeded"
        assert "because friday" in self.whole_log(builder, spec, number)
        with pytest.raises(Rejected) as caught:
            builder.answer(spec.path, number, question.id, proceed=True, values={"WHY": "again"})
        assert caught.value.code == "not_asked"

    def test_a_question_can_be_answered_with_no(self, builder: JenkinsBuilder, project: str) -> None:
        spec = self.job(builder, project, ASKING)
        _, number = self.start(builder, spec)
        (question,) = until(lambda: builder.questions(spec.path, number), PATIENCE, 0.1)
        builder.answer(spec.path, number, question.id, proceed=False, values={})
        assert self.ended(builder, spec, number).state == "cancelled"

    # -- what goes wrong ----------------------------------------------------------------------------------------------

    def test_what_the_sandbox_refuses_is_named(self, builder: JenkinsBuilder, project: str) -> None:
        spec = self.job(builder, project, SANDBOX)
        _, number = self.start(builder, spec)
        found = self.ended(builder, spec, number)
        assert found.state == "failed"
        assert "sandbox does not permit" in str(found.sentence)
        assert "jenkins.model.Jenkins get" in str(found.sentence)

    def test_a_pipeline_that_cannot_be_read_says_so(self, builder: JenkinsBuilder, project: str) -> None:
        spec = self.job(builder, project, "pipeline { agnt any }")
        _, number = self.start(builder, spec)
        found = self.ended(builder, spec, number)
        assert found.state == "failed"
        assert "cannot read the pipeline, line 1" in str(found.sentence)
        assert list(builder.stages(spec.path, number)) == []

    def test_a_value_that_is_no_choice_is_refused(self, builder: JenkinsBuilder, project: str) -> None:
        spec = self.job(
            builder, project, UNSTABLE, parameters=(ParameterSpec("MODE", "choice", choices=("fast", "slow")),)
        )
        with pytest.raises(Rejected) as caught:
            builder.trigger(spec.path, Values({KEY: "k", "MODE": "nosuch"}))
        assert caught.value.code == "bad_parameters"
        assert "MODE" in str(caught.value)

    def test_a_disabled_job_says_so(self, builder: JenkinsBuilder, project: str) -> None:
        spec = self.job(builder, project, UNSTABLE)
        builder._http.ask("POST", f"{job_url(spec.path)}/disable", form={}, accept=(302,))
        with pytest.raises(Rejected) as caught:
            builder.trigger(spec.path, Values({KEY: "k"}))
        assert caught.value.code == "job_disabled"
        assert not same(builder.read_job(spec.path), facts_of(spec))

    def test_a_deleted_job_and_its_builds_are_gone(self, builder: JenkinsBuilder, project: str) -> None:
        spec = self.job(builder, project, UNSTABLE)
        _, number = self.start(builder, spec)
        self.ended(builder, spec, number)
        builder._http.ask("POST", f"{job_url(spec.path)}/{number}/doDelete", form={}, accept=(302,))
        assert "Build 1 of" in str(builder.observe(spec.path, number).sentence)
        builder._http.ask("POST", f"{job_url(spec.path)}/doDelete", form={}, accept=(302,))
        assert builder.read_job(spec.path) is None
        found = builder.observe(spec.path, number)
        assert found.state is None
        assert "was deleted in Jenkins" in str(found.sentence)
        for call, code in (
            (lambda: builder.trigger(spec.path, Values({KEY: "k"})), "job_gone"),
            (lambda: builder.log(spec.path, number, 0).__enter__(), "build_gone"),
            (lambda: builder.artifacts(spec.path, number), "build_gone"),
        ):
            with pytest.raises(Rejected) as caught:
                call()
            assert caught.value.code == code
        assert builder.find(spec.path, "k") is None
        assert list(builder.stages(spec.path, number)) == []
        assert builder.tests(spec.path, number) is None
        builder.cancel(spec.path, Place(number=number))

    def test_another_token_is_refused(self, builder: JenkinsBuilder) -> None:
        stranger = JenkinsBuilder(replace(builder.config, token="11" + "0" * 32))
        for call in (stranger.check, stranger.census, lambda: stranger.trigger("a/b", Values({}))):
            with pytest.raises(Rejected) as caught:
                call()
            assert caught.value.code == "bad_credentials"

    # -- code ---------------------------------------------------------------------------------------------------------

    @pytest.fixture
    def repository(self, tmp_path: Path) -> Iterator[tuple[str, str]]:
        """(url, commit) of a repository whose branch has moved on since."""
        made = Repository.make(tmp_path)
        commit = made.commit({"marker.txt": "the right commit\n", "Jenkinsfile": CHECKOUT})
        made.commit({"marker.txt": "a later commit\n"})
        subprocess.run(["git", "update-server-info"], cwd=made.bare, check=True, timeout=30)
        with served(tmp_path, self.seen_as) as url:
            yield f"{url}/{made.bare.name}", commit

    @pytest.mark.parametrize("from_repository", [False, True], ids=["text", "jenkinsfile"])
    def test_checkout_scm_means_the_commit_that_is_built(
        self, builder: JenkinsBuilder, project: str, repository: tuple[str, str], from_repository: bool
    ) -> None:
        url, commit = repository
        text = "" if from_repository else CHECKOUT
        spec = self.job(builder, project, text, repository=url, from_repository=from_repository)
        _, number = self.start(builder, spec, FDD_REPOSITORY=url, FDD_COMMIT=commit, FDD_REF="refs/heads/main")
        found = self.ended(builder, spec, number)
        log = self.whole_log(builder, spec, number)
        assert found.state == "succeeded", log
        assert "the right commit" in log
        assert "a later commit" not in log
        assert same(builder.read_job(spec.path), facts_of(spec))
