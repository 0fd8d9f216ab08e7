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
    """While one fetch is on its way a hundred wake-ups come: they are one more fetch when it has ended."""
    heard: list[object] = []
    page = open_page("/live/", on_socket=lambda socket: socket.on("framereceived", lambda told: heard.append(told)))
    until(lambda: dot(page) == "live" and count(page) > 0)
    quiet(page)
    before = count(page)
    server.held.add("/live/part/")
    for _ in range(100):
        server.wake()
    until(lambda: page.evaluate("() => true") and len(heard) >= 100, what="every wake-up in the browser")
    server.held.clear()
    until(lambda: count(page) == before + 2, what="the fetch that was on its way, and one for all the others")
    quiet(page)
    server.wake()
    until(lambda: count(page) > before + 2)
    assert count(page) == before + 3, "nothing else was waiting"


def quiet(page: Any) -> None:
    """Until the part has nothing on its way and nothing in mind. Its rest after a fetch is 400 ms, and timers of one page
    end in their order, however slow the machine is."""
    until(
        lambda: page.evaluate(
            """async () => { const busy = () => document.querySelector('#part').matches('.htmx-request');
            const fetched = () => document.querySelector('#count').textContent;
            const before = fetched();
            if (busy()) return false;
            await new Promise((done) => setTimeout(done, 1000));
            return !busy() && fetched() === before; }"""
        ),
        what="a part at rest",
    )


def test_a_part_that_was_brought_later_hears_what_came_before_it_was_wired(
    open_page: Callable[..., Any], server: Any
) -> None:
    """htmx wires new elements some milliseconds after it has put them in: a wake-up between the two is not lost, and the
    part does not wait for ever for an answer that nobody asked for."""
    page = open_page("/live/")
    until(lambda: dot(page) == "live" and count(page) > 0)
    page.evaluate(
        """() => document.addEventListener('htmx:afterSwap', (event) => {
          if (event.detail.target.id === 'slot') window.dispatchEvent(new Event('online')); })"""
    )
    page.click("#bring")
    page.wait_for_selector("#other")
    first = int(page.text_content("#other-count"))
    until(lambda: int(page.text_content("#other-count")) > first, what="what came in between")
    second = int(page.text_content("#other-count"))
    server.wake()
    until(lambda: int(page.text_content("#other-count")) > second, what="what came later")


def test_a_panel_that_was_closed_before_its_answer_came_stays_closed(
    open_page: Callable[..., Any], server: Any
) -> None:
    page = open_page("/live/")
    until(lambda: dot(page) == "live" and count(page) > 0)
    ended: list[object] = []
    page.on("requestfailed", lambda request: "slow-panel" in request.url and ended.append(request))
    page.on("requestfinished", lambda request: "slow-panel" in request.url and ended.append(request))
    server.held.add("/slow-panel/")
    page.click("#ask-late")
    page.wait_for_selector("#panel[open] .panel-waiting")
    page.keyboard.press("Escape")
    until(lambda: page.locator("#panel[open]").count() == 0)
    server.held.clear()
    until(lambda: page.evaluate("() => true") and ended, what="the end of the request, however it ends")
    page.click("#bring")  # a later request has come and was settled: so would have been that one
    page.wait_for_selector("#other")
    until(lambda: page.locator(".htmx-settling, .htmx-added, .htmx-request").count() == 0)
    assert page.locator("#panel[open]").count() == 0
    page.click("#ask-late")
    page.wait_for_selector("#panel[open] h2")


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
