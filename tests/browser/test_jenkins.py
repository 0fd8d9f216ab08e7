"""On a Jenkins: from a template to a version that is deployed, and every ending shown as what it was."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builds.registry.test_a_build_that_pushes import PUSH
from tests.portal import Portal
from tests.simulators.jenkins import Jenkins
from tests.simulators.registry import PASSWORD, USER, DockerRegistry
from tests.waiting import until

from .test_main_path import Clone, deploy, ended, says, wait_for_build
from .visitor import PATIENCE_S, Visitor

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(1800)]
SPEC = {
    "command": ["python3", "-m", "http.server", "${PORT}"],
    "replicas": 1,
    "port": 8080,
    "health_check": {"readiness": {"http": {"path": "/index.html"}, "period_s": 1}},
}
PIPELINE = """pipeline {
  agent any
  options { skipDefaultCheckout() }
  parameters {
    choice(name: 'MODE', choices: ['ok', 'fail', 'unstable', 'ask', 'slow'], description: 'how it shall end')
  }
  stages {
    stage('Checkout') { steps { checkout scm } }
    stage('Try') {
      steps {
        script {
          if (params.MODE == 'fail') { sh 'echo this goes wrong; exit 4' }
          if (params.MODE == 'slow') { sh 'sleep 120' }
          if (params.MODE == 'ask') { input message: 'Go on?', ok: 'Go' }
          if (params.MODE == 'unstable') {
            writeFile file: 'r.xml', text: '<testsuite name="s"><testcase classname="c" name="t"><failure message="no"/></testcase></testsuite>'
            junit 'r.xml'
          }
        }
      }
    }
    stage('Push') { steps { sh 'python3 push.py' } }
  }
}
"""


@pytest.fixture(scope="module")
def registry() -> Iterator[DockerRegistry]:
    with tempfile.TemporaryDirectory() as folder, DockerRegistry(Path(folder), basic=True) as found:
        yield found


@pytest.fixture(scope="module")
def jenkins(house: Portal, registry: DockerRegistry) -> Iterator[Jenkins]:
    """A Jenkins that reads the portal's repositories with a token of dev's; connected by ops, like the registry."""
    token = house.credentials()["tokens"]["dev"]
    with (
        tempfile.TemporaryDirectory() as home,
        Jenkins(quiet_period=0, home=Path(home), credentials={"portal": ("dev", token)}) as running,
        house.api("ops") as ops,
    ):
        where = {"url": running.url, "user": running.user, "credentials_id": "portal", "folder": "story"}
        for body in (
            {"name": "ci", "kind": "jenkins", "config": where, "secrets": {"token": running.token}},
            {
                "name": "images",
                "kind": "registry",
                "config": {"url": registry.url, "username": USER},
                "secrets": {"password": PASSWORD},
            },
        ):
            answer = ops.post("/api/connections/", json=body)
            assert answer.status_code == 201, answer.text
            assert answer.json()["last_test"]["ok"], answer.text
        yield running


def created(house: Portal, slug: str, **more: Any) -> str:
    """A project with one first commit."""
    with house.api("dev") as dev:
        body = {"slug": slug, "name": slug.capitalize(), "starter": "blank", "spec": SPEC, **more}
        made = dev.post("/api/projects/", json=body)
        assert made.status_code == 201, made.text
    return slug


@pytest.fixture(scope="module")
def story(house: Portal, jenkins: Jenkins) -> str:
    """A project that may use test-a; everything else is chosen on its pages."""
    slug = created(house, "told")  # “story” is another test's project on the same portal
    with house.api("dev") as dev, house.api("ops") as ops:
        asked = dev.post(f"/api/projects/{slug}/machine-requests/", json={"machine": "test-a", "reason": "to try"})
        assert asked.status_code == 201, asked.text
        approved = ops.post(f"/api/requests/{asked.json()['id']}/approve/", json={})
        assert approved.status_code < 300, approved.text
    return slug


@pytest.fixture(scope="module")
def endings(house: Portal, jenkins: Jenkins, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A project on Jenkins with a registry, whose pipeline ends as it is told; its first build has pushed an image."""
    chosen = {"kind": "jenkins", "connection": "ci"}
    slug = created(house, "endings", builder=chosen, registry={"connection": "images", "image": "team/endings"})
    with house.api("dev") as dev:
        saved = dev.put(f"/api/projects/{slug}/pipeline/", json={"text": PIPELINE})
        assert saved.status_code == 200, saved.text
    clone = Clone(house, slug, tmp_path_factory.mktemp("endings") / slug)
    (clone.folder / "push.py").write_text(PUSH)
    clone.git("add", "-A")
    sha = clone.push("Push an image")
    with house.api("dev") as dev:  # one under way when both servers go would fail later, during another test
        path = f"/api/projects/{slug}/builds/?commit={sha}"
        builds = until(lambda: dev.get(path).json()["results"], timeout=PATIENCE_S, every=0.2, what="the first build")
        ended(dev, f"/api/builds/{builds[0]['id']}/")
    return slug


def choose(visitor: Visitor, field: str, label: str) -> None:
    visitor.page.locator(f"#building [name={field}]").select_option(label=label)


def start(house: Portal, slug: str, mode: str) -> int:
    with house.api("dev") as dev:
        answer = dev.post(f"/api/projects/{slug}/builds/", json={"ref": "main", "parameters": {"MODE": mode}})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])


def test_a_template_becomes_a_deployed_version(
    visit: Callable[..., Visitor], house: Portal, story: str, jenkins: Jenkins, tmp_path: Path
) -> None:
    visitor = visit()
    page = visitor.sign_in()
    visitor.open(f"/projects/{story}/settings/")
    choose(visitor, "builder", "Jenkins · ci")
    page.locator("#building button.btn-primary").click()
    visitor.sees("Jenkins · ci", ".page-lead")

    visitor.open(f"/projects/{story}/pipeline/template/")
    page.locator("form:has(input[name=template][value=static-site]) button").click()
    visitor.sees("Static site", "main")
    visitor.open(f"/projects/{story}/")
    page.evaluate("window.sameDocument = true")

    clone = Clone(house, story, tmp_path / "story")
    (clone.folder / "index.html").write_text("<p>told on a Jenkins</p>")
    clone.git("add", "-A")
    clone.push("Say something")
    wait_for_build(visitor, 1)
    assert page.evaluate("window.sameDocument") is True, "live, without a click and without a reload"

    visitor.click(".last-build a")
    visitor.sees("Jenkins #1", "#build")
    visitor.sees("made version", "#build")
    visitor.sees("Finished: SUCCESS", "[data-log-rows]")
    unsettled = page.locator(".stage-card.stage-failed, .stage-card.stage-running, .stage-card.stage-pending")
    visitor.until(lambda: not unsettled.count(), "all stages to be shown as done")
    assert len(jenkins.job(f"story/{story}").runs) == 1
    assert says(f"{deploy(visitor).rstrip('/')}/index.html", "told on a Jenkins")


def test_a_pushed_image_is_pinned_by_its_digest(
    visit: Callable[..., Visitor], endings: str, registry: DockerRegistry
) -> None:
    visitor = visit()
    page = visitor.sign_in()
    visitor.open(f"/projects/{endings}/")
    visitor.sees("Push an image", ".last-build")
    page.locator(".last-build .state-green").wait_for()
    visitor.click(".last-build a")
    visitor.sees("pushed sha256:", "[data-log-rows]")
    log = page.inner_text("[data-log-rows]")
    assert PASSWORD not in log
    digest = log.partition("pushed ")[2].split()[0]
    visitor.open(f"/projects/{endings}/versions/")
    visitor.sees(digest[:15], "main")
    assert registry.client.head("/v2/team/endings/manifests/" + digest).status_code == 200


@pytest.mark.parametrize(
    ("mode", "state", "words"),
    [("fail", "state-red", "exit code 4"), ("unstable", "state-amber", "unstable")],
)
def test_an_ending_is_shown_as_what_it_was(
    visit: Callable[..., Visitor], house: Portal, endings: str, mode: str, state: str, words: str
) -> None:
    visitor = visit()
    page = visitor.sign_in()
    visitor.open(f"/builds/{start(house, endings, mode)}/")
    page.locator(f"#build .{state}").first.wait_for()
    visitor.sees(words, "#build")
    first = page.url
    visitor.click("button:has-text('Retry')")
    page.wait_for_url(lambda url: url != first)
    page.locator(f"#build .{state}").first.wait_for()
    page.locator("button:has-text('Retry')").wait_for()  # it has ended: nothing is told of it during another test


def test_a_question_is_answered_on_the_page(visit: Callable[..., Visitor], house: Portal, endings: str) -> None:
    visitor = visit()
    page = visitor.sign_in()
    visitor.open(f"/builds/{start(house, endings, 'ask')}/")
    visitor.sees("Go on?", ".question")
    visitor.click(".question button:has-text('Go')")
    page.locator("#build .state-green").first.wait_for()
    page.locator("button:has-text('Retry')").wait_for()  # it has ended: see above


def test_a_cancel_reaches_jenkins(visit: Callable[..., Visitor], house: Portal, endings: str, jenkins: Jenkins) -> None:
    visitor = visit()
    page = visitor.sign_in()
    visitor.open(f"/builds/{start(house, endings, 'slow')}/")
    visitor.sees("Running", "#build")
    visitor.sees("sleep 120", "[data-log-rows]")
    visitor.click("button:has-text('Cancel')")
    visitor.sees("Cancelled", "#build")
    visitor.until(lambda: not jenkins.running(), "it to stop there")
    visitor.until(lambda: not page.locator(".stage-card.stage-running").count(), "no stage to be shown as running")


def test_pages_of_templates_are_in_order(visit: Callable[..., Visitor], endings: str, house: Portal) -> None:
    for options in ({"width": 400, "theme": "dark", "language": "zh-hans"}, {"width": 1280}):
        visitor: Any = visit(**options)
        page = visitor.sign_in()
        for path in (
            "/templates/",
            "/templates/node/",
            f"/projects/{endings}/pipeline/",
        ):
            visitor.open(path)
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, path
