"""The live log of a service in a real browser: what it shows after its connection broke. Its protocol has its own tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.waiting import until

pytestmark = pytest.mark.browser
HIDE = """() => { window.held = []; window.drawn = window.requestAnimationFrame;
window.requestAnimationFrame = (work) => window.held.push(work); }"""
SHOW = """() => { window.requestAnimationFrame = window.drawn; for (const work of window.held) window.drawn(work); }"""


def texts(page: Any) -> list[str]:
    return page.locator("[data-slog-rows] .log-text").all_text_contents()


def test_what_came_to_a_tab_in_the_background_is_not_doubled_after_a_broken_connection(
    open_page: Callable[..., Any], server: Any
) -> None:
    """Nothing is drawn while nobody looks; a new connection brings the last lines again."""
    server.told = ["one", "two"]
    page = open_page("/slog/")
    until(lambda: texts(page) == ["one", "two"])
    page.evaluate(HIDE)
    server.tell("three")
    until(lambda: page.evaluate("() => window.held.length"), what="a line that waits to be drawn")
    server.cut()
    until(lambda: server.connections == 2 and server.acked == 3, what="the last lines again")
    page.evaluate(SHOW)
    until(lambda: texts(page) == ["one", "two", "three"], what="each line once")
    server.tell("four")
    until(lambda: texts(page) == ["one", "two", "three", "four"])
