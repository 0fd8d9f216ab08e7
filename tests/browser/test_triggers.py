"""What builds by itself, as a person meets it: rules tried while they are typed, and a project on a Gerrit from the wizard to
the vote under a change, with no click in between."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.portal import Portal
from tests.simulators.gerrit_rig import PASSWORD, USER, Rig
from tests.waiting import until

from .visitor import PATIENCE_S, Visitor

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def rig(house: Portal) -> Iterator[Rig]:
    """A Gerrit that ops have connected, though nobody listens to it yet."""
    with tempfile.TemporaryDirectory() as folder, Rig(Path(folder) / "gerrit") as running, house.api("ops") as ops:
        config, secrets = running.connection_facts(ssh=False)
        body = {"name": "review", "kind": "gerrit", "config": config}
        answer = ops.post("/api/connections/", json={**body, "secrets": {**secrets, "ssh_key": running.user_key}})
        assert answer.status_code == 201, answer.text
        yield running


@pytest.fixture(scope="module")
def ruled(house: Portal) -> str:
    with house.api("dev") as dev:
        made = dev.post("/api/projects/", json={"slug": "ruled", "starter": "blank"})
        assert made.status_code == 201, made.text
    return "/projects/ruled/triggers/"


def says(visitor: Visitor, verdict: str, words: str) -> None:
    visitor.page.locator(f"[data-tried={verdict}]").filter(has_text=words).wait_for()


def test_rules_are_tried_while_they_are_typed(visit: Callable[..., Visitor], ruled: str) -> None:
    visitor = visit()
    page = visitor.sign_in()
    visitor.open("/projects/ruled/builds/")
    visitor.click("text=Why did my push not build?")
    page.wait_for_url(f"**{ruled}#lately")
    says(visitor, "yes", "because of “**”")  # the default branch, at once
    page.fill("[name=branches]", "release/*\n!release/old")
    says(visitor, "no", "no pattern matches")
    page.fill("#try [name=name]", "release/1.2")
    says(visitor, "yes", "because of “release/*”")
    page.fill("#try [name=name]", "release/old")
    says(visitor, "no", "“!release/old” takes it out")
    page.select_option("#try [name=kind]", "paths")
    says(visitor, "yes", "whatever changed counts")
    page.press("#try [name=name]", "Enter")  # asks once more; nothing is saved by it
    assert page.url.endswith("#lately")
    visitor.click("#rules button")
    visitor.sees("it holds from the next push on", "body")
    assert page.input_value("[name=branches]") == "release/*\n!release/old"


@pytest.mark.parametrize(("width", "theme", "language"), [(1280, "dark", "zh-hans"), (390, "light", "en")])
def test_the_pages_fit(
    visit: Callable[..., Visitor], ruled: str, rig: Rig, width: int, theme: str, language: str
) -> None:
    visitor = visit(width=width, theme=theme, language=language)
    page = visitor.sign_in()
    visitor.open(ruled)
    assert visitor.overflow() == 0
    visitor.open("/projects/new/")
    for origin in ("starter", "bound", "gerrit_new", "gerrit"):
        page.check(f"[name=origin][value={origin}]")
        assert page.locator("[name=there]").is_visible() == origin.startswith("gerrit")
        assert page.locator("[name=branches]").is_visible() == (origin == "gerrit_new")
        assert page.locator("[name=starter]").first.is_visible() == (origin in {"starter", "gerrit_new"})
        assert visitor.overflow() == 0


def pin(visitor: Visitor, rig: Rig) -> None:
    """Ops compare the server's key with what its operators say, and pin it."""
    page = visitor.sign_in("ops")
    visitor.open("/admin/common/connection/")
    visitor.click("#result_list a:text-is('review')")
    visitor.click("a[href*='host-key']")
    page.fill("[name=ssh_host]", "127.0.0.1")
    page.fill("[name=ssh_port]", str(rig.ssh_port))
    visitor.click("text=Ask the server for its key")
    page.locator("#offered code").filter(has_text="SHA256:").first.wait_for()
    visitor.click("text=pin it and listen")
    visitor.sees("answers over HTTP and SSH", "body")
    rig.listening()


def verified(rig: Rig, change: int) -> int | None:
    """The vote that stands under a change, as Gerrit tells it."""
    answer = httpx.get(f"{rig.url}a/changes/{change}/detail", auth=(USER, PASSWORD), timeout=PATIENCE_S)
    votes: list[dict[str, Any]] = json.loads(answer.text.removeprefix(")]}'"))["labels"]["Verified"].get("all", [])
    return next((vote["value"] for vote in votes if vote.get("value")), None)


def test_from_the_wizard_to_the_vote(visit: Callable[..., Visitor], house: Portal, rig: Rig, tmp_path: Path) -> None:
    pin(visit(), rig)
    visitor = visit()
    page = visitor.sign_in()
    visitor.open("/projects/new/")
    page.fill("[name=slug]", "greeter")
    page.check("[name=origin][value=gerrit_new]")
    assert page.input_value("[name=there]") == "greeter"  # follows the short name
    page.fill("[name=there]", "team/greeter")
    page.fill("[name=branches]", "main")
    page.check("[name=starter][value=blank]")
    visitor.click("text=Create project")
    page.wait_for_url("**/projects/greeter/")
    visitor.sees(f"ssh://dev@127.0.0.1:{rig.ssh_port}/team/greeter", "body")

    visitor.open("/projects/greeter/triggers/")
    page.check("[name=changes]")
    visitor.click("#rules button")
    visitor.sees("it holds from the next push on", "body")

    folder = tmp_path / "greeter"
    rig.git("clone", "-q", rig.git_url("team/greeter"), str(folder))
    (folder / "hello.txt").write_text("hello\n")
    rig.git("add", "-A", folder=folder)
    rig.git("commit", "-qm", "Say hello", folder=folder)
    rig.git("push", "-q", "origin", "HEAD:main", folder=folder)
    page.locator("#lately tr").filter(has_text="Say hello").first.wait_for()  # it came in without a reload

    (folder / "hello.txt").write_text("hello, you\n")
    rig.git("commit", "-qam", "Greet people by name\n\nChange-Id: I" + "7" * 40, folder=folder)
    rig.git("push", "-q", "origin", "HEAD:refs/for/main", folder=folder)
    row = page.locator("#lately tr").filter(has_text="Greet people by name").first
    row.wait_for()
    until(lambda: verified(rig, 1) == 1, timeout=PATIENCE_S, what="the vote under the change")
    row.locator(".state-green").wait_for()
    row.locator("a[href^='/builds/']").click()
    visitor.sees("change 1, patch set 1", "body")
    visitor.sees("the build of a change makes no version")
    page.locator("[data-review=ended] .state-green").wait_for()
