"""The simulated Jenkins beside its recordings: its tree language, our own clients on it, and pipelines that run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jenkins as python_jenkins
import pytest
import requests

from tests.builds.embedded.ground import Repository
from tests.simulators.git_http import serving
from tests.simulators.jenkins import Jenkins
from tests.simulators.jenkins.beans import BadTree, Bean, parse_tree, render, shape_of
from tests.simulators.jenkins_ground import Person, ended, job_xml, pipeline, text_of
from tests.waiting import until

# -- the tree language ------------------------------------------------------------------------------------------------


def test_a_tree_names_what_shows_and_cuts_lists() -> None:
    inner = [Bean("N", {"number": (2, n), "deep": (1, Bean("D", {"a": (1, 1), "b": (1, 2)}))}) for n in range(5)]
    bean = Bean("Top", {"name": (1, "x"), "builds": (1, inner), "hidden": (-9, "y")})

    def shown(tree: str) -> Any:
        return json.loads(render(bean, shape_of(tree, "")))

    assert shown("name") == {"_class": "Top", "name": "x"}
    assert shown("hidden") == {"_class": "Top", "hidden": "y"}
    assert [b["number"] for b in shown("builds[number]{1,3}")["builds"]] == [1, 2]
    assert [b["number"] for b in shown("builds[number]{3,}")["builds"]] == [3, 4]
    assert [b["number"] for b in shown("builds[number]{2}")["builds"]] == [2]
    assert shown("builds[deep[b]]{0,1},name")["builds"] == [{"_class": "N", "deep": {"_class": "D", "b": 2}}]
    assert shown("builds[*]{,1}")["builds"] == [{"_class": "N", "number": 0, "deep": {"_class": "D"}}]
    assert shown("*")["name"] == "x"
    assert json.loads(render(bean, shape_of("", "0")))["builds"][0] == {"_class": "N", "number": 0}
    assert json.loads(render(bean, shape_of("", "1")))["builds"][0]["deep"] == {"_class": "D"}


@pytest.mark.parametrize("tree", ["a[", "a]", "a[b]]", "a{", "a{x}", ",", "a[b],"])
def test_a_tree_that_cannot_be_read_is_an_error_of_the_server(person: Person, tree: str) -> None:
    with pytest.raises(BadTree):
        parse_tree(tree)
    assert person.get(f"api/json?tree={tree}").status_code == 500


# -- clients of ours --------------------------------------------------------------------------------------------------


def test_python_jenkins_makes_and_changes_jobs_in_folders(jenkins: Jenkins) -> None:
    client = python_jenkins.Jenkins(jenkins.url, jenkins.user, jenkins.token, timeout=60)
    assert client.get_whoami()["fullName"] == jenkins.user
    assert {"workflow-job", "git"} <= {plugin["shortName"] for plugin in client.get_plugins().values()}
    client.create_folder("portal")
    client.create_job("portal/shop", job_xml(pipeline("echo 'one'")))
    assert client.job_exists("portal/shop")
    with pytest.raises(python_jenkins.JenkinsException, match="already exists"):
        client.create_job("portal/shop", job_xml(pipeline("echo 'one'")))
    client.reconfig_job("portal/shop", job_xml(pipeline("echo 'two'")))
    assert "echo 'two'" in client.get_job_config("portal/shop")
    client.disable_job("portal/shop")
    assert not client.get_job_info("portal/shop")["buildable"]
    client.delete_job("portal/shop")
    assert not client.job_exists("portal/shop")


def test_a_context_path_stands_in_every_address(tmp_path: Path) -> None:
    with Jenkins(prefix="/ci", home=tmp_path / "home") as jenkins, requests.Session() as session:
        session.auth = (jenkins.user, jenkins.token)
        person = Person(jenkins, session)
        jenkins.add_job("a/b", job_xml(pipeline("echo 'x'")))
        run = person.build("a/b")
        assert ended(run) == "SUCCESS"
        assert person.json("job/a/job/b/1/api/json")["url"] == f"{jenkins.url}job/a/job/b/1/"
        stage = person.json("job/a/job/b/1/wfapi/describe")["stages"][0]
        assert stage["_links"]["self"]["href"].startswith("/ci/job/a/job/b/1/execution/node/")
        assert session.get(jenkins.url.replace("/ci", "") + "api/json", timeout=60).status_code == 404


def test_the_validator_says_what_is_wrong_and_where(person: Person) -> None:
    said = person.post("pipeline-model-converter/validate", {"jenkinsfile": pipeline("echo 'x'")}).text
    assert said == "Jenkinsfile successfully validated.\n"
    bad = {"jenkinsfile": (None, "pipeline {\n  agnt any\n}")}
    answer = person.post("pipeline-model-converter/validate", files=bad)
    assert answer.status_code == 200
    assert 'WorkflowScript: 2: Undefined section "agnt" @ line 2, column 3.' in answer.text


# -- pipelines --------------------------------------------------------------------------------------------------------


def test_a_pipeline_gets_what_the_job_declares_and_nothing_else(person: Person) -> None:
    script = (
        "def who = params.WHO; pipeline { agent any\n stages { stage('S') { steps { "
        'echo "${who} ${params.PIN} ${params.NOPE}"; sh \'echo "shell: $WHO"\' } } } }'
    )
    person.jenkins.add_job("portal/shop", job_xml(script, ("WHO", "String"), ("PIN", "Password")))
    run = person.build("portal/shop", WHO="ann & bob", PIN="1234", NOPE="x")
    assert ended(run) == "SUCCESS", text_of(run)
    assert "ann & bob 1234 null" in text_of(run)
    assert "\nshell: ann & bob" in text_of(run)
    told = person.json("job/portal/job/shop/1/api/json")
    (action,) = [a for a in told["actions"] if "parameters" in a]
    assert action["parameters"] == [
        {"_class": "hudson.model.StringParameterValue", "name": "WHO", "value": "ann & bob"},
        {"_class": "hudson.model.PasswordParameterValue", "name": "PIN"},
    ]


SCM = (
    "def scm = [$class: 'GitSCM', branches: [[name: params.FDD_COMMIT]], "
    "userRemoteConfigs: [[url: params.FDD_REPOSITORY, credentialsId: 'portal']]]; "
)
OURS = (("FDD_COMMIT", "String"), ("FDD_REPOSITORY", "String"))


def test_a_script_in_the_job_checks_nothing_out_by_itself(person: Person) -> None:
    person.jenkins.add_job("plain", job_xml(pipeline("sh 'ls -A'")))
    run = person.build("plain")
    assert ended(run) == "SUCCESS"
    assert "Checkout SCM" not in text_of(run)


def test_a_script_that_says_its_scm_gets_the_commit_with_jenkins_own_credential(person: Person, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path)
    commit = repository.commit({"f": "of the commit\n", "Jenkinsfile": pipeline("sh 'cat f'")})
    repository.commit({"f": "of a later one\n"})
    jenkins = person.jenkins
    jenkins.add_job("told", job_xml(SCM + pipeline("checkout scm; sh 'cat f'"), *OURS))
    with serving(tmp_path, "reader", "of-code") as address:
        values = {"FDD_COMMIT": commit, "FDD_REPOSITORY": f"{address}/repo.git"}
        refused = person.build("told", **values)
        assert ended(refused) == "FAILURE"
        jenkins.credentials["portal"] = ("reader", "of-code")
        run = person.build("told", **values)
        assert ended(run) == "SUCCESS", text_of(run)
        assert "\nof the commit" in text_of(run)
        jenkins.add_job("whole", from_git_xml(values["FDD_REPOSITORY"], "portal"))
        whole = person.build("whole", FDD_COMMIT=commit)
        assert ended(whole) == "SUCCESS", text_of(whole)
        assert "\nof the commit" in text_of(whole)
    assert "of-code" not in text_of(run) + text_of(whole)


def test_a_path_is_no_address_of_a_repository(person: Person, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path)
    commit = repository.commit({"f": "x\n"})
    person.jenkins.add_job("told", job_xml(SCM.replace("portal", "") + pipeline("checkout scm"), *OURS))
    run = person.build("told", FDD_COMMIT=commit, FDD_REPOSITORY=str(repository.bare))
    assert ended(run) == "FAILURE"
    assert "is no address of a Git repository" in text_of(run)


def test_a_declarative_run_rewrites_the_job(person: Person) -> None:
    top = (
        "parameters { string(name: 'OWN', defaultValue: 'd')\n choice(name: 'C', choices: ['a', 'b']) }\n"
        "options { disableConcurrentBuilds() }"
    )
    person.jenkins.add_job("shop", job_xml(pipeline('echo "${params.OWN}"', top=top), ("FDD_REF", "String")))
    assert ended(person.build("shop", FDD_REF="main")) == "SUCCESS"
    config = person.get("job/shop/config.xml").text
    assert 'plugin="workflow-job@' in config
    assert "DisableConcurrentBuildsJobProperty" in config
    assert [p.name for p in person.jenkins.job("shop").config.parameters] == ["FDD_REF", "OWN", "C"]
    assert person.trigger("shop", C="z").status_code == 500


def test_the_jenkinsfile_of_a_repository_runs_at_the_commit_a_parameter_names(person: Person, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path)
    first = repository.commit({"Jenkinsfile": pipeline("sh 'cat f'"), "f": "first\n"})
    repository.commit({"f": "second\n"})
    person.jenkins.add_job("shop", from_git_xml(str(repository.bare)))
    run = person.build("shop", FDD_COMMIT=first)
    assert ended(run) == "SUCCESS", text_of(run)
    assert "\nfirst" in text_of(run)
    assert "\nsecond" not in text_of(run)
    lost = person.build("shop", FDD_COMMIT="0" * 40)
    assert ended(lost) == "FAILURE"
    assert "ERROR: Couldn't find any revision to build." in text_of(lost)


def test_a_repository_that_is_not_there_ends_a_build_before_its_first_stage(person: Person, tmp_path: Path) -> None:
    person.jenkins.add_job("shop", from_git_xml(str(tmp_path / "none.git"), "portal"))
    run = person.build("shop", FDD_COMMIT="main")
    assert ended(run) == "FAILURE"
    assert 'Warning: CredentialId "portal" could not be found.' in text_of(run)
    assert "ERROR: Error fetching remote repo 'origin'" in text_of(run)
    assert person.json("job/shop/1/wfapi/describe")["stages"] == []


def from_git_xml(url: str, credentials_id: str = "") -> str:
    return (
        "<flow-definition><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>"
        "<hudson.model.StringParameterDefinition><name>FDD_COMMIT</name></hudson.model.StringParameterDefinition>"
        "</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties>"
        '<definition class="org.jenkinsci.plugins.workflow.cps.CpsScmFlowDefinition"><scm class="hudson.plugins.git.GitSCM">'
        f"<userRemoteConfigs><hudson.plugins.git.UserRemoteConfig><url>{url}</url>"
        f"<credentialsId>{credentials_id}</credentialsId></hudson.plugins.git.UserRemoteConfig></userRemoteConfigs>"
        "<branches><hudson.plugins.git.BranchSpec><name>${FDD_COMMIT}</name></hudson.plugins.git.BranchSpec></branches>"
        "</scm><scriptPath>Jenkinsfile</scriptPath></definition></flow-definition>"
    )


def test_a_question_is_answered_by_a_person(person: Person) -> None:
    asks = "input(message: 'Which?', parameters: [choice(name: 'C', choices: ['a', 'b'])])"
    person.jenkins.add_job("shop", job_xml(pipeline(f'script {{ def c = {asks}\n echo "took ${{c}}" }}')))
    run = person.build("shop")
    (asked,) = until(lambda: person.json("job/shop/1/wfapi/pendingInputActions"))
    assert asked["inputs"][0]["definition"]["choices"] == ["a", "b"]
    to = asked["proceedUrl"].lstrip("/")

    def answer(value: str) -> int:
        return person.post(to, {"json": json.dumps({"parameter": [{"name": "C", "value": value}]})}).status_code

    assert answer("z") == 500  # no such choice, and it still waits
    assert answer("b") == 200
    assert ended(run) == "SUCCESS", text_of(run)
    assert "took b" in text_of(run)
    assert answer("b") == 404


def test_saying_no_aborts_the_build(person: Person) -> None:
    person.jenkins.add_job("shop", job_xml(pipeline("input 'Deploy?'")))
    run = person.build("shop")
    (asked,) = until(lambda: person.json("job/shop/1/wfapi/pendingInputActions"))
    assert person.post(asked["abortUrl"].lstrip("/")).status_code == 200
    assert ended(run) == "ABORTED"
    assert f"Rejected by {person.jenkins.user}" in text_of(run)


def test_a_build_that_is_stopped_runs_its_post_and_says_who_stopped_it(person: Person) -> None:
    script = "pipeline { agent any\n stages { stage('S') { steps { sh 'sleep 60' } } }\n post { aborted { echo 'after all' } } }"
    person.jenkins.add_job("shop", job_xml(script))
    run = person.build("shop")
    until(lambda: "+ sleep 60" in text_of(run))
    assert person.post("job/shop/1/stop").status_code == 302
    assert ended(run) == "ABORTED"
    assert f"Aborted by {person.jenkins.user}" in text_of(run)
    assert "after all" in text_of(run)


def test_what_is_left_out_by_when_looks_like_success_as_in_jenkins(person: Person) -> None:
    script = (
        "pipeline { agent any\n stages { stage('A') { when { expression { false } }\n steps { echo 'no' } }\n"
        "stage('P') { parallel { stage('x') { steps { echo 'x' } }\n stage('y') { steps { echo 'y' } } } } } }"
    )
    person.jenkins.add_job("shop", job_xml(script))
    run = person.build("shop")
    assert ended(run) == "SUCCESS"
    stages = person.json("job/shop/1/wfapi/describe")["stages"]
    assert [stage["status"] for stage in stages] == ["SUCCESS"] * 4
    assert {stage["name"] for stage in stages} == {"A", "P", "x", "y"}
    assert 'Stage "A" skipped due to when conditional' in text_of(run)
