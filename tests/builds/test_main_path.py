"""The main job over real doors: git push over HTTP, build, version, deploy, second push, roll back; and its variants."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.site import PROJECT, Clone, Site, pipeline, waits_for
from tests.portal import Portal
from tests.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with (
        tempfile.TemporaryDirectory(prefix="fdd-") as folder,
        Portal(Path(folder) / "var") as portal,
        Site(portal) as site,
    ):
        site.spec()
        yield site


@pytest.fixture(scope="module")
def clone(site: Site) -> Clone:
    return site.clone()


def test_push_build_deploy_push_deploy_roll_back(site: Site, clone: Clone) -> None:
    first = site.ended(site.pushed(clone, {"NOTES": "one"}))
    assert (first["state"], first["trigger"], first["commit"]["message"]) == ("succeeded", "push", "Change something")
    assert first["started_by"] == "dev"
    assert first["tests"]["passed"] > 0
    one = str(first["version"]["number"])

    done = site.deployed(site.deploy(version=int(one)))
    assert done["state"] == "succeeded", done
    assert done["progress"]["ready"] == done["progress"]["total"] == 2
    assert site.says() == one

    second = site.ended(site.pushed(clone, {"NOTES": "two"}))
    two = str(second["version"]["number"])
    assert site.deployed(site.deploy())["state"] == "succeeded"
    assert site.says() == two
    assert len(site.instances()) == 2

    back = site.deployed(site.deploy(action="rollback"))
    assert back["state"] == "succeeded", back
    assert back["version"]["number"] == int(one)
    assert site.says() == one
    pins = back["pins"]
    assert pins["digest"] == site.deployment(done["id"])["pins"]["digest"]
    assert pins["manifest_sha256"] == site.deployment(done["id"])["pins"]["manifest_sha256"]


def test_scale_restart_and_remove(site: Site) -> None:
    if not site.get("/api/deployments/")["results"]:
        site.deployed(site.deploy(version=site.version_of("main")))
    assert site.deployed(site.deploy(action="scale", replicas=3))["state"] == "succeeded"
    before = {process.pid for process in site.instances()}
    assert len(before) == 3
    assert site.deployed(site.deploy(action="restart"))["state"] == "succeeded"
    after = {process.pid for process in site.instances()}
    assert len(after) == 3
    assert not before & after
    assert site.deployed(site.deploy(action="scale", replicas=2))["state"] == "succeeded"
    assert site.deployed(site.deploy(action="remove"))["state"] == "succeeded"
    assert site.instances() == []
    assert site.service()["observed"]["state"] == "absent"


def test_a_failing_step_fails_the_build_and_says_which(site: Site, clone: Clone) -> None:
    build = site.ended(
        site.pushed(
            clone,
            {"Jenkinsfile": pipeline("sh 'echo before'", "sh 'echo broken >&2; exit 7'", "sh 'echo never'")},
            "fail",
        )
    )
    assert build["state"] == "failed"
    assert build["version"] is None
    assert "7" in build["error"]["sentence"]
    assert "broken" in build["error"]["evidence"]
    states = {stage["name"]: stage["state"] for stage in build["stages"]}
    assert (states["S1"], states["S2"], states["S3"]) == ("succeeded", "failed", "skipped")
    assert b"never" not in site.log(build["id"])


def test_an_unstable_build_leaves_no_version(site: Site, clone: Clone) -> None:
    text = pipeline("sh 'echo x > x.txt'; archiveArtifacts 'x.txt'; unstable 'a little'")
    build = site.ended(site.pushed(clone, {"Jenkinsfile": text}, "unstable"))
    assert build["state"] == "unstable"
    assert build["version"] is None


def test_cancel_kills_what_runs_and_says_who(site: Site, clone: Clone) -> None:
    build = site.pushed(clone, {"Jenkinsfile": pipeline("sh 'echo begun; sleep 300'")}, "cancel")
    until(lambda: b"begun" in site.log(build), what="the step")
    assert site.api.post(f"/api/builds/{build}/cancel/").status_code == 202
    done = site.ended(build)
    assert done["state"] == "cancelled"
    assert done["error"]["sentence"] == "Cancelled by dev."
    assert site.api.post(f"/api/builds/{build}/cancel/").status_code == 409


def test_retry_builds_the_same_commit_with_the_same_parameters(site: Site, clone: Clone) -> None:
    text = pipeline("sh 'echo colour=$COLOUR'").replace(
        "agent any", "agent any\n    parameters { string(name: 'COLOUR', defaultValue: 'red') }"
    )
    first = site.ended(site.pushed(clone, {"Jenkinsfile": text}, "retry"))
    assert b"colour=red" in site.log(first["id"])
    second = site.ended(site.start_build("retry", parameters={"COLOUR": "$(id); `id`; blue"}))
    assert second["state"] == "succeeded", second
    assert b"colour=$(id); `id`; blue" in site.log(second["id"])
    again = site.post(f"/api/builds/{second['id']}/retry/")
    third = site.ended(again["id"])
    assert third["commit"]["sha"] == second["commit"]["sha"]
    assert third["parameters"] == second["parameters"]
    assert b"colour=$(id); `id`; blue" in site.log(third["id"])


def test_a_question_waits_for_its_answer(site: Site, clone: Clone) -> None:
    text = pipeline("input message: 'Go on?', id: 'go'", "sh 'echo went on'")
    ids = [site.pushed(clone, {"Jenkinsfile": text, "NOTES": word}, "input") for word in ("yes", "no")]
    for build in ids:
        until(lambda b=build: site.build(b)["inputs"], what="the question")
    ident = site.build(ids[0])["inputs"][0]["ident"]
    for build, proceed in zip(ids, (True, False), strict=True):
        answer = site.api.post(f"/api/builds/{build}/inputs/{ident}/", json={"proceed": proceed})
        assert answer.status_code == 202, answer.text
    yes, no = (site.ended(build) for build in ids)
    assert yes["state"] == "succeeded", yes
    assert b"went on" in site.log(yes["id"])
    assert no["state"] in {"cancelled", "failed"}
    assert b"went on" not in site.log(no["id"])
    assert site.api.post(f"/api/builds/{ids[0]}/inputs/{ident}/", json={"proceed": True}).status_code == 409


def test_artifacts_log_and_tests_are_what_the_build_made(site: Site, clone: Clone) -> None:
    report = "<testsuite name='s'><testcase name='a'/><testcase name='b'><failure message='no'/></testcase><testcase name='c'><skipped/></testcase></testsuite>"
    text = pipeline(
        "sh 'seq 1 20000; mkdir -p out; seq 1 100000 > out/data.txt'; "
        "archiveArtifacts 'out/data.txt'; junit testResults: 'r.xml', skipMarkingBuildUnstable: true"
    )
    build = site.ended(site.pushed(clone, {"Jenkinsfile": text, "r.xml": report}, "made"))
    assert build["state"] == "succeeded", build
    assert build["tests"] == {"passed": 1, "failed": 1, "skipped": 1}
    data = "".join(f"{n}\n" for n in range(1, 100001)).encode()
    artifact = {a["path"]: a for a in build["artifacts"]}["out/data.txt"]
    assert artifact == {"path": "out/data.txt", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    version = site.get(f"/api/versions/{build['version']['id']}/")
    packed = site.api.get(f"/api/versions/{version['id']}/archive/").content
    assert hashlib.sha256(packed).hexdigest() == version["archive"]["sha256"]
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        member = tar.extractfile("out/data.txt")
        assert member is not None
        assert member.read() == data
    log = site.log(build["id"])
    assert "".join(f"{n}\n" for n in range(1, 20001)).encode() in log
    code = f"from builds.models import BuildLog; print(BuildLog.objects.get(pk={build['id']}).sha256)"
    assert site.portal.manage("shell", "-v0", "-c", code).split()[-1] == hashlib.sha256(log).hexdigest()


def test_two_who_deploy_at_once_get_one_deployment_and_one_clear_no(site: Site, tmp_path: Path) -> None:
    version = site.version_of("main")
    gate = tmp_path / "gate"
    site.spec(command=["sh", "-c", f"{waits_for(gate)}; exec python3 app.py"])  # the first has not ended when both came
    answers: list[httpx.Response] = []
    together = threading.Barrier(2)

    def ask(who: str) -> None:
        with Site(site.portal, who) as person:
            person.api.get("/api/projects/")
            together.wait(60)
            answers.append(person.ask_deploy("staging", version=version))

    threads = [threading.Thread(target=ask, args=(who,)) for who in ("dev", "admin")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    gate.touch()
    site.spec()
    assert sorted(a.status_code for a in answers) == [201, 409], [a.text for a in answers]
    refused = next(a for a in answers if a.status_code == 409)
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["code"] == "deployment_active"
    started = next(a for a in answers if a.status_code == 201).json()
    assert site.deployed(started["id"])["state"] == "succeeded"


def test_the_same_idempotency_key_gives_the_same_answer(site: Site) -> None:
    headers = {"Idempotency-Key": "once-please"}
    path = f"/api/projects/{PROJECT}/builds/"
    first = site.api.post(path, json={"ref": "main"}, headers=headers)
    second = site.api.post(path, json={"ref": "main"}, headers=headers)
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] == second.json()["id"]
    other = site.api.post(path, json={"ref": "fail"}, headers=headers)
    assert other.status_code == 409
    assert other.json()["code"] == "idempotency_reused"
    assert site.ended(first.json()["id"])["state"] == "succeeded"


def test_a_thousand_notices_of_one_push_make_one_build(site: Site, clone: Clone) -> None:
    # A pipeline of its own: what another test left in the clone may wait for somebody.
    sha = clone.commit({"Jenkinsfile": pipeline("sh 'true'"), "NOTES": "thousand"})
    old = clone.git("rev-parse", "HEAD~1")
    clone.push("thousand")
    code = (
        "from projects import pushes; from projects.models import Project; "
        "from projects.drivers.source.base import PushEvent; p = Project.objects.get(slug='sample'); "
        f"[pushes.notice(p, PushEvent('refs/heads/thousand', '{old}', '{sha}', actor='dev')) for _ in range(1000)]"
    )
    site.portal.manage("shell", "-v0", "-c", code)
    build = site.ended(site.build_of(sha))
    found = site.get(f"/api/projects/{PROJECT}/builds/", params={"commit": sha})["results"]
    assert [row["id"] for row in found] == [build["id"]]
