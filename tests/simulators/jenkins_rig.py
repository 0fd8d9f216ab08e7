"""The rig: a simulated Jenkins taken, step by step, through what the real one went through when it was recorded.

Nothing is left to timing: pipelines wait at gates, queue items for a push of the clock, nodes for executors.
"""

from __future__ import annotations

import base64
import re
from http.client import HTTPConnection
from pathlib import Path

from tests.builds.embedded.ground import Repository
from tests.waiting import until

from .jenkins import Jenkins
from .jenkins.config import Config
from .jenkins.runs import Run
from .recordings import Recording

QUIET = 3600.0
PASSWORD = "the-password"
_JOB = (
    '<flow-definition plugin="workflow-job"><properties>{properties}</properties>'
    '<definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"><script>{script}</script>'
    "<sandbox>true</sandbox></definition></flow-definition>"
)
_SERIAL = "<org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty/>"
SCM_PIPELINE = """pipeline { agent any
  triggers { cron('H 3 * * 1-5') }
  stages { stage('S') { steps { sh 'git log --oneline | head -1; cat f'
    script { echo([1, 2, 3].collect { it * 2 }.toString())
      parallel a: { echo 'A' }, b: { echo 'B' } } } } } }
"""
PIPELINES = {
    "rig-serial": "pipeline { agent any\n stages { stage('S') { steps { sh '{gate} held' } } } }",
    "rig-nolabel": "pipeline { agent { label 'no-such-label' }\n stages { stage('S') { steps { echo 'x' } } } }",
    "rig-syntax": "pipeline { agnt any }",
    "rig-sandbox": "pipeline { agent any\n stages { stage('S') { steps { script { jenkins.model.Jenkins.get() } } } } }",
    "rig-input": (
        "pipeline { agent none\n stages { stage('Approve') { steps { input message: 'Deploy?', ok: 'Go', "
        "parameters: [string(name: 'WHY', defaultValue: 'x')] } }\n stage('After') { steps { echo 'done' } } } }"
    ),
}


class Rig:
    """The simulator, what of the recorded ids and offsets is called otherwise here, and the gates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jenkins = Jenkins(password=PASSWORD, quiet_period=QUIET, home=folder / "home")
        self.jenkins.nodes.executors = 2
        self.names: dict[str, str] = {}  # recorded path or text -> ours
        self.cookie = ""
        self.gates = folder / "gates"
        self.gates.mkdir()
        self.gate = folder / "gate"
        self.gate.write_text(
            f'#!/bin/sh\nuntil [ -e {self.gates}/$JOB_NAME-$BUILD_NUMBER-$1 ] || '
            f'[ -e {self.gates}/$JOB_NAME-$BUILD_NUMBER ]; do sleep 0.02; done\n'
        )  # fmt: skip
        self.gate.chmod(0o755)

    # -- state ----------------------------------------------------------------------------------------------------------

    def add(self, name: str) -> None:
        properties = _SERIAL if name == "rig-serial" else ""
        script = PIPELINES[name].replace("{gate}", str(self.gate))
        self.jenkins.add_job(name, _JOB.format(properties=properties, script=script))

    def rewrite(self, job: str, before: str, after: str) -> None:
        """Change a job's config.xml by hand: its waits become gates, its repository one that is there."""
        found = self.jenkins.job(job)
        assert before in found.config.text
        found.config = Config(found.config.text.replace(before, after).replace('version="1.1"', 'version="1.0"'))

    def push(self) -> None:
        """Over with all quiet periods."""
        self.jenkins.clock.push(QUIET + 5)

    def open(self, job: str, number: int, gate: str = "") -> None:
        (self.gates / (f"{job}-{number}-{gate}" if gate else f"{job}-{number}")).touch()

    def run(self, job: str, number: int) -> Run:
        return until(lambda: self.jenkins.job(job).runs.get(number), what=f"{job} #{number}")

    def end(self, job: str, number: int) -> None:
        self.open(job, number)
        assert self.run(job, number).done.wait(120), self.log(job, number)

    def log(self, job: str, number: int) -> str:
        return self.run(job, number).log.since(0)[0].decode()

    def said(self, job: str, number: int, text: str) -> None:
        until(lambda: text in self.log(job, number), what=f"“{text}” in the log of {job} #{number}")

    def trigger(self, job: str, recorded: int = 0) -> None:
        """A build nobody recorded the wish for, and the number its queue item had then."""
        item, _ = self.jenkins.queue.schedule(self.jenkins.job(job), (), self.jenkins.user, 0)
        self._learn_item(f"/queue/item/{recorded}", f"/queue/item/{item.id}")

    def _learn_item(self, recorded: str, own: str) -> None:
        self.names[recorded] = own
        self.names[f"cancelItem?id={recorded.rpartition('/')[2]}"] = f"cancelItem?id={own.rpartition('/')[2]}"

    def repository(self) -> Repository:
        repository = Repository.make(self.folder)
        repository.commit({"Jenkinsfile": SCM_PIPELINE, "f": "hi\n"}, "second")
        return repository

    # -- requests -------------------------------------------------------------------------------------------------------

    def send(self, recording: Recording) -> tuple[int, dict[str, str], bytes]:
        """The recorded request, by the same kind of user, with our own ids in place of the recorded ones."""
        headers = {name: value for name, value in recording.sent.items() if name not in ("Content-Length", "Cookie")}
        login = {
            "admin + API token": f"{self.jenkins.user}:{self.jenkins.token}",
            "admin + password": f"{self.jenkins.user}:{PASSWORD}",
            "bad credentials (admin)": f"{self.jenkins.user}:wrong",
            "bad credentials (nobody)": "nobody:wrong",
        }.get(recording.auth)
        if login:
            headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        if "Cookie" in recording.sent:
            headers["Cookie"] = self.cookie
        if "Jenkins-Crumb" in headers:
            headers["Jenkins-Crumb"] = self.ours(headers["Jenkins-Crumb"])
        connection = HTTPConnection("127.0.0.1", self.jenkins.port, timeout=60)
        try:
            connection.request(recording.method, self.ours(recording.target), recording.sent_body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def ours(self, text: str) -> str:
        if not self.names:
            return text
        longest_first = sorted(map(re.escape, self.names), key=len, reverse=True)
        pattern = re.compile(rf"({'|'.join(longest_first)})(?![0-9a-zA-Z])")
        return pattern.sub(lambda found: self.names[found.group()], text)

    def learn(self, recording: Recording, headers: dict[str, str], data: object) -> None:
        """What the recorded answer named, and what ours names instead."""
        recorded = recording.headers.get("Location", "")
        if "/queue/item/" in recorded:
            self._learn_item(_path(recorded), _path(headers.get("Location", "")))
        if "X-Text-Size" in recording.headers:
            start = recording.target.partition("?")[0] + "?start="
            self.names[start + recording.headers["X-Text-Size"]] = start + headers.get("X-Text-Size", "")
        if recording.name == "crumb-password" and isinstance(data, dict):
            self.names["9397c50e5e2b37e02a9f823a28b86b536ed94f0c0fa257604053670b670f2eeb"] = data["crumb"]
            self.cookie = headers["Set-Cookie"].partition(";")[0]
        if recording.name == "wfapi-pendingInputActions" and isinstance(data, list):
            self.names["/input/636f38b31b33dac894e924382f65efd1"] = f"/input/{data[0]['id']}"

    def learn_nodes(self) -> None:
        """The recorded build 2 had its stage Build at node 16 and that stage's script at 17."""
        stage = next(stage for stage in self.run("rig-pipe", 2).flow.stages if stage.name == "Build")
        self.names["/execution/node/16"] = f"/execution/node/{stage.id}"
        self.names["/execution/node/17"] = f"/execution/node/{stage.steps[0].id}"


def _path(url: str) -> str:
    return "/" + url.rstrip("/").partition("://")[2].partition("/")[2]
