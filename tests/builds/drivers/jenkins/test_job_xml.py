"""A job's XML: what we write, and that only a person's edit looks like one when it is read back."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builds.drivers.builder.jenkins import facts_of, same
from builds.drivers.builder.jenkins.job_xml import read, render, script_of
from builds.drivers.builder.remote import KEY, OURS, JobSpec, ParameterSpec
from fangduoduo_release.common.errors import Invalid, Unavailable

from .canned import recording

TEXT = "pipeline {\n  agent any\n  stages { stage('x') { steps { checkout scm\n sh 'a && b < c > d \"e\"' } } }\n}\n"
SPEC = JobSpec(
    path="fangduoduo-release/shop",
    project="shop",
    revision=3,
    text=TEXT,
    repository="https://portal.example/git/shop.git",
    credentials_id="portal-git",
    parameters=(
        ParameterSpec("GOAL", "choice", choices=("test", "package <all> & more")),
        ParameterSpec("FAST", "boolean", default="true"),
        ParameterSpec("NOTE", "text", default="two\nlines"),
        ParameterSpec("SECRET", "password", default="never written"),
    ),
    portal_url="https://portal.example/projects/shop/",
)
REPOSITORY = replace(SPEC, from_repository=True, text="")


def tree(spec: JobSpec) -> ET.Element:
    return ET.fromstring(render(spec).partition("\n")[2])


def declared(spec: JobSpec) -> dict[str, str]:
    found = tree(spec).iter("parameterDefinitions")
    return {one.findtext("name") or "": one.tag.rpartition(".")[2] for holder in found for one in holder}


def test_our_parameters_are_declared_with_the_pipelines() -> None:
    assert declared(SPEC) == {
        "FDD_BUILD_KEY": "StringParameterDefinition",
        "FDD_BUILD_URL": "StringParameterDefinition",
        "FDD_REPOSITORY": "StringParameterDefinition",
        "FDD_REF": "StringParameterDefinition",
        "FDD_COMMIT": "StringParameterDefinition",
        "FDD_FETCH": "StringParameterDefinition",
        "IMAGE": "StringParameterDefinition",
        "REGISTRY": "StringParameterDefinition",
        "REGISTRY_USER": "StringParameterDefinition",
        "REGISTRY_PASSWORD": "PasswordParameterDefinition",
        "GOAL": "ChoiceParameterDefinition",
        "FAST": "BooleanParameterDefinition",
        "NOTE": "TextParameterDefinition",
        "SECRET": "PasswordParameterDefinition",
    }


def test_a_pipeline_cannot_make_a_password_of_ours_readable() -> None:
    spec = replace(SPEC, parameters=(ParameterSpec("REGISTRY_PASSWORD", "string", default="x"),))
    assert declared(spec)["REGISTRY_PASSWORD"] == "PasswordParameterDefinition"


def test_no_password_has_a_default_in_jenkins() -> None:
    assert "never written" not in render(SPEC)


def test_a_text_runs_in_the_sandbox_with_scm_on_its_first_line() -> None:
    definition = tree(SPEC).find("definition")
    assert definition is not None
    assert definition.get("class") == "org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"
    assert definition.findtext("sandbox") == "true"
    script = definition.findtext("script") or ""
    first, _, rest = script.partition("\n")
    assert first.startswith("def scm = [$class: 'GitSCM', branches: [[name: params.FDD_COMMIT]], userRemoteConfigs: [[")
    assert "credentialsId: 'portal-git'" in first
    assert first.endswith("]]]; pipeline {")
    assert rest == TEXT.partition("\n")[2]
    assert script.count("\n") == TEXT.count("\n")


def test_a_shebang_and_a_byte_order_mark_do_not_break_the_first_line() -> None:
    assert script_of(replace(SPEC, text="\ufeff#!groovy\r\npipeline {}")).endswith("; // #!groovy\npipeline {}")


def test_a_jenkinsfile_of_the_repository_is_read_by_jenkins_at_the_commit() -> None:
    definition = tree(REPOSITORY).find("definition")
    assert definition is not None
    assert definition.get("class") == "org.jenkinsci.plugins.workflow.cps.CpsScmFlowDefinition"
    assert definition.findtext("scriptPath") == "Jenkinsfile"
    assert definition.findtext("lightweight") == "false"
    assert definition.findtext("scm/branches/hudson.plugins.git.BranchSpec/name") == "${FDD_COMMIT}"
    remote = definition.find("scm/userRemoteConfigs/hudson.plugins.git.UserRemoteConfig")
    assert remote is not None
    assert remote.findtext("url") == SPEC.repository
    assert remote.findtext("credentialsId") == "portal-git"


def test_a_public_repository_needs_no_credential() -> None:
    spec = replace(REPOSITORY, credentials_id="")
    assert "credentialsId" not in render(spec)


def test_the_description_says_whose_job_it_is() -> None:
    said = tree(SPEC).findtext("description") or ""
    assert "fangduoduo_release" in said
    assert "revision 3" in said
    assert SPEC.portal_url in said


def test_concurrent_builds_are_allowed() -> None:
    assert "DisableConcurrentBuilds" not in render(SPEC)


@pytest.mark.parametrize("text", ["a\x00b", "a\x1bb", "a\x08", "\ufffe", "a\ud800"])
def test_a_character_that_no_xml_holds_is_refused_before_jenkins_sees_it(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        render(replace(SPEC, text=text))
    assert caught.value.code == "bad_job"


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "1a", "a\nb"])
def test_a_parameter_has_a_plain_name(name: str) -> None:
    with pytest.raises(Invalid):
        render(replace(SPEC, parameters=(ParameterSpec(name, "string"),)))


def test_a_credential_cannot_break_out_of_the_script() -> None:
    with pytest.raises(Invalid):
        render(replace(SPEC, credentials_id="x']]]; evil()"))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufffe\uffff"), max_size=200))
def test_any_text_comes_back_as_it_was_written(text: str) -> None:
    spec = replace(SPEC, text=text)
    assert read(render(spec))["script"] == script_of(spec).strip()


def test_what_was_written_has_all_parameters() -> None:
    facts = facts_of(SPEC)
    assert facts["kind"] == "text"
    assert facts["sandbox"] is True
    assert facts["disabled"] is False
    assert facts["parameters_missing"] == []


def rewritten(config: str) -> str:
    """As Jenkins stores it: XML 1.1, versions of plugins, its own order and elements, what a Jenkinsfile declared."""
    config = config.replace('plugin="workflow-job"', 'plugin="workflow-job@1400.v7fd111b_ec82f"')
    config = config.replace('plugin="workflow-cps"', 'plugin="workflow-cps@3883.vb_3ff2a_e3eea_f"').replace(
        'plugin="git"', 'plugin="git@5.2.1"'
    )
    tracker = "org.jenkinsci.plugins.pipeline.modeldefinition.actions.DeclarativeJobPropertyTrackerAction"
    config = re.sub(r"<description>Managed.*?</description>", "", config, flags=re.S)
    config = config.replace(
        "<keepDependencies>", f"<actions>\n <{tracker}><parameters/></{tracker}>\n</actions>\n<keepDependencies>"
    )
    timer = "<hudson.triggers.TimerTrigger><spec>H 3 * * 1-5</spec></hudson.triggers.TimerTrigger>"
    extra = f"<org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty><triggers>{timer}</triggers></org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty>"
    more = "<hudson.model.StringParameterDefinition><name>DECLARED</name><trim>false</trim></hudson.model.StringParameterDefinition>"
    config = config.replace("</properties>", f"{extra}</properties>").replace(
        "<parameterDefinitions>", f"<parameterDefinitions>{more}"
    )
    return config.replace("<triggers />", "").replace("><", ">\n  <")


@pytest.mark.parametrize("spec", [SPEC, REPOSITORY], ids=["text", "repository"])
def test_a_job_that_jenkins_rewrote_is_the_same_job(spec: JobSpec) -> None:
    assert read(rewritten(render(spec))) == facts_of(spec)


def test_other_line_endings_are_the_same_job() -> None:
    config = render(SPEC).replace("\n  agent any\n", "&#xd;\n  agent any&#13;\n")
    assert same(read(config), facts_of(SPEC))


@pytest.mark.parametrize(
    ("spec", "old", "new"),
    [
        (SPEC, "checkout scm", "checkout scm; sh 'extra'"),
        (SPEC, "<sandbox>true</sandbox>", "<sandbox>false</sandbox>"),
        (SPEC, "<disabled>false</disabled>", "<disabled>true</disabled>"),
        (REPOSITORY, "${FDD_COMMIT}", "*/main"),
        (REPOSITORY, "shop.git", "other.git"),
        (REPOSITORY, "portal-git", "other"),
        (REPOSITORY, ">Jenkinsfile<", ">ci/Jenkinsfile<"),
        (REPOSITORY, "<lightweight>false", "<lightweight>true"),
        (REPOSITORY, "<extensions />", "<extensions><x.CloneOption/></extensions>"),
    ],
)
def test_a_hand_edited_job_shows(spec: JobSpec, old: str, new: str) -> None:
    config = render(spec)
    assert old in config
    assert not same(read(config.replace(old, new, 1)), facts_of(spec))


def test_a_job_turned_into_another_kind_shows() -> None:
    assert not same(facts_of(REPOSITORY), facts_of(SPEC))
    assert read("<project><builders/></project>")["kind"] == "project"
    assert read("<flow-definition><definition class='x.Y'/></flow-definition>")["kind"] == "x.Y"


def test_a_lost_parameter_means_write_again_not_edited() -> None:
    config = render(SPEC)
    gone = re.sub(
        r"<hudson.model.StringParameterDefinition><name>FDD_COMMIT.*?</hudson.model.StringParameterDefinition>",
        "",
        config,
    )
    found = read(gone)
    assert found["parameters_missing"] == ["FDD_COMMIT"]
    assert same(found, facts_of(SPEC))
    none = re.sub(r"<properties>.*</properties>", "<properties/>", config, flags=re.S)
    assert read(none)["parameters_missing"] == [parameter.name for parameter in OURS]


def test_a_password_that_became_readable_counts_as_lost() -> None:
    config = render(SPEC)
    made = "<hudson.model.PasswordParameterDefinition><name>REGISTRY_PASSWORD"
    tail = config.split(made)[1].replace("PasswordParameterDefinition>", "StringParameterDefinition>", 1)
    broken = config.split(made)[0] + made.replace("Password", "String", 1) + tail
    assert read(broken)["parameters_missing"] == ["REGISTRY_PASSWORD"]


def test_the_recorded_jobs_can_be_read() -> None:
    plain = read(recording("job-config-get").body.decode())
    assert plain["kind"] == "text"
    assert "junit 'r/*.xml'" in plain["script"]
    assert KEY in plain["parameters_missing"]
    scm = read(recording("job-config-scm").body.decode())
    assert scm["scm"]["url"] == "http://127.0.0.1:8099/r.git"
    assert scm["scm"]["branch"] == "*/main"
    assert scm["lightweight"] is False


def test_control_characters_of_xml_11_do_not_stop_the_reading() -> None:
    config = render(SPEC).replace("agent any", "agent any &#x1b;[0m &#27;")
    assert not same(read(config), facts_of(SPEC))


@pytest.mark.parametrize(
    "config",
    ["", "<a", "no xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<?xml version='1.1'?><!DOCTYPE a><a/>"],
)
def test_what_is_no_configuration_is_refused_whole(config: str) -> None:
    with pytest.raises(Unavailable) as caught:
        read(config)
    assert caught.value.code == "broken_answer"


def test_no_job_is_the_same_as_no_job_only() -> None:
    assert same(None, None)
    assert not same(None, facts_of(SPEC))
