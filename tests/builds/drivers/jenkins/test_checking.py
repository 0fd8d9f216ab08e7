"""Trying a connection: what answers, as whom, and what is missing by name; nothing is changed by trying."""

from __future__ import annotations

import pytest

from builds.drivers.builder.jenkins import JenkinsBuilder
from builds.drivers.builder.jenkins.checking import PLUGINS
from fangduoduo_release.common.errors import Rejected, Unavailable

from .canned import Answer, Canned, json_answer, recording

DENIED = Answer(403, b"<html><body>portal is missing the Job/Create permission</body></html>")
FOLDER = "/job/fangduoduo-release"


def plugins(*without: str, **states: bool) -> Answer:
    listed = [{"shortName": name, "active": True, "enabled": True, **states} for name in PLUGINS if name not in without]
    return json_answer({"plugins": listed})


def offers(*classes: str) -> Answer:
    found = [{"class": name, "displayName": name} for name in classes]
    return json_answer({"categories": [{"id": "nested", "items": found[:1]}, {"id": "basic", "items": found[1:]}]})


def healthy(jenkins: Canned) -> None:
    jenkins.rules |= {
        "GET /api/json": recording("root-api"),
        "GET /whoAmI/api/json": recording("whoami"),
        "GET /pluginManager/api/json": plugins(),
        "GET /checkJobName": Answer(200, b"<div/>", {"Content-Type": "text/html"}),
        f"GET {FOLDER}/api/json": json_answer({"name": "fangduoduo-release"}),
        f"GET {FOLDER}/checkJobName": Answer(200, b"<div/>"),
        f"GET {FOLDER}/config.xml": Answer(200, b"<x/>", {"Content-Type": "application/xml"}),
    }


def test_a_healthy_jenkins_lacks_nothing(jenkins: Canned, builder: JenkinsBuilder) -> None:
    healthy(jenkins)
    found = builder.check()
    assert (found.version, found.user, found.missing, found.sentence) == ("2.440.2", "admin", (), None)
    assert set(jenkins.paths("POST")) <= {"/pipeline-model-converter/validate"}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_every_plugin_that_is_missing_is_named(jenkins: Canned, builder: JenkinsBuilder, plugin: str) -> None:
    healthy(jenkins)
    jenkins.rules["GET /pluginManager/api/json"] = plugins(plugin)
    found = builder.check()
    assert found.missing == (f"plugin {plugin}",)
    assert str(found.sentence) == f"Missing in Jenkins for the user “admin”: plugin {plugin}."


@pytest.mark.parametrize("state", ["active", "enabled"])
def test_a_plugin_that_is_switched_off_is_missing(jenkins: Canned, builder: JenkinsBuilder, state: str) -> None:
    healthy(jenkins)
    jenkins.rules["GET /pluginManager/api/json"] = plugins(**{state: False})
    assert builder.check().missing == tuple(f"plugin {name}" for name in PLUGINS)


def test_without_the_list_of_plugins_only_what_is_certain_is_said(jenkins: Canned, builder: JenkinsBuilder) -> None:
    healthy(jenkins)
    jenkins.rules["GET /pluginManager/api/json"] = DENIED
    jenkins.rules["POST /pipeline-model-converter/validate"] = Answer(200, b"did not contain")
    assert builder.check().missing == ()
    jenkins.rules[f"GET {FOLDER}/itemCategories"] = offers("hudson.model.FreeStyleProject")
    assert builder.check().missing == ("plugin workflow-job", "plugin cloudbees-folder")
    jenkins.rules[f"GET {FOLDER}/itemCategories"] = offers(
        "com.cloudbees.hudson.plugins.folder.Folder", "org.jenkinsci.plugins.workflow.job.WorkflowJob"
    )
    assert builder.check().missing == ()
    del jenkins.rules["POST /pipeline-model-converter/validate"]
    assert builder.check().missing == ("plugin pipeline-model-definition",)


def test_rights_are_tried_in_the_folder_when_it_is_there(jenkins: Canned, builder: JenkinsBuilder) -> None:
    healthy(jenkins)
    jenkins.rules[f"GET {FOLDER}/checkJobName"] = DENIED
    jenkins.rules[f"GET {FOLDER}/config.xml"] = DENIED
    assert builder.check().missing == ("Job/Create", "Job/Configure")


def test_rights_are_tried_where_the_folder_would_be_made(jenkins: Canned) -> None:
    healthy(jenkins)
    jenkins.rules["GET /checkJobName"] = Answer(403, b"x", {"X-Required-Permission": "hudson.model.Item.Create"})
    assert jenkins.builder(folder="new").check().missing == ("Job/Create",)
    jenkins.rules["GET /job/team/api/json"] = json_answer({"name": "team"})
    jenkins.rules["GET /job/team/checkJobName"] = Answer(200)
    jenkins.rules["GET /job/team/config.xml"] = Answer(200)
    assert jenkins.builder(folder="team/new").check().missing == ()


def test_a_jenkins_that_shuts_down_says_so(jenkins: Canned, builder: JenkinsBuilder) -> None:
    healthy(jenkins)
    jenkins.rules["GET /api/json"] = json_answer({"quietingDown": True}, **{"X-Jenkins": "2.440.2"})
    found = builder.check()
    assert found.missing == ()
    assert "shut down" in str(found.sentence)


@pytest.mark.parametrize(
    "answer",
    [
        json_answer({"hello": "world"}),
        Answer(200, b"<html>Welcome to nginx</html>", {"Content-Type": "text/html"}),
        Answer(200, b"", {}),
    ],
)
def test_another_server_is_not_taken_for_a_jenkins(jenkins: Canned, builder: JenkinsBuilder, answer: Answer) -> None:
    jenkins.rules["GET /api/json"] = answer
    with pytest.raises(Unavailable) as caught:
        builder.check()
    assert caught.value.code == "not_jenkins"
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize("name", ["root-api-wrong-password", "root-api-unknown-user", "root-api-anonymous"])
def test_a_user_that_jenkins_does_not_know_is_told(jenkins: Canned, builder: JenkinsBuilder, name: str) -> None:
    jenkins.rules["GET /api/json"] = recording(name)
    with pytest.raises(Rejected) as caught:
        builder.check()
    assert caught.value.code == "bad_credentials"
    assert "“portal”" in str(caught.value)


def test_being_nobody_is_a_wrong_token(jenkins: Canned, builder: JenkinsBuilder) -> None:
    healthy(jenkins)
    jenkins.rules["GET /whoAmI/api/json"] = json_answer({"anonymous": True, "name": "anonymous"})
    with pytest.raises(Rejected) as caught:
        builder.check()
    assert caught.value.code == "bad_credentials"


def test_a_user_without_overall_read_is_told_the_permission(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules["GET /api/json"] = Answer(403, b"portal is missing the Overall/Read permission")
    with pytest.raises(Rejected) as caught:
        builder.check()
    assert (caught.value.code, "Overall/Read" in str(caught.value)) == ("no_permission", True)


def test_a_permission_that_jenkins_does_not_name_is_still_a_sentence(jenkins: Canned, builder: JenkinsBuilder) -> None:
    jenkins.rules["GET /api/json"] = Answer(403, b"<html>Forbidden by the proxy</html>")
    with pytest.raises(Rejected) as caught:
        builder.check()
    assert caught.value.code == "no_permission"
    assert "Forbidden by the proxy" in caught.value.evidence


def test_one_of_several_permissions_is_told_as_jenkins_tells_it(jenkins: Canned, builder: JenkinsBuilder) -> None:
    said = b"portal is missing a permission, one of Overall/Administer, Overall/SystemRead is required"
    jenkins.rules["GET /api/json"] = Answer(403, said)
    with pytest.raises(Rejected) as caught:
        builder.check()
    assert "permission Overall/Administer, Overall/SystemRead in Jenkins" in str(caught.value)
