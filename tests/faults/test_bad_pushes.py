"""Whatever is pushed, the portal lives, and what cannot be built says why in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.faults.site import PROJECT, Clone, Site, pipeline, service, until, waits_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
BAD = {
    "huge": b"// x\n" * 400_000,
    "nul": b"pipeline { agent any\0 stages { } }",
    "binary": bytes(range(256)) * 40,
    "deep": (b"pipeline { agent any; stages { stage('a') { steps { script { x = " + b"(" * 20_000 + b")" * 20_000 + b" } } } } }"),
    "nested": b"pipeline { agent any; " + b"stages { stage('a') { " * 500 + b"} }" * 500 + b" }",
    "unclosed": b"pipeline { agent any; stages {",
    "empty": b"",
    "prose": "请构建我的项目 please\n".encode(),
    "unknown": b"pipeline { agent any; stages { stage('a') { steps { echo 'x' } } } surprise { } }",
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_jenkinsfile_fails_its_build_with_one_sentence(
    site: Site, clone: Clone, ground: Ground, kind: str
) -> None:
    done = site.ended(site.pushed(clone, {"Jenkinsfile": BAD[kind]}, f"bad-{kind}"))
    assert done["state"] == "failed", done
    sentence = done["error"]["sentence"]
    assert 10 < len(sentence) < 600
    assert "Traceback" not in sentence + done["error"]["evidence"]
    assert "\n" not in sentence.strip()
    assert not done["needs_ops"]


def test_no_jenkinsfile_at_all(site: Site, clone: Clone, ground: Ground) -> None:
    clone.git("rm", "-q", "--cached", "Jenkinsfile")
    clone.git("commit", "-q", "-m", "Without a pipeline")
    sha = clone.git("rev-parse", "HEAD")
    clone.push("none", "--force")
    done = site.ended(site.build_of(sha))
    assert done["error"]["code"] == "no_pipeline", done


def test_a_branch_deleted_or_rewritten_while_it_builds(
    site: Site, clone: Clone, ground: Ground, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    first = site.pushed(clone, {"Jenkinsfile": service(before=f"sh 'echo begun; {waits_for(gate)}'")}, "moving")
    until(lambda: b"begun" in site.log(first), what="the first build")
    clone.git("commit", "-q", "--amend", "-m", "Rewritten")
    sha = clone.git("rev-parse", "HEAD")
    clone.push("moving", "--force")
    second = site.build_of(sha)
    until(lambda: b"begun" in site.log(second), what="the second build")
    clone.git("push", "-q", "origin", ":refs/heads/moving")
    gate.touch()
    for pk in (first, second):
        done = site.ended(pk)
        assert done["state"] == "succeeded", done
    answer = site.api.post(f"/api/projects/{PROJECT}/builds/", json={"ref": "moving"})
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown_ref"


def test_an_empty_repository_says_so(site: Site, ground: Ground) -> None:
    answer = site.api.post("/api/projects/", json={"slug": "empty-one", "starter": "empty"})
    if answer.status_code != 201:  # there is no starter that leaves it empty: make it so
        assert site.api.post("/api/projects/", json={"slug": "empty-one", "starter": "blank"}).status_code == 201
        token = site.portal.credentials()["tokens"]["dev"]
        site.clones += 1
        url = f"http://dev:{token}@127.0.0.1:{site.portal.port}/git/empty-one.git"
        other = Clone(url, site.portal.var.parent / "clones" / "empty")
        other.git("push", "-q", "origin", "HEAD:refs/heads/other")
        assert site.api.patch("/api/projects/empty-one/", json={"default_branch": "nowhere"}).status_code in {
            200,
            404,
            422,
        }
    answer = site.api.post("/api/projects/empty-one/builds/", json={"ref": "nowhere"})
    assert answer.status_code in {404, 409, 422}
    assert answer.json()["detail"]


def test_many_branches_in_one_push_build_once_each(site: Site, clone: Clone, ground: Ground) -> None:
    shas = []
    for n in range(4):
        shas.append(clone.commit({"Jenkinsfile": pipeline("sh 'true'"), "N": str(n)}))
        clone.git("branch", "-f", f"many{n}")
    clone.git("push", "-q", "origin", *(f"many{n}" for n in range(4)))
    builds = [site.build_of(sha) for sha in shas]
    assert len(set(builds)) == 4
    assert {site.ended(pk)["state"] for pk in builds} == {"succeeded"}
