"""The simulator answers as the recorded Jenkins did: status, the headers that mean something, the shape of the body.

One play through the recordings in the order in which they were made; each recording is then a test of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from .jenkins_rig import Rig
from .recordings import JENKINS, Recording, all_of
from .shapes import differences, telling_lines, xml_paths

RECORDINGS = all_of(JENKINS)
LEFT_OUT: dict[str, str] = {}
"""Recordings that are not held to, each with its reason."""
LEFT_OUT_PARTS = {
    "/healthReport": "how healthy a job looks depends on plugins; nothing of ours reads it",
    "/suites[0]/name": "the engine keeps the class of a test case, not the name of its suite; neither do we",
    "/monitorData/hudson.node_monitors.DiskSpaceMonitor/path": "the path of this machine",
}
"""Parts of bodies that are not compared."""
HEADERS = {
    "Location": r"^https?://127\.0\.0\.1:\d+|\d+",
    "X-Text-Size": r"\d+",
    "X-More-Data": "",
    "X-Error": "",
    "Content-Type": "",
    "Allow": "",
    "WWW-Authenticate": "",
    "X-Jenkins": "",
    "X-Jenkins-Session": r"[0-9a-f]{8}",
    "Set-Cookie": r"node0\w+\.node0",
}
"""The headers compared, without what differs from run to run."""


class Play:
    """Replays recordings against the rig and keeps how the answers differ."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.found: dict[str, list[str]] = {}

    def __call__(self, *names: str) -> None:
        for name in names:
            recording = RECORDINGS[name]
            status, headers, body = self.rig.send(recording)
            data = _json(headers, body)
            self.found[name] = [*_differences(recording, status, headers, body.decode("utf-8", "replace"), data)]
            self.rig.learn(recording, headers, data)


def _json(headers: dict[str, str], body: bytes) -> Any:
    return json.loads(body) if headers.get("Content-Type", "").startswith("application/json") else None


def _differences(recording: Recording, status: int, headers: dict[str, str], body: str, data: Any) -> Iterator[str]:
    if status != recording.status:
        yield f"status {recording.status} was recorded, {status} is answered"
    for name, varying in HEADERS.items():
        was, now = (_without(varying, found.get(name)) for found in (recording.headers, headers))
        if was != now:
            yield f"{name}: {was!r} was recorded, {now!r} is answered"
    if data is not None and recording.headers.get("Content-Type", "").startswith("application/json"):
        for difference in differences(json.loads(recording.body), data):
            if not any(part in difference for part in LEFT_OUT_PARTS):
                yield difference
    elif "xml" in recording.headers.get("Content-Type", ""):
        if xml_paths(recording.body) != xml_paths(body):
            yield f"elements {sorted(xml_paths(recording.body) ^ xml_paths(body))}"
    elif "X-More-Data" not in headers and recording.headers.get("Content-Type", "").startswith("text/plain"):
        yield from _in_logs(recording, headers, body)
    elif "iso-8859-1" in recording.headers.get("Content-Type", "") and _title(body) != _title(recording.body):
        yield f"title {_title(recording.body)!r} was recorded, {_title(body)!r} is answered"


def _in_logs(recording: Recording, headers: dict[str, str], body: str) -> Iterator[str]:
    was, now = telling_lines(recording.body), telling_lines(body)
    if recording.body and "start=" not in recording.target and was != now:
        yield f"lines {was} were recorded, {now} are answered"
    if bool(recording.body) != bool(body):
        yield "one of the bodies is empty"
    if was[-1:] != now[-1:]:
        yield f"the last line {was[-1:]} was recorded, {now[-1:]} is answered"
    if "X-Text-Size" in headers and len(body) >= int(headers["X-Text-Size"]):
        yield "the size does not count what is hidden"


def _without(varying: str, value: str | None) -> str | None:
    return re.sub(varying, "…", value) if value is not None and varying else value


def _title(page: str) -> str:
    return page.partition("<title>")[2].partition("</title>")[0]


# -- the play -----------------------------------------------------------------------------------------------------------


def _doors(play: Play) -> None:
    play("crumb-password", "crumb-token", "crumb-xml", "root-api-anonymous", "root-api-unknown-user")
    play("root-api-wrong-password", "root-api", "createItem-password-crumb-no-session", "createItem-password-no-crumb")
    play("createItem-password-stale-crumb", "login-anonymous-redirect", "whoami", "createItem-password-crumb")
    with play.rig.jenkins.faults.starting():
        play("starting-up-503")


def _jobs(play: Play) -> None:
    play("createItem", "createItem-existing", "createItem-bad-name", "createItem-bad-xml", "createItem-unknown-class")
    play("createItem-no-name", "createItem-wrong-content-type", "job-config-get", "job-config-missing")
    play("job-config-post", "job-info-missing", "job-info-never-built", "build-get-method", "build-missing-job-params")
    play("build-missing-job", "build-parameterised-without-params", "build-wrong-password", "checkJobName-existing")
    play("lastBuild-none", "build-anonymous", "build-bad-choice", "build-unknown-param", "queue-item-missing", "queue")
    play.rig.rewrite("rig-pipe", "sleep 1", f"{play.rig.gate} $i")
    play.rig.push()
    play.rig.end("rig-pipe", 1)


def _success(play: Play) -> None:
    rig = play.rig
    rig.jenkins.nodes.executors = 0
    play("buildWithParameters-success", "queue-item-waiting")
    rig.push()
    rig.said("rig-pipe", 2, "Still waiting")
    play("queue-item-left", "build-info-running", "wfapi-describe-running-early")
    rig.jenkins.nodes.executors = 2
    rig.said("rig-pipe", 2, "line 1")
    play("build-info-running-tree", "computer-running", "job-info-running", "progressiveText-success-00")
    play("queue-placeholder", "wfapi-describe-running")
    for gate in (1, 2, 3):
        rig.open("rig-pipe", 2, str(gate))
        rig.said("rig-pipe", 2, f"+ echo line {gate + 1}")
        play(f"progressiveText-success-0{gate}")
    rig.end("rig-pipe", 2)
    rig.learn_nodes()
    play("progressiveText-success-04", "build-info-success", "wfapi-describe-success", "wfapi-node-describe")
    play(
        "wfapi-node-log", "wfapi-runs", "artifact-download", "artifact-missing", "artifacts-tree", "build-info-missing"
    )
    play("consoleText", "progressiveHtml", "progressiveText-at-end", "progressiveText-bad-start", "progressiveText-mid")
    play("progressiveText-missing-build", "progressiveText-negative", "progressiveText-no-start")
    play("progressiveText-past-end", "queue-item-finished-long", "stop-finished", "testReport")


def _chunks(play: Play, word: str, number: int) -> None:
    """A build read from its first line on."""
    rig = play.rig
    rig.jenkins.nodes.executors = 0
    play(f"buildWithParameters-{word}")
    rig.push()
    rig.said("rig-pipe", number, "Still waiting")
    play(f"progressiveText-{word}-00")
    rig.jenkins.nodes.executors = 2
    for gate in range(1, 6):
        rig.said("rig-pipe", number, f"+ echo line {gate}")
        play(f"progressiveText-{word}-0{gate}")
        rig.open("rig-pipe", number, str(gate))
    rig.end("rig-pipe", number)
    play(f"progressiveText-{word}-06")


def _bad_ends(play: Play) -> None:
    _chunks(play, "fail", 3)
    play("artifacts-none-or-some", "build-info-fail", "testReport-missing", "wfapi-describe-fail")
    _chunks(play, "unstable", 4)
    play("build-info-unstable", "testReport-unstable", "wfapi-describe-unstable")
    rig = play.rig
    play("buildWithParameters-slow")
    rig.push()
    for gate in range(1, 7):
        rig.said("rig-pipe", 5, f"+ echo line {gate}")
        rig.open("rig-pipe", 5, str(gate))
    rig.said("rig-pipe", 5, "+ echo tick 7")
    play("wfapi-describe-slow-running", "stop-running")
    assert rig.run("rig-pipe", 5).done.wait(120)
    play("build-info-aborted", "consoleText-aborted", "wfapi-describe-aborted", "stop-get", "stop-missing")
    play("job-info-after", "job-info-after-tree", "build-delay", "build-delay-duplicate", "queue-with-item")
    play("queue-cancel", "queue-cancel-missing", "queue-item-cancelled")


def _waiting(play: Play) -> None:
    rig = play.rig
    for name in ("rig-serial", "rig-nolabel", "rig-syntax", "rig-sandbox"):
        rig.add(name)
    play("build-no-params", "buildWithParameters-on-plain-job")
    rig.said("rig-serial", 1, "held")
    rig.trigger("rig-serial", recorded=14)
    play("queue-item-blocked")
    rig.trigger("rig-nolabel")
    rig.said("rig-nolabel", 1, "label")
    play("queue-buildable-placeholder", "build-info-waiting-for-node", "progressiveText-waiting-for-node")
    play("wfapi-describe-no-stage", "stop-waiting-for-node")
    assert rig.run("rig-nolabel", 1).done.wait(120)
    play("build-info-aborted-in-queue", "serial-stop", "serial-term", "serial-kill")
    rig.end("rig-serial", 2)
    for name in ("rig-syntax", "rig-sandbox"):
        rig.trigger(name)
        rig.end(name, 1)
    play("build-info-syntax-error", "consoleText-syntax-error", "wfapi-describe-syntax-error")
    play("consoleText-sandbox-rejected", "job-disable", "build-disabled-job", "job-enable")


def _questions(play: Play) -> None:
    play.rig.add("rig-input")
    play.rig.trigger("rig-input")
    play.rig.said("rig-input", 1, "Go or Abort")
    play("wfapi-pendingInputActions", "build-info-input", "wfapi-describe-input", "input-proceed")
    assert play.rig.run("rig-input", 1).done.wait(120)
    play("wfapi-describe-input-done")


def _other_jobs(play: Play) -> None:
    rig = play.rig
    play("createItem-freestyle")
    rig.rewrite("rig-free", "sleep 2", f"JOB_NAME=rig-free BUILD_NUMBER=1 {rig.gate} held")
    rig.trigger("rig-free", recorded=22)
    rig.said("rig-free", 1, "held")
    play("freestyle-running")
    rig.end("rig-free", 1)
    play("freestyle-success", "queue-item-left-freestyle", "wfapi-describe-freestyle", "build-delete", "job-delete")
    play("job-delete-missing", "createItem-folder", "createItem-in-folder", "job-in-folder", "job-delete-http")
    play("quietDown", "build-while-quiet", "queue-while-quiet", "cancelQuietDown")
    repository = rig.repository()
    play("createItem-scm")
    rig.rewrite("rig-scm", "http://127.0.0.1:8099/r.git", str(repository.bare))
    rig.trigger("rig-scm")
    rig.end("rig-scm", 1)
    play("build-info-scm", "consoleText-scm", "job-config-scm", "wfapi-describe-parallel")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    rig = Rig(tmp_path_factory.mktemp("rig"))
    with rig.jenkins:
        play = Play(rig)
        for chapter in (_doors, _jobs, _success, _bad_ends, _waiting, _questions, _other_jobs):
            chapter(play)
    return play.found


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_answers_as_recorded(played: dict[str, list[str]], name: str) -> None:
    if name in LEFT_OUT:
        pytest.skip(LEFT_OUT[name])
    assert played[name] == []


def test_every_recording_is_replayed_or_left_out_with_a_reason(played: dict[str, list[str]]) -> None:
    assert set(RECORDINGS) == set(played) | set(LEFT_OUT)
    assert all(LEFT_OUT.values())
