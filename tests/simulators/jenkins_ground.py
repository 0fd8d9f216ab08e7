"""What the tests of the simulated Jenkins stand on: job configurations, and a person with an API token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from tests.simulators.jenkins import Jenkins
from tests.simulators.jenkins.runs import Run

FOLDER = "<com.cloudbees.hudson.plugins.folder.Folder/>"
XML = {"Content-Type": "application/xml"}


def job_xml(script: str, *parameters: tuple[str, str]) -> str:
    """A pipeline in the job; parameters as name and Jenkins' word for the kind (`String`, `Password`)."""
    declared = "".join(
        f"<hudson.model.{kind}ParameterDefinition><name>{name}</name></hudson.model.{kind}ParameterDefinition>"
        for name, kind in parameters
    )
    text = script.replace("&", "&amp;").replace("<", "&lt;")
    return (
        "<flow-definition><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>"
        f"{declared}</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties>"
        '<definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition">'
        f"<script>{text}</script><sandbox>true</sandbox></definition></flow-definition>"
    )


def pipeline(steps: str, *, top: str = "") -> str:
    return f"pipeline {{ agent any\n {top}\n stages {{ stage('Build') {{ steps {{ {steps} }} }} }} }}"


@dataclass
class Person:
    """Somebody who asks this Jenkins, by its addresses only."""

    jenkins: Jenkins
    session: requests.Session

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.jenkins.url + path, timeout=60)

    def post(self, path: str, data: Any = None, **more: Any) -> requests.Response:
        return self.session.post(self.jenkins.url + path, data=data, timeout=60, allow_redirects=False, **more)

    def json(self, path: str) -> Any:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text[:300]
        return answer.json()

    def trigger(self, job: str, **values: str) -> requests.Response:
        path = "job/" + "/job/".join(job.split("/"))
        return self.post(f"{path}/{'buildWithParameters' if values else 'build'}?delay=0sec", values or None)

    def build(self, job: str, **values: str) -> Run:
        """A build that has begun."""
        answer = self.trigger(job, **values)
        assert answer.status_code == 201, answer.text[:300]
        item = self.json(answer.headers["Location"].removeprefix(self.jenkins.url) + "api/json")
        return self.jenkins.run(job, item["executable"]["number"])


def ended(run: Run) -> str:
    assert run.done.wait(120), text_of(run)
    return str(run.result)


def text_of(run: Run) -> str:
    return run.log.since(0)[0].decode()
