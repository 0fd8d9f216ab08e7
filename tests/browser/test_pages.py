"""What holds on every page: languages and themes without a flash, a phone's width, the keyboard, refusals, hostile logs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.portal import Portal
from tests.waiting import until

from .visitor import PATIENCE_S, Visitor

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(1800)]

NOISY = r"""pipeline { agent any
  stages { stage('Noise') { steps {
    sh '''#!/bin/sh
printf '\\033[31mred\\033[0m <b id=evil>bold</b> <script>window.evil = 1</script>\\n'
printf '\\033]0;a new title\\007\\033]8;;https://example.com\\007link\\033]8;;\\007 \\033[2Jcleared\\n' '''
  } } } }
"""


@pytest.fixture(scope="module")
def noisy(house: Portal) -> int:
    """A finished build whose log tries everything; its id. `guest` may look at its project."""
    with house.api() as api:

        def send(method: str, path: str, body: dict[str, Any]) -> Any:
            answer = api.request(method, f"/api/projects/{path}", json=body)
            assert answer.is_success, answer.text
            return answer.json()

        send("POST", "", {"slug": "noisy", "name": "Noisy", "starter": "blank"})
        send("POST", "noisy/members/", {"user": "guest", "role": "viewer"})
        send("PUT", "noisy/pipeline/", {"text": NOISY})
        made = send("POST", "noisy/builds/", {})["id"]
        final = {"succeeded", "failed", "unstable", "cancelled"}
        until(lambda: api.get(f"/api/builds/{made}/").json()["state"] in final, timeout=PATIENCE_S, every=0.2)
    return int(made)


def main_pages(build: int) -> list[str]:
    project = "/projects/noisy/"
    rooms = ("", "builds/", "versions/", "deployments/", "pipeline/", "settings/")
    lists = ("/", "/projects/", "/projects/new/", "/builds/", "/deployments/", "/machines/", "/search/?q=a", "/me/")
    return [*lists, "/me/tokens/", *(project + room for room in rooms), f"/builds/{build}/", f"/builds/{build}/tests/"]


@pytest.mark.parametrize(("width", "language"), [(390, "en"), (390, "zh-hans"), (1280, "zh-hans")])
def test_no_page_scrolls_sideways(visit: Callable[..., Visitor], noisy: int, width: int, language: str) -> None:
    visitor = visit(width=width, language=language, theme="dark")
    visitor.sign_in()
    sticking_out = {}
    for path in main_pages(noisy):
        visitor.open(path)
        if visitor.overflow() > 0:
            sticking_out[path] = visitor.overflow()
    assert sticking_out == {}


def test_language_and_theme_come_with_the_first_byte(visit: Callable[..., Visitor], house: Portal) -> None:
    visitor = visit()
    page = visitor.sign_in()
    page.click("#theme-menu summary")
    page.click("[data-theme-set=dark]")
    assert page.get_attribute("html", "data-bs-theme") == "dark"
    page.click("[name=language][value=zh-hans]")
    page.locator("html[lang=zh-Hans]").wait_for()
    assert page.inner_text("h1") == "首页"
    # What the server sends is right already: no script has to mend it after the first paint.
    cookies = {cookie["name"]: cookie["value"] for cookie in visitor.context.cookies()}
    sent = httpx.get(house.url, cookies=cookies, follow_redirects=True, timeout=PATIENCE_S).text
    assert '<html lang="zh-Hans" data-bs-theme="dark"' in sent
    page.reload()
    assert page.get_attribute("html", "data-bs-theme") == "dark"
    page.click("[name=language][value=en]")
    page.locator("html[lang=en]").wait_for()


def test_the_keyboard_goes_everywhere(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    page = visitor.sign_in()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("sample")
    page.keyboard.press("Enter")
    page.wait_for_url("**/projects/sample/")
    page.clock.install()
    page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))  # these two belong together, however slowly they come
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_url("**/projects/")
    page.clock.resume()
    page.keyboard.press("Tab")
    ring = "getComputedStyle(document.activeElement).boxShadow !== 'none' || document.activeElement.matches('.skip')"
    assert page.evaluate(ring)
    page.keyboard.press("?")
    page.locator("#keys[open]").wait_for()
    page.keyboard.press("Escape")
    page.locator("#keys").wait_for(state="hidden")


def test_a_log_shows_colours_and_nothing_else(visit: Callable[..., Visitor], noisy: int) -> None:
    visitor = visit()
    visitor.sign_in()
    page = visitor.open(f"/builds/{noisy}/")
    visitor.sees("<b id=evil>bold</b> <script>window.evil = 1</script>", "[data-log-rows]")
    visitor.sees("cleared", "[data-log-rows]")
    assert page.evaluate("[window.evil, document.getElementById('evil')]") == [None, None]
    assert page.locator("[data-log-rows] .fg-red").filter(has_text="red").count() == 1
    assert page.title().startswith("Noisy #1")
    shown = page.inner_text("[data-log-rows]")
    assert "a new title" not in shown
    assert "https://example.com" not in shown
    assert page.locator("[data-log-rows] a[href^=https]").count() == 0


def test_a_viewer_is_told_the_rule_and_whom_to_ask(visit: Callable[..., Visitor], noisy: int) -> None:
    visitor = visit()
    visitor.sign_in("guest")
    page = visitor.open("/projects/noisy/")
    visitor.click(".page-actions .btn-locked:has-text('Deploy')")
    page.locator("#locked-deploy[open]").wait_for()
    assert "Deploying needs the role developer" in page.inner_text("#locked-deploy")
    assert "dev" in page.inner_text("#locked-deploy .person")
    page.keyboard.press("Escape")
    page.locator("#locked-deploy").wait_for(state="hidden")
    assert page.locator("[data-deploy], [data-build]").count() == 0


def test_the_wizard_asks_only_for_what_was_chosen(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    visitor.sign_in()
    page = visitor.open("/projects/new/")
    assert page.is_visible("[name=starter]")
    assert not page.is_visible("[name=repository]")
    page.check("[name=origin][value=bound]")
    assert page.is_visible("[name=repository]")
    assert not page.is_visible("[name=starter]")


def test_home_and_board_move_by_themselves(visit: Callable[..., Visitor], house: Portal, noisy: int) -> None:
    visitor = visit()
    page = visitor.sign_in()
    page.locator("#live-dot[data-live=live]").wait_for()
    page.evaluate("window.sameDocument = true")
    with house.api() as api:
        number = api.post("/api/projects/noisy/builds/", json={}).json()["number"]
    # Of this project: others on the same portal may have a build of that number.
    row = page.locator("#home .matrix tr", has=page.locator("a[href='/projects/noisy/']"))
    row.filter(has_text=f"#{number}").wait_for()
    row.locator(f".build-cell:has-text('#{number}') .state-green").wait_for()
    assert page.evaluate("window.sameDocument") is True
