"""The path the product is for: push, watch the build, deploy in two clicks, see it serve, roll back in two clicks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.portal import ROOT, Portal
from tests.waiting import until

from .visitor import PATIENCE_S, Visitor

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(1800)]

SPOKEN = "<p>This is version"
LINT = "                    sh 'python3 lint.py'"
WAITS = "\n                    sh 'echo before the gate; until test -e {gate}; do sleep 0.5; done; echo after the gate'"


class Clone:
    """A clone of a project's repository, with the token as git's password."""

    def __init__(self, house: Portal, slug: str, folder: Path) -> None:
        token = house.credentials()["tokens"]["dev"]
        address = f"{house.url.replace('://', f'://dev:{token}@')}/git/{slug}.git"
        self.folder = folder
        self.git("clone", "-q", address, str(folder), cwd=folder.parent)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        person = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
                  for what, value in (("NAME", "Li Wei"), ("EMAIL", "li@example.com"))}  # fmt: skip
        done = subprocess.run(
            ["git", *arguments], cwd=cwd or self.folder, env={**os.environ, **person, "GIT_TERMINAL_PROMPT": "0"},
            capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def push(self, message: str) -> str:
        """Commit everything and push; the commit's id."""
        self.git("commit", "-qam", message)
        self.git("push", "-q")
        return self.git("rev-parse", "HEAD").strip()


def picture(visitor: Visitor, name: str) -> None:
    """With FDD_SHOTS=1 the README's pictures are made anew from what the test sees."""
    if os.environ.get("FDD_SHOTS"):
        visitor.page.mouse.move(0, 0)
        visitor.page.wait_for_timeout(400)  # let what slides and fades come to rest; only for the picture
        visitor.page.screenshot(path=ROOT / "docs" / "images" / f"{name}.png")


def wait_for_build(visitor: Visitor, number: int) -> None:
    """On the board: the build is there and green, without a click and without a reload."""
    visitor.sees(f"#{number}", ".last-build")
    visitor.page.locator(".last-build .state-green").wait_for()


def deploy(visitor: Visitor) -> str:
    """Open the panel, confirm; the address where it serves."""
    visitor.counted()
    visitor.click("[data-deploy]")
    visitor.click("[data-confirm]")
    visitor.page.wait_for_url("**/deployments/*/")
    visitor.page.locator("#deployment .result").wait_for()
    assert visitor.counted() == 2
    return str(visitor.page.get_attribute("#buttons [data-address]", "href"))


def says(address: str, words: str) -> bool:
    return words in httpx.get(address, timeout=PATIENCE_S).text


def ended(api: httpx.Client, path: str) -> dict[str, Any]:
    """A build or a deployment that has ended well."""

    def at_its_end() -> dict[str, Any] | None:
        row: dict[str, Any] = api.get(path).raise_for_status().json()
        return row if row["finished_at"] else None

    done = until(at_its_end, timeout=PATIENCE_S, every=0.2, what=f"the end of {path}")
    assert done["state"] == "succeeded", done
    return done


def run_two_versions(house: Portal) -> None:
    """One after the other on test-a, whatever ran there before."""
    with house.api() as api:
        for _ in range(2):
            build = api.post("/api/projects/sample/builds/", json={"ref": "main"}).raise_for_status().json()
            version = ended(api, f"/api/builds/{build['id']}/")["version"]["number"]
            body = {"machine": "test-a", "version": version}
            made = api.post("/api/projects/sample/deployments/", json=body).raise_for_status().json()
            ended(api, f"/api/deployments/{made['id']}/")


def test_push_build_deploy_and_roll_back(visit: Callable[..., Visitor], house: Portal, tmp_path: Path) -> None:
    visitor = visit()
    page = visitor.sign_in()
    visitor.click("a:has-text('Sample service')")
    assert visitor.counted() == 1
    wait_for_build(visitor, 1)
    page.evaluate("window.sameDocument = true")

    clone = Clone(house, "sample", tmp_path / "sample")
    clone.edit("app.py", SPOKEN, SPOKEN.replace("This", "Freshly pushed, this"))
    gate = tmp_path / "gate"
    clone.edit("Jenkinsfile", LINT, LINT + WAITS.format(gate=gate))
    sha = clone.push("Say it freshly")

    # 0 clicks: the build appears on the board that was open
    visitor.sees("#2", ".last-build")
    visitor.sees("Say it freshly", ".last-build")
    assert page.evaluate("window.sameDocument") is True
    assert visitor.counted() == 0

    # the log streams into the page, the stages fill, the version appears
    visitor.click(".last-build a")
    visitor.sees("[Lint] before the gate", "[data-log-rows]")
    page.locator(".stage-card.stage-running").filter(has_text="Lint").wait_for()
    assert "[Lint] after the gate" not in page.inner_text("[data-log-rows]")
    page.evaluate("window.sameDocument = true")
    gate.touch()
    visitor.sees("[Lint] after the gate", "[data-log-rows]")
    visitor.sees("made version", "#build")
    visitor.sees("Finished: SUCCESS", "[data-log-rows]")
    visitor.until(
        lambda: not page.locator(".stage-card.stage-running, .stage-card.stage-pending").count(), "the stages"
    )
    assert sha[:8] in page.inner_text(".page-lead")
    page.locator("#results").filter(has_text="app.py").wait_for()
    assert page.evaluate("window.sameDocument") is True
    picture(visitor, "build")

    # Deploy: two clicks on this page
    address = deploy(visitor)
    assert says(address, "Freshly pushed, this is version <b>2</b>")

    # a second change, deployed from the board
    visitor.open("/projects/sample/")
    clone.edit("app.py", "Freshly pushed, this", "Pushed again, this")
    clone.push("Say it again")
    wait_for_build(visitor, 3)
    assert deploy(visitor) == address
    assert says(address, "Pushed again, this is version <b>3</b>")

    # Rollback: two clicks on this page; the old text is back
    visitor.counted()
    visitor.click("[data-rollback]")
    page.locator(".panel-body").filter(has_text="will be undone").wait_for()
    visitor.click("[data-confirm]")
    page.wait_for_url("**/deployments/*/")
    visitor.sees("2 of 2 instances run #2", "#deployment")
    assert visitor.counted() == 2
    assert says(address, "Freshly pushed, this is version <b>2</b>")

    visitor.open("/projects/sample/")
    visitor.sees("Healthy", "#m-test-a")
    assert page.locator("#m-test-a [data-address]").get_attribute("href") == address
    picture(visitor, "board")


def test_roll_back_from_the_board_is_two_clicks_too(visit: Callable[..., Visitor], house: Portal) -> None:
    """And three from home: the project, the panel, the confirmation. The keyboard alone does it as well."""
    run_two_versions(house)
    visitor = visit()
    page = visitor.sign_in()
    visitor.click("a:has-text('Sample service')")
    page.locator("#m-test-a [data-rollback]").focus()
    page.keyboard.press("Enter")
    page.locator("[data-confirm]").wait_for()
    assert page.evaluate("document.activeElement.matches('[data-confirm]')")
    page.keyboard.press("Escape")
    page.locator("dialog#panel").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.matches('[data-rollback]')")
    visitor.click("#m-test-a [data-rollback]")
    visitor.click("[data-confirm]")
    page.wait_for_url("**/deployments/*/")
    page.locator("#deployment .result").wait_for()
    assert visitor.counted() == 3
