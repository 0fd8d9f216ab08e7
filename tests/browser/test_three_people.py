"""The story of rights: a new project may deploy nowhere, its developer asks, ops decides in the ops screen, it deploys,
the audit tells it, and another developer sees nothing of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.portal import Portal

from .visitor import Visitor

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(1800)]
SLUG = "story"


def create(dev: Visitor) -> None:
    """A project from a starter, with its first build."""
    page = dev.open("/projects/new/")
    page.fill("[name=slug]", SLUG)
    page.fill("[name=name]", "Story")
    page.locator("main form button.btn-primary").click()
    page.wait_for_url(f"**/projects/{SLUG}/")
    with dev.portal.api() as api:
        assert api.post(f"/api/projects/{SLUG}/builds/", json={"ref": "main"}).status_code == 201
    page.locator(".last-build .state-green").wait_for()


def ask_for_a_machine(dev: Visitor) -> None:
    """Refused, and through the refusal's own door to the form, to a request that waits."""
    page = dev.page
    dev.click("[data-deploy]")
    dev.sees("may not use any machine yet", "dialog#panel")
    dev.until(lambda: any("responded with" in said for said in dev.complaints), "the browser to tell of the refusal")
    assert [said for said in dev.complaints if "403" not in said] == []
    dev.complaints.clear()  # the refusal that was just read
    dev.click("dialog#panel a:has-text('Ask for it')")
    page.wait_for_url("**/requests/new/**")
    page.locator("[name=machine]").select_option("test-a")
    page.fill("[name=reason]", "To show the story to the team")
    page.locator("#ask button.btn-primary").click()
    page.wait_for_url("**/requests/*/")
    dev.sees("Waiting for a decision")
    assert page.locator("button[value=approve]").count() == 0, "nobody decides their own request"


def approve_in_the_ops_screen(ops: Visitor) -> None:
    """From the ops screen's first page: the list of what waits, the form with its consequences, one click."""
    page = ops.open("/admin/")
    ops.click("a:has-text('Requests that wait')")
    ops.click("#result_list a:has-text('test-a')")
    ops.sees("deploy this project to the machine", "#content")
    ops.click("button[name=do][value=approve]")
    page.locator(".messagelist").wait_for()
    with ops.portal.api("ops") as api:
        rows = api.get("/api/requests/?state=approved").json()["results"]
    assert [row["machine"] for row in rows if row["project"] == SLUG] == ["test-a"]


def test_dev_asks_ops_decides_dev_deploys_the_audit_tells_and_nobody_else_sees(
    visit: Callable[..., Visitor], house: Portal
) -> None:
    dev, ops, guest = visit(), visit(), visit()
    dev.sign_in("dev")
    create(dev)
    ask_for_a_machine(dev)

    ops.sign_in("ops")
    ops.sees("waits for your decision")
    approve_in_the_ops_screen(ops)

    page = dev.open(f"/projects/{SLUG}/")
    dev.click("[data-deploy]")
    dev.click("[data-confirm]")
    page.wait_for_url("**/deployments/*/")
    page.locator("#deployment .result").wait_for()
    page.locator("#deployment .state-green").first.wait_for()

    ops.open(f"/audit/?project={SLUG}")
    for said in (
        "dev created the project story",
        "dev asked for the machine test-a for story",
        "ops approved what dev asked for: test-a for story",
        "dev deployed version 1 of story to test-a",
    ):
        ops.sees(said)
    ops.open("/audit/")
    ops.sees("ops approved what dev asked for: test-a for story")

    guest.sign_in("guest")
    for path in ("/", "/projects/", "/builds/", "/deployments/", "/machines/", "/requests/", "/search/?q=story"):
        page = guest.open(path)
        assert "Story" not in page.inner_text("main"), path
        assert f"/{SLUG}/" not in page.inner_html("main"), path
    hidden = (f"/projects/{SLUG}/", f"/audit/?project={SLUG}", "/requests/1/")
    for path in hidden:
        guest.open(path)
        guest.sees("404")
    guest.open("/")
    guest.page.wait_for_load_state("networkidle")  # by then the browser has told of all three
    assert not [said for said in guest.complaints if "404" not in said]
    guest.complaints.clear()  # they were asked for on purpose
