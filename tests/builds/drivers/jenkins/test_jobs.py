"""One job per project, through python-jenkins on our transport: never a second one, and nothing of the SDK escapes."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from builds.drivers.builder.jenkins import JenkinsBuilder, facts_of, same
from builds.drivers.builder.remote import JobSpec
from fangduoduo_release.common.errors import AppError, Invalid, Rejected, Unavailable

from .canned import Answer, Asked, Canned, json_answer, recording
from .test_job_xml import SPEC

FOLDER = "/job/fangduoduo-release"
JOB = f"{FOLDER}/job/shop"


class Items:
    """What Jenkins holds: configurations by address. Folders and jobs are made as Jenkins makes them."""

    def __init__(self, jenkins: Canned) -> None:
        self.held: dict[str, str] = {}
        self._lock = threading.Lock()
        jenkins.rules = _Everything(self)  # type: ignore[assignment]

    def answer(self, asked: Asked) -> Answer:
        parent, _, verb = asked.path.rpartition("/")
        with self._lock:
            if verb == "createItem":
                path = f"{parent}/job/{asked.query['name']}"
                if path in self.held:
                    return recording("createItem-existing")
                if parent and parent not in self.held:
                    return Answer(404)
                self.held[path] = asked.body.decode()
                return Answer(200)
            if verb == "config.xml" and parent in self.held:
                if asked.method == "POST":
                    self.held[parent] = asked.body.decode()
                    return Answer(200)
                return Answer(200, self.held[parent].encode(), {"Content-Type": "application/xml"})
            if asked.path.endswith("/api/json") and asked.path.removesuffix("/api/json") in self.held:
                name = asked.path.removesuffix("/api/json").rpartition("/")[2]
                return json_answer({"_class": "org.jenkinsci.plugins.workflow.job.WorkflowJob", "name": name})
        return Answer(404)


class _Everything(dict[str, Any]):
    def __init__(self, items: Items) -> None:
        super().__init__()
        self._items = items

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key) or self._items.answer


@pytest.fixture
def items(jenkins: Canned) -> Items:
    return Items(jenkins)


def test_folder_and_job_are_made_when_there_are_none(jenkins: Canned, items: Items, builder: JenkinsBuilder) -> None:
    assert builder.read_job(SPEC.path) is None
    assert builder.write_job(SPEC) == facts_of(SPEC)
    assert set(items.held) == {FOLDER, JOB}
    assert "folder.Folder" in items.held[FOLDER]
    assert builder.read_job(SPEC.path) == facts_of(SPEC)


def test_nested_folders_are_made_one_by_one(items: Items, builder: JenkinsBuilder) -> None:
    builder.write_job(replace(SPEC, path="a/b/shop"))
    assert set(items.held) == {"/job/a", "/job/a/job/b", "/job/a/job/b/job/shop"}


def test_writing_again_changes_the_one_job(items: Items, builder: JenkinsBuilder, jenkins: Canned) -> None:
    builder.write_job(SPEC)
    jenkins.asked.clear()
    changed = replace(SPEC, text="pipeline { agent none }", revision=4)
    assert builder.write_job(changed) == facts_of(changed)
    assert set(items.held) == {FOLDER, JOB}
    assert jenkins.paths("POST") == [f"{JOB}/config.xml"]


def test_an_existing_folder_is_left_as_it_is(items: Items, builder: JenkinsBuilder) -> None:
    items.held[FOLDER] = "<mine/>"
    builder.write_job(SPEC)
    assert items.held[FOLDER] == "<mine/>"


def test_two_who_make_it_at_once_make_one(jenkins: Canned, items: Items) -> None:
    wrong: list[AppError] = []

    def write(text: str) -> None:
        try:
            jenkins.builder().write_job(replace(SPEC, text=text))
        except AppError as error:
            wrong.append(error)

    threads = [threading.Thread(target=write, args=(f"pipeline {{ /* {n} */ }}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert set(items.held) == {FOLDER, JOB}


def test_a_job_made_behind_the_sdks_back_is_changed(jenkins: Canned, items: Items, builder: JenkinsBuilder) -> None:
    items.held[FOLDER] = "<f/>"

    def made_meanwhile(asked: Asked) -> Answer:
        items.held[JOB] = "<flow-definition/>"
        return recording("createItem-existing")

    jenkins.rules[f"POST {FOLDER}/createItem"] = made_meanwhile
    assert builder.write_job(SPEC) == facts_of(SPEC)


def test_chinese_in_a_pipeline_survives_both_ways(items: Items, builder: JenkinsBuilder) -> None:
    spec = replace(SPEC, text="pipeline { /* 构建 ü 🚀 */ }")
    assert "构建 ü 🚀" in builder.write_job(spec)["script"]


def test_a_hand_edit_is_seen(items: Items, builder: JenkinsBuilder) -> None:
    written = builder.write_job(SPEC)
    items.held[JOB] = items.held[JOB].replace("agent any", "agent none")
    assert not same(written, builder.read_job(SPEC.path))


def test_the_sdk_asks_for_no_crumb_and_sends_the_token_each_time(
    jenkins: Canned, items: Items, builder: JenkinsBuilder
) -> None:
    builder.write_job(SPEC)
    assert not any("crumb" in path.lower() for path in jenkins.paths())
    assert all(asked.headers.get("Authorization", "").startswith("Basic ") for asked in jenkins.asked)


def test_the_sdk_follows_no_redirect_with_our_token(jenkins: Canned, builder: JenkinsBuilder) -> None:
    with Canned({f"GET {JOB}/config.xml": Answer(200, b"<a/>")}).serving() as other:
        jenkins.rules[f"GET {JOB}/config.xml"] = Answer(302, b"", {"Location": f"{other.url}{JOB}/config.xml"})
        with pytest.raises(Unavailable) as caught:
            builder.read_job(SPEC.path)
        assert caught.value.code == "redirected"
        assert other.asked == []


def test_the_environment_cannot_redirect_or_listen(
    jenkins: Canned, items: Items, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Canned().serving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("JENKINS_API_EXTRA_HEADERS", "X-Leak: yes")
        jenkins.builder().write_job(SPEC)
        assert proxy.asked == []
    assert not any("X-Leak" in asked.headers for asked in jenkins.asked)


@pytest.mark.parametrize("path", ["../x", "a/../../b", "a%2e", "https://evil.example/x"])
def test_a_path_that_leads_elsewhere_never_reaches_the_sdk(jenkins: Canned, builder: JenkinsBuilder, path: str) -> None:
    with pytest.raises(Invalid):
        builder.read_job(path)
    with pytest.raises(Invalid):
        builder.write_job(replace(SPEC, path=path))
    assert jenkins.asked == []


def failing_create(jenkins: Canned, answer: Answer) -> None:
    jenkins.rules |= {
        f"GET {FOLDER}/api/json": json_answer({"name": "fangduoduo-release"}),
        f"POST {FOLDER}/createItem": answer,
    }


def refused(builder: JenkinsBuilder, spec: JobSpec = SPEC) -> AppError:
    with pytest.raises(AppError) as caught:
        builder.write_job(spec)
    return caught.value


def test_a_jenkins_without_pipelines_is_told_so(jenkins: Canned, builder: JenkinsBuilder) -> None:
    failing_create(jenkins, recording("createItem-unknown-class"))
    jenkins.rules["GET /pluginManager/api/json"] = json_answer({"plugins": [{"shortName": "git"}]})
    error = refused(builder)
    assert isinstance(error, Rejected)
    assert error.code == "no_pipeline_plugin"
    assert "workflow-aggregator" in str(error)


def test_a_jenkins_without_folders_is_told_so(jenkins: Canned, builder: JenkinsBuilder) -> None:
    names = ("workflow-job", "workflow-cps", "pipeline-model-definition")
    jenkins.rules["POST /createItem"] = recording("createItem-unknown-class")
    jenkins.rules["GET /pluginManager/api/json"] = json_answer({"plugins": [{"shortName": name} for name in names]})
    assert refused(builder).code == "no_folder_plugin"


def test_a_fault_of_jenkins_is_not_blamed_on_plugins(jenkins: Canned, builder: JenkinsBuilder) -> None:
    failing_create(jenkins, recording("createItem-bad-xml"))
    jenkins.rules["GET /pluginManager/api/json"] = Answer(403, b"no")
    jenkins.rules["POST /pipeline-model-converter/validate"] = Answer(200, b"x")
    error = refused(builder)
    assert isinstance(error, Unavailable)
    assert error.code == "server_error"


def test_a_name_taken_by_another_kind_of_job_says_so(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[f"POST {JOB}/config.xml"] = Answer(500, b"Oops")
    jenkins.rules[f"GET {JOB}/api/json"] = json_answer({"_class": "hudson.model.FreeStyleProject", "name": "shop"})
    error = refused(builder)
    assert (error.code, "no pipeline job" in str(error)) == ("name_taken", True)


def test_who_may_not_make_jobs_is_told_the_permission(jenkins: Canned, builder: JenkinsBuilder) -> None:
    failing_create(jenkins, Answer(403, b"<p>portal is missing the Job/Create permission</p>"))
    error = refused(builder)
    assert error.code == "no_permission"
    assert "Job/Create" in str(error)


def test_a_refusal_shows_jenkins_own_words(jenkins: Canned, builder: JenkinsBuilder) -> None:
    failing_create(jenkins, Answer(400, b"<html/>", {"X-Error": "The folder takes no pipelines"}))
    jenkins.rules["GET /pluginManager/api/json"] = Answer(403, b"no")
    jenkins.rules["POST /pipeline-model-converter/validate"] = Answer(200, b"x")
    error = refused(builder)
    assert isinstance(error, Rejected)
    assert error.code == "job_refused"
    assert "The folder takes no pipelines" in error.evidence


def test_an_answer_that_the_sdk_cannot_read_is_asked_again(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules[f"GET {FOLDER}/api/json"] = Answer(200, b'{"na', {"Content-Type": "application/json"})
    error = refused(builder)
    assert isinstance(error, Unavailable)
    assert error.code == "broken_answer"


def test_what_cannot_be_written_is_refused_before_anything_is_sent(jenkins: Canned, builder: JenkinsBuilder) -> None:
    assert isinstance(refused(builder, replace(SPEC, text="a\x00b")), Invalid)
    assert jenkins.asked == []
