"""A push without a Jenkinsfile, over real doors: the build service chooses, the build runs it, a version is left."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.site import PROJECT, Site
from tests.portal import Portal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with (
        tempfile.TemporaryDirectory(prefix="fdd-") as folder,
        Portal(Path(folder) / "var") as portal,
        Site(portal) as site,
    ):
        yield site


def test_a_push_without_a_jenkinsfile_is_built_by_the_template_that_fits(site: Site) -> None:
    templates = {row["slug"]: row for row in site.get("/api/templates/")["results"]}
    assert templates["static-site"]["revision"] == 1, "the portal brought its library in when it started"
    clone = site.clone()
    clone.git("rm", "-q", "--cached", "Jenkinsfile")
    clone.commit({"index.html": "<h1>hello</h1>\n", ".gitignore": "Jenkinsfile\n"})
    sha = clone.git("rev-parse", "HEAD")
    clone.push("site", "--force")
    done = site.ended(site.build_of(sha))
    assert done["state"] == "succeeded", done
    assert [stage["name"] for stage in done["stages"]] == ["Checkout", "Build", "Test", "Package", "Image", "Release"]
    ran = site.get(f"/api/projects/{PROJECT}/pipeline/revisions/")["results"][0]
    assert (ran["origin"], ran["template"], ran["template_revision"]) == ("service", "static-site", 1)
    assert done["pipeline_revision"] == ran["revision"]
    packed = site.api.get(f"/api/versions/{done['version']['id']}/archive/").content
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert "index.html" in {member.name.removeprefix("./") for member in tar}


def test_a_project_takes_a_template_and_its_next_build_runs_it(site: Site) -> None:
    address = f"/api/projects/{PROJECT}/pipeline/"
    before = site.get(address)
    taken = site.api.put(address, json={"template": "python"}).json()
    assert (taken["template"], taken["template_revision"], taken["origin"]) == ("python", 1, "portal")
    done = site.ended(site.start_build("main", parameters={"ARCHIVE": "app.py"}))
    assert done["state"] == "succeeded", done
    assert done["pipeline_revision"] == taken["revision"]
    assert done["version"] is not None
    assert before["origin"] == "repository"
