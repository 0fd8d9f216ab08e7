"""Live logs and a terminal as people see them: nothing blocked by the content policy, phone and wide, light and dark."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings

from permissions.models import User
from tests.common.sockets import serving
from tests.common.sockets.serving import Server, session_of
from tests.deployments.streams.ground import NAMESPACE, Ground, ground
from tests.simulators.kubernetes_rig import Rig

from .visitor import Visitor

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(1800)
]  # fmt: skip
open_database, _django_db_helper = serving.open_database, serving._django_db_helper


@pytest.fixture(scope="module")
def web(open_database: None) -> Iterator[Server]:
    yield from serving.running("uvicorn", DEBUG="1", DJANGO_ALLOW_ASYNC_UNSAFE="")


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig() as made:
        made.namespace(NAMESPACE)
        yield made


@pytest.fixture
def shop(open_database: None, rig: Rig) -> Iterator[Ground]:
    with ground(rig) as made:
        yield made


@pytest.fixture
def come(browser: Any, web: Server) -> Iterator[Callable[..., Visitor]]:
    """Somebody who is signed in; whatever their browser complained about fails the test."""
    made: list[Visitor] = []

    def make(user: User, **options: Any) -> Visitor:
        visitor = Visitor(browser, SimpleNamespace(url=f"http://{web.address}"), **options)  # type: ignore[arg-type]
        cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session_of(user), "url": f"http://{web.address}"}
        visitor.context.add_cookies([cookie])
        made.append(visitor)
        return visitor

    yield make
    for visitor in made:
        visitor.context.close()
    assert [visitor.complaints for visitor in made if visitor.complaints] == []


def shown(visitor: Visitor) -> str:
    """What the terminal shows."""
    return str(visitor.page.locator(".xterm-rows").inner_text()).replace("\xa0", " ")


def keep(visitor: Visitor, name: str) -> None:
    """A picture, for whoever asks for pictures."""
    if folder := os.environ.get("FDD_PICTURES"):
        visitor.page.screenshot(path=f"{folder}/{name}.png")


LOOKS = [(1280, "light", "en"), (390, "dark", "zh-hans")]


@pytest.mark.parametrize(("width", "theme", "language"), LOOKS)
def test_a_terminal_opens_answers_and_says_how_it_ended(
    come: Callable[..., Visitor], shop: Ground, width: int, theme: str, language: str
) -> None:
    dev = come(shop.member("developer"), width=width, theme=theme, language=language)
    page = dev.open(f"/services/{shop.service.pk}/logs/")
    dev.click("a:has-text('Terminal'), a:has-text('终端')")
    page.locator("[data-terminal-status]", has_text="app").wait_for()
    page.keyboard.type("printf '\\033[38;2;250;20;20mtrue%s\\033[0m \\033[32mgreen\\033[0m\\n' colour; stty size\n")
    page.locator(".xterm-rows", has_text="truecolour").wait_for()
    red = page.locator(".xterm-rows span", has_text="truecolour").last
    assert red.evaluate("e => getComputedStyle(e).color") == "rgb(250, 20, 20)"
    keep(dev, f"terminal-{width}-{theme}-{language}")
    assert dev.overflow() == 0
    page.keyboard.type("exit 3\n")
    page.locator("[data-terminal-status]", has_text="3").wait_for()
    again = page.locator("[data-terminal-again]")
    again.wait_for()
    again.click()
    page.keyboard.type("echo ba''ck\n")
    page.locator(".xterm-rows", has_text="back").wait_for()


@pytest.mark.parametrize(("width", "theme", "language"), LOOKS)
def test_logs_are_followed_searched_and_wait_while_one_reads(
    come: Callable[..., Visitor], shop: Ground, width: int, theme: str, language: str
) -> None:
    first, second = shop.pods
    for number in range(60):
        shop.rig.say(
            NAMESPACE, first if number % 2 else second, [f"line {number} GET /api/orders 200 {number} ms"], "app"
        )
    viewer = come(shop.member("viewer"), width=width, theme=theme, language=language)
    page = viewer.open(f"/services/{shop.service.pk}/logs/")
    rows = page.locator("[data-slog-rows]")
    rows.filter(has_text="line 59").wait_for()
    shop.rig.say(NAMESPACE, first, ["\x1b[31mlate\x1b[0m news <b>"], "app")
    rows.filter(has_text="late news <b>").wait_for()
    assert page.locator("[data-slog-rows] .fg-red", has_text="late").count() == 1
    assert len(set(page.locator(".log-who").evaluate_all("all => all.map(e => e.className)"))) >= 1
    keep(viewer, f"logs-{width}-{theme}-{language}")
    assert viewer.overflow() == 0
    for number in range(200):
        shop.rig.say(NAMESPACE, first, [f"filler {number}"], "app")
    rows.filter(has_text="filler 199").wait_for()
    page.locator("[data-slog-scroll]").evaluate("e => { e.scrollTop = 0; }")
    newest = page.locator("[data-slog-do=follow]")
    newest.wait_for()
    shop.rig.say(NAMESPACE, second, ["while reading"], "app")
    rows.filter(has_text="while reading").wait_for()
    assert page.locator("[data-slog-scroll]").evaluate("e => e.scrollTop") == 0
    newest.click()
    below = "e => e.scrollHeight - e.scrollTop - e.clientHeight"
    viewer.until(lambda: page.locator("[data-slog-scroll]").evaluate(below) < 30, "the newest lines")
    page.locator("[data-slog-find] input").fill("while")
    visible = page.locator("[data-slog-rows] .log-row:visible")
    viewer.until(lambda: visible.count() == 1, "the one line that was looked for")
    assert "while reading" in visible.inner_text()


def test_who_may_not_open_a_terminal_learns_why_and_whom_to_ask(come: Callable[..., Visitor], shop: Ground) -> None:
    viewer = come(shop.member("viewer"))
    page = viewer.open(f"/services/{shop.service.pk}/logs/")
    assert page.locator("a.btn-locked").count() == 1
    viewer.click("a.btn-locked")
    viewer.sees("developer")
    assert page.locator("a[href*='/requests/new/']").count() >= 1
    viewer.complaints.clear()  # the refusal itself is a 403
