"""Embedded builds of a real portal push to a real registry, as a pipeline would: the version has the digest, what is claimed
and missing fails, and a registry that is away for a while loses nothing."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.site import PROJECT, Clone, Site, pipeline
from tests.portal import Portal
from tests.simulators.registry import PASSWORD, USER, DockerRegistry
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
LEASE_S = 12
# What `docker push` does, with nothing but Python.
PUSH = """
import base64, hashlib, json, os, urllib.request
host, _, rest = os.environ["IMAGE"].partition("/")
name, _, tag = rest.rpartition(":")
pair = os.environ["REGISTRY_USER"] + ":" + os.environ["REGISTRY_PASSWORD"]
signed = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
def ask(method, url, body=b"", **more):
    return urllib.request.urlopen(urllib.request.Request(url, body, {**signed, **more}, method=method), timeout=20)
def blob(data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    place = ask("POST", f"http://{host}/v2/{name}/blobs/uploads/").headers["Location"]
    ask("PUT", place + "&digest=" + digest, data, **{"Content-Type": "application/octet-stream"})
    return {"size": len(data), "digest": digest}
kind = "application/vnd.docker.distribution.manifest.v2+json"
config = {"mediaType": "application/vnd.docker.container.image.v1+json", **blob(os.environ["FDD_COMMIT"].encode())}
layer = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", **blob(b"layer")}
body = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}).encode()
ask("PUT", f"http://{host}/v2/{name}/manifests/{tag}", body, **{"Content-Type": kind})
print("pushed sha256:" + hashlib.sha256(body).hexdigest(), "as", pair)
"""
PUSHES = "sh 'python3 push.py'"


@pytest.fixture(scope="module")
def registry() -> Iterator[DockerRegistry]:
    with tempfile.TemporaryDirectory() as folder, DockerRegistry(Path(folder), basic=True) as found:
        yield found


@pytest.fixture(scope="module")
def site(registry: DockerRegistry) -> Iterator[Site]:
    with (
        tempfile.TemporaryDirectory(prefix="fdd-") as folder,
        Portal(Path(folder) / "var", env={"FDD_LEASE_S": str(LEASE_S)}) as portal,
        Site(portal) as site,
        Site(portal, "ops") as ops,
    ):
        body = {"name": "images", "kind": "registry", "config": {"url": registry.url, "username": USER}}
        made = ops.post("/api/connections/", {**body, "secrets": {"password": PASSWORD}})
        assert made["last_test"]["ok"] is True
        chosen = {"registry": {"connection": "images", "image": "team/sample"}}
        assert site.api.patch(f"/api/projects/{PROJECT}/", json=chosen).status_code == 200
        yield site


@pytest.fixture(scope="module")
def clone(site: Site) -> Clone:
    return site.clone()


def push(site: Site, clone: Clone, text: str, **files: str) -> int:
    return site.pushed(clone, {"push.py": PUSH, "Jenkinsfile": text, "NOTES": str(time.time()), **files}, "images")


def version(site: Site, build: dict[str, Any]) -> dict[str, Any]:
    assert build["state"] == "succeeded", build
    found: dict[str, Any] = site.get(f"/api/versions/{build['version']['id']}/")
    return found


def pushed_digest(log: bytes) -> str:
    return log.decode().partition("pushed ")[2].split()[0]


def test_what_it_pushed_is_pinned_and_the_password_is_in_no_log(
    site: Site, clone: Clone, registry: DockerRegistry
) -> None:
    build = site.ended(push(site, clone, pipeline(PUSHES)))
    log = site.log(build["id"])
    made = version(site, build)
    assert made["image"] == f"{registry.host}/team/sample:{build['number']}-{build['commit']['sha'][:8]}"
    assert made["digest"] == pushed_digest(log)
    assert PASSWORD.encode() not in log
    assert b"robot:****" in log


def test_one_that_pushes_nothing_keeps_its_archive(site: Site, clone: Clone) -> None:
    made = version(site, site.ended(push(site, clone, pipeline("archiveArtifacts 'push.py'"))))
    assert made["archive"]
    assert not made["image"]
    neither = site.ended(push(site, clone, pipeline("echo 'nothing'")))
    assert (neither["state"], neither["version"]) == ("succeeded", None)


def test_one_that_claims_what_nobody_can_find_fails_and_names_it(
    site: Site, clone: Clone, registry: DockerRegistry
) -> None:
    image = f"{registry.host}/team/ghost:1"
    claims = pipeline("archiveArtifacts 'release.json'")
    build = site.ended(push(site, clone, claims, **{"release.json": json.dumps({"image": image})}))
    assert build["state"] == "failed"
    assert image in build["error"]["sentence"]
    assert build["version"] is None
    wrong = json.dumps({"digest": f"sha256:{'0' * 64}"})
    both = pipeline(f"{PUSHES}\narchiveArtifacts 'release.json'")
    build = site.ended(push(site, clone, both, **{"release.json": wrong}))
    assert build["state"] == "failed"
    assert "0000" in build["error"]["sentence"]


def waiting_for_the_registry(site: Site, clone: Clone, registry: DockerRegistry, folder: Path) -> int:
    """A build that pushed, and whose registry went away before it ended: it is waiting now."""
    gate = folder / "gate"
    waits = f"sh 'until [ -e {gate} ]; do sleep 0.1; done'"
    build = push(site, clone, pipeline(PUSHES, waits))
    until(lambda: b"pushed sha256:" in site.log(build), what="the push")
    registry.stop()
    gate.touch()
    answer = f"/api/builds/{build}/log/?offset=0"
    until(lambda: site.api.get(answer).headers["X-Log-Complete"] == "true", what="the log's end")
    return build


def test_a_registry_that_is_away_is_waited_for(
    site: Site, clone: Clone, registry: DockerRegistry, tmp_path: Path
) -> None:
    build = waiting_for_the_registry(site, clone, registry, tmp_path)
    try:
        began = time.monotonic()  # longer than a lease: nobody takes the build away from its agent
        until(lambda: time.monotonic() - began > LEASE_S + 3 or None, timeout=120, every=0.5)
        assert site.build(build)["state"] == "running"
    finally:
        registry.start()
    done = site.ended(build)
    assert version(site, done)["digest"] == pushed_digest(site.log(build))


def test_whoever_does_not_want_to_wait_cancels(
    site: Site, clone: Clone, registry: DockerRegistry, tmp_path: Path
) -> None:
    build = waiting_for_the_registry(site, clone, registry, tmp_path)
    try:
        site.post(f"/api/builds/{build}/cancel/")
        done = site.ended(build)
    finally:
        registry.start()
    assert (done["state"], done["error"]["sentence"], done["version"]) == ("cancelled", "Cancelled by dev.", None)
