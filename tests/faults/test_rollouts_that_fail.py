"""What cannot work fails with its own sentence and its evidence, and the old version keeps serving all the while."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.ground import Ground
from tests.faults.site import SPEC, Clone, Site, Steady, pipeline, service, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
QUICK = {"readiness": {"http": {"path": "/healthz"}, "period_s": 1, "timeout_s": 1, "failure_threshold": 2}}


@pytest.fixture(scope="module")
def good(site: Site, clone: Clone) -> int:
    """A version that runs."""
    number = int(site.ended(site.pushed(clone, {"Jenkinsfile": service()}, "good"))["version"]["number"])
    assert site.deployed(site.deploy(version=number))["state"] == "succeeded"
    return number


@pytest.fixture
def steady(site: Site, good: int) -> Iterator[Steady]:
    with Steady(site.service()["url"]) as found:
        yield found
        found.asked_more(3)
    assert found.failures == []
    assert found.versions == [str(good)]


def failed(site: Site, **body: Any) -> dict[str, Any]:
    done = site.deployed(site.deploy(**body))
    assert done["state"] == "failed", done
    assert done["error"]["sentence"]
    return done


def unharmed(site: Site, good: int) -> None:
    """The old version runs as before, twice."""
    until(lambda: len(site.instances()) == 2, what="two instances and no third")
    assert site.says() == str(good)
    assert site.service()["wanted"]["version"] == good


def test_a_command_that_dies_shows_its_last_words(site: Site, good: int, ground: Ground, steady: Steady) -> None:
    site.spec(command=["sh", "-c", "echo 'cannot find my settings' >&2; exit 3"])
    done = failed(site, version=good)
    assert done["error"]["code"] == "crash_loop"
    assert "exit code 3" in done["error"]["sentence"]
    assert "cannot find my settings" in done["error"]["evidence"]
    unharmed(site, good)


def test_a_command_that_never_gets_healthy(site: Site, good: int, ground: Ground, steady: Steady) -> None:
    site.spec(command=["sh", "-c", "echo 'still warming up'; exec sleep 600"], health_check=QUICK, start_deadline_s=8)
    done = failed(site, version=good)
    assert done["error"]["code"] in {"no_port", "not_ready", "crash_loop"}
    assert "still warming up" in done["error"]["evidence"]
    unharmed(site, good)


def test_a_missing_command(site: Site, good: int, ground: Ground, steady: Steady) -> None:
    site.spec(command=["./not-in-the-archive"])
    done = failed(site, version=good)
    assert done["error"]["code"] == "missing_command"
    assert "./not-in-the-archive" in done["error"]["sentence"]
    unharmed(site, good)


def test_a_program_that_insists_on_a_taken_port(site: Site, good: int, ground: Ground, steady: Steady) -> None:
    insist = f"import http.server; http.server.HTTPServer(('127.0.0.1', {site.portal.port}), None).serve_forever()"
    site.spec(command=["python3", "-c", insist], health_check=QUICK, start_deadline_s=300)  # it dies long before
    done = failed(site, version=good)
    assert "Address already in use" in done["error"]["evidence"]
    unharmed(site, good)


def archive_with(member: tarfile.TarInfo, data: bytes = b"") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def bad_archives() -> dict[str, bytes]:
    """Archives that would write outside of their folder, make a device, or fill the disk."""
    up = tarfile.TarInfo("../../outside")
    up.size = 1
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    device = tarfile.TarInfo("device")
    device.type = tarfile.CHRTYPE
    bomb = tarfile.TarInfo("bomb")
    bomb.size = 100 << 20
    return {
        "up": archive_with(up, b"x"),
        "link": archive_with(link),
        "device": archive_with(device),
        "bomb": archive_with(bomb, bytes(bomb.size)),
    }


@pytest.mark.parametrize("kind", ["up", "link", "device", "bomb"])
def test_an_archive_that_reaches_out(
    site: Site, clone: Clone, good: int, ground: Ground, steady: Steady, kind: str
) -> None:
    data = bad_archives()[kind]
    text = pipeline("archiveArtifacts 'made.tar.gz,release.json'")
    files: dict[str, str | bytes] = {
        "Jenkinsfile": text, "made.tar.gz": data, "release.json": '{"archive": "made.tar.gz"}',
    }  # fmt: skip
    build = site.ended(site.pushed(clone, files, f"bad-{kind}"))
    site.spec()
    if build["state"] == "succeeded":
        assert hashlib.sha256(data).hexdigest() in str(site.get(f"/api/versions/{build['version']['id']}/"))
        done = failed(site, version=build["version"]["number"])
        assert done["error"]["code"] == "bad_archive" or "archive" in done["error"]["sentence"]
    else:
        assert "archive" in build["error"]["sentence"]
    unharmed(site, good)


def test_cancel_on_the_way_restores_the_old(site: Site, good: int, ground: Ground, steady: Steady) -> None:
    site.spec(command=["sh", "-c", "sleep 600"])
    pk = site.deploy(version=good)
    site.phase(pk, "rolling")
    site.post(f"/api/deployments/{pk}/cancel/")
    done = site.deployed(pk)
    assert done["state"] == "cancelled"
    assert done["error"]["sentence"] == "Cancelled by dev."
    unharmed(site, good)


def test_a_first_deployment_that_fails_leaves_nothing(site: Site, good: int, ground: Ground) -> None:
    site.spec(command=["false"])
    done = failed(site, machine="prod", version=good)
    assert done["error"]["code"] == "crash_loop"
    until(lambda: not site.instances("prod"), what="no instance")
    assert site.service("prod")["wanted"]["version"] is None
    site.api.patch("/api/projects/sample/", json={"spec": SPEC})
    assert site.deployed(site.deploy("prod", version=good))["state"] == "succeeded"
