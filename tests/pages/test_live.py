"""Parts that change by themselves: woken by a socket, polled without one, and never in a person's way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.waiting import until

pytestmark = pytest.mark.browser


def count(page: Any) -> int:
    return int(page.text_content("#count"))


def dot(page: Any) -> str:
    return page.get_attribute("#live-dot", "data-live")


def test_a_wake_up_fetches_the_part_again(open_page: Callable[..., Any], server: Any) -> None:
    page = open_page("/live/")
    until(lambda: dot(page) == "live", what="the dot")
    until(lambda: count(page) > 0)
    before = count(page)
    server.wake()
    until(lambda: count(page) > before)
    assert page.get_attribute("#live-dot", "title") == "Live: this page updates by itself"


def test_a_burst_of_wake_ups_is_coalesced(open_page: Callable[..., Any], server: Any) -> None:
    page = open_page("/live/")
    until(lambda: dot(page) == "live" and count(page) > 0)
    before = count(page)
    for _ in range(100):
        server.wake()
    until(lambda: count(page) > before)
    page.wait_for_timeout(1500)  # long enough for a hundred fetches, had they not been joined
    assert count(page) - before <= 5


def test_focus_writing_and_what_is_open_stay(open_page: Callable[..., Any], server: Any) -> None:
    page = open_page("/live/")
    until(lambda: dot(page) == "live" and count(page) > 0)
    page.click("#more summary")
    page.fill("#words", "half a sen")
    page.evaluate("() => document.querySelector('#words').setSelectionRange(2, 6)")
    before = count(page)
    server.wake()
    until(lambda: count(page) > before)
    assert page.evaluate("() => document.activeElement.id") == "words"
    assert page.input_value("#words") == "half a sen"
    assert page.evaluate("() => [words.selectionStart, words.selectionEnd]") == [2, 6]
    assert page.evaluate("() => document.querySelector('#more').open")


def test_without_a_socket_the_part_is_polled(open_page: Callable[..., Any], server: Any) -> None:
    server.refuse_sockets = True
    page = open_page("/live/")
    until(lambda: dot(page) == "polling")
    before = count(page)
    until(lambda: count(page) > before, what="a poll")


def test_a_lost_server_is_shown_and_found_again(open_page: Callable[..., Any], server: Any) -> None:
    page = open_page("/live/")
    until(lambda: dot(page) == "live")
    page.context.set_offline(True)
    until(lambda: dot(page) == "offline")
    page.context.set_offline(False)
    until(lambda: dot(page) in {"live", "polling"})
    open_page.complaints.clear()  # type: ignore[attr-defined]
