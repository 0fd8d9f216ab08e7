"""The log viewer in a real browser: a window of lines over a log of any length, live by bytes, exact after reconnects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.waiting import until

from .growing_log import GrowingLog

pytestmark = pytest.mark.browser
LAST = 1_000_000


def shown(page: Any) -> list[int]:
    """Line numbers inside the visible part of the log."""
    return page.evaluate(
        """() => { const box = document.querySelector('[data-log-scroll]').getBoundingClientRect();
        return [...document.querySelectorAll('.log-row')].filter((row) => { const r = row.getBoundingClientRect();
          return r.bottom > box.top + 2 && r.top < box.bottom - 2 && row.querySelector('.log-text').textContent; })
        .map((row) => Number(row.querySelector('.log-n').textContent)); }"""
    )


def text_of(page: Any, line: int) -> str | None:
    return page.evaluate(
        """(n) => { const link = [...document.querySelectorAll('.log-n')].find((a) => a.textContent === String(n));
        return link ? link.parentElement.querySelector('.log-text').textContent : null; }""",
        line,
    )


def do(page: Any, name: str) -> None:
    page.click(f'[data-log] button[data-log-do="{name}"]')


@pytest.fixture
def million(open_page: Callable[..., Any]) -> Any:
    page = open_page("/gallery/")
    page.locator("[data-log]").scroll_into_view_if_needed()
    until(lambda: LAST in shown(page), what="the end of the log")
    until(lambda: page.locator('button[data-log-do="error"]').is_visible(), what="its marks: steps and the first error")
    page.evaluate("() => document.fonts.ready.then(() => true)")  # a font that comes late changes where lines break
    return page


def scrolled(page: Any) -> float:
    return page.evaluate("() => document.querySelector('[data-log-scroll]').scrollTop")


def rows(page: Any) -> int:
    return page.locator(".log-row").count()


def test_it_opens_at_the_end_and_holds_a_window_only(million: Any) -> None:
    assert rows(million) < 200
    do(million, "start")
    until(lambda: shown(million)[:1] == [1], what="the first line")
    assert rows(million) < 200
    do(million, "end")
    until(lambda: LAST in shown(million))


def test_scrolling_anywhere_shows_what_belongs_there(million: Any) -> None:
    for share in (0.5, 0.123, 0.9, 0.0):
        million.evaluate(
            "(s) => { const e = document.querySelector('[data-log-scroll]'); e.scrollTop = s * (e.scrollHeight - e.clientHeight); }",
            share,
        )
        until(lambda share=share: any(abs(n - share * LAST) < 100 for n in shown(million)), what=f"line at {share}")
        for number in shown(million)[:5]:
            assert str(number) in (text_of(million, number) or "") or number % 50 == 0 or number % 250_000 == 1
    assert rows(million) < 200


def test_the_wheel_moves_by_lines_however_long_the_log(million: Any) -> None:
    do(million, "start")
    until(lambda: shown(million)[:1] == [1])
    million.locator("[data-log-scroll]").hover()
    million.mouse.wheel(0, 200)
    until(lambda: shown(million) and shown(million)[0] in range(9, 13), what="ten lines further")


def test_keys_move_it(million: Any) -> None:
    million.locator("[data-log-scroll]").focus()
    million.keyboard.press("Home")
    until(lambda: shown(million)[:1] == [1])
    million.keyboard.press("PageDown")
    until(lambda: shown(million) and 15 < shown(million)[0] < 60)
    million.keyboard.press("e")
    until(lambda: 750_321 in shown(million))


def test_colours_are_classes_and_html_is_text(million: Any) -> None:
    do(million, "error")
    until(lambda: 750_321 in shown(million))
    assert text_of(million, 750_321) == "ERROR expected 200 but got 500 <b>not bold</b>"
    assert million.locator(".log-row b").count() == 0
    assert million.locator(".log-row .fg-red.sgr-bold").text_content() == "ERROR"
    assert million.locator(".log-row.is-chosen .log-n").text_content() == "750321"


def test_search_goes_from_hit_to_hit_and_round_the_end(million: Any) -> None:
    do(million, "start")
    until(lambda: shown(million)[:1] == [1])
    million.fill(".log-find input", "module_503.")
    million.press(".log-find input", "Enter")
    until(lambda: 503 in shown(million), what="the first hit")
    until(lambda: million.evaluate("() => CSS.highlights.get('log-find').size") >= 1, what="the hit to be marked")
    million.press(".log-find input", "Enter")
    until(lambda: 1480 in shown(million), what="the second hit")
    million.press(".log-find input", "Shift+Enter")
    until(lambda: 503 in shown(million))
    million.fill(".log-find input", "no such words")
    million.press(".log-find input", "Enter")
    until(lambda: million.locator("[data-log-note]").text_content() == "Not found")


def test_folding_all_steps_leaves_their_first_lines(million: Any) -> None:
    do(million, "fold")
    do(million, "start")
    until(lambda: shown(million) == [1, 250_001, 500_001, 750_001], what="four steps")
    assert "249,999 more lines" in (million.locator(".log-badge").first.text_content() or "")
    million.locator("[data-log-fold]").nth(1).click()
    until(lambda: 250_002 in shown(million), what="the unfolded step")
    do(million, "error")
    until(lambda: 750_321 in shown(million), what="a line in a folded step")


def test_wrapped_lines_are_all_readable_at_the_end(million: Any) -> None:
    do(million, "wrap")
    do(million, "end")
    until(lambda: LAST in shown(million))
    hidden = million.evaluate(
        """() => { const box = document.querySelector('[data-log-scroll]').getBoundingClientRect();
        return [...document.querySelectorAll('.log-row')].at(-1).getBoundingClientRect().bottom - box.bottom; }"""
    )
    assert hidden <= 16  # at most the horizontal scrollbar's height
    do(million, "times")
    assert million.locator(".log-time").first.is_visible()
    million.reload()
    assert million.locator("[data-log].has-wrap.has-times").count() == 1  # remembered


def test_a_link_to_a_line_opens_there(open_page: Callable[..., Any]) -> None:
    page = open_page("/gallery/#L123456")
    until(lambda: 123_456 in shown(page), what="the linked line")
    assert page.locator(".log-row.is-chosen .log-n").text_content() == "123456"
    page.click(".log-row:has(.log-n:text-is('123460')) .log-n")
    assert page.url.endswith("#L123460")


@pytest.fixture
def log(request: pytest.FixtureRequest) -> GrowingLog:
    return GrowingLog(request.node.name.replace("_", "-"))


def address(request: pytest.FixtureRequest) -> str:
    return f"/log/{request.node.name.replace('_', '-')}/"


def lines(page: Any) -> int:
    return int(page.get_attribute("[data-log]", "data-lines") or 0)


def test_it_follows_what_is_written(open_page: Callable[..., Any], log: GrowingLog, request: Any) -> None:
    log.write("".join(f"old {n}\n" for n in range(1, 701)))
    page = open_page(address(request))
    until(lambda: 700 in shown(page))
    log.write("".join(f"new {n}\n" for n in range(701, 1501)))
    until(lambda: 1500 in shown(page), what="the newest line")
    assert text_of(page, 1500) == "new 1500"
    assert text_of(page, 1490) == "new 1490"
    until(lambda: log.acked == len(log.raw), what="everything acknowledged")


def test_scrolling_up_stops_following_and_the_button_brings_it_back(
    open_page: Callable[..., Any], log: GrowingLog, request: Any
) -> None:
    log.write("".join(f"line {n}\n" for n in range(1, 301)))
    page = open_page(address(request))
    until(lambda: 300 in shown(page))
    page.locator("[data-log-scroll]").hover()
    end = scrolled(page)
    page.mouse.wheel(0, -2000)
    until(lambda: scrolled(page) == end - 2000, what="the wheel to have turned")
    until(lambda: shown(page) and 300 not in shown(page))
    before = shown(page)
    log.write("".join(f"line {n}\n" for n in range(301, 401)))
    follow = page.locator("button.log-follow")
    until(lambda: "100 new lines" in (follow.text_content() or ""))
    assert shown(page) == before
    follow.click()
    until(lambda: 400 in shown(page))
    assert not follow.is_visible()


def test_letters_cut_between_frames_and_lines_without_end_are_put_together(
    open_page: Callable[..., Any], log: GrowingLog, request: Any
) -> None:
    page = open_page(address(request))
    until(lambda: log.asked, what="the socket")
    word = "构建成功🎉" * 100  # 1600 bytes: frames of 1000 cut letters
    log.write(word)
    until(lambda: log.acked == len(log.raw), what="the half line in the browser")
    assert page.evaluate("() => document.querySelector('[data-log]').logView.source.total") == 0
    assert lines(page) == 0
    log.write(f"\n\x1b[31mred\x1b[0m\r\n{word}\nlast line without an end")
    until(lambda: lines(page) == 3)
    assert [text_of(page, n) for n in (1, 2, 3)] == [word, "red", word]
    log.complete = True
    until(lambda: text_of(page, 4) == "last line without an end", what="the unfinished last line")
    assert lines(page) == 4
    assert page.get_attribute("[data-log]", "data-complete") == "true"


def test_after_a_broken_connection_no_line_is_lost_or_doubled(
    open_page: Callable[..., Any], log: GrowingLog, request: Any
) -> None:
    log.write("first\n")
    log.cut_after = 5000
    page = open_page(address(request))
    until(lambda: log.asked)
    for n in range(2, 1001):
        log.write(f"number {n}\n")
    until(lambda: len(log.asked) > 1, what="a second connection")
    until(lambda: lines(page) == 1000, what="all lines")
    log.complete = True
    until(lambda: page.get_attribute("[data-log]", "data-complete") == "true")
    for n in (2, 400, 401, 999, 1000):
        page.evaluate(f"() => {{ location.hash = '#L{n}'; }}")
        until(lambda n=n: text_of(page, n) == f"number {n}", what=f"line {n}")
    assert all(log.raw[:offset].endswith(b"\n") or offset == 0 for offset in log.asked)


def test_lines_that_a_page_knew_of_before_their_bytes_came_are_not_doubled(
    open_page: Callable[..., Any], log: GrowingLog, request: Any
) -> None:
    """Whoever scrolls back in a log that grows is told how long it is by now; the socket brings those lines later."""
    log.write("".join(f"line {n}\n" for n in range(1, 2001)))
    page = open_page(address(request))
    until(lambda: 2000 in shown(page))
    until(lambda: log.asked, what="the socket")
    log.held = True
    log.write("".join(f"line {n}\n" for n in range(2001, 2051)))
    do(page, "start")
    until(lambda: text_of(page, 1) == "line 1", what="a page that is told of 2050 lines")
    log.complete = True
    do(page, "end")
    page.evaluate("() => { location.hash = '#L700'; }")
    until(lambda: text_of(page, 700) == "line 700", what="a page that is told that this is all")
    log.held = False
    until(lambda: page.get_attribute("[data-log]", "data-complete") == "true", what="the end over the socket")
    until(lambda: lines(page) == 2050, what="every line, once")
    do(page, "end")
    until(lambda: text_of(page, 2050) == "line 2050")
    assert lines(page) == 2050


def test_a_server_that_answers_nothing_while_the_socket_is_back_doubles_no_line(
    open_page: Callable[..., Any], log: GrowingLog, request: Any
) -> None:
    log.write("".join(f"line {n}\n" for n in range(1, 101)))
    page = open_page(address(request))
    until(lambda: lines(page) == 100)
    until(lambda: log.asked, what="the socket")
    log.away = True
    log.cut_after = 1
    log.write("line 101\n")
    until(lambda: len(log.asked) > 1, what="a second connection")
    log.write("line 102\n")
    until(lambda: text_of(page, 102) == "line 102", what="the line after the gap")
    log.away = False
    log.complete = True
    until(lambda: page.get_attribute("[data-log]", "data-complete") == "true")
    until(lambda: lines(page) == 102, what="every line, once")
    assert [text_of(page, n) for n in (100, 101, 102)] == ["line 100", "line 101", "line 102"]
    assert all(log.raw[:offset].endswith(b"\n") and offset for offset in log.asked)


def test_a_reader_who_has_gone_elsewhere_stays_there_when_the_marks_come(
    open_page: Callable[..., Any], server: Any, log: GrowingLog, request: Any
) -> None:
    log.write("".join(f"line {n}\n" for n in range(1, 301)))
    server.held.add("/marks/")
    page = open_page(address(request))
    until(lambda: 300 in shown(page))
    do(page, "start")
    until(lambda: shown(page)[:1] == [1])
    page.evaluate(COUNT_ROWS)
    server.held.clear()
    until(lambda: log.asked, what="the socket, which is opened when the marks are there")
    until(lambda: page.evaluate("() => window.rowsAtMarks"), what="the marks")
    assert shown(page)[0] == 1
    assert page.evaluate("() => window.rowsAtMarks") > 0, "and at no moment is there nothing to see"


COUNT_ROWS = """() => { const root = document.querySelector('[data-log]');
root.logView.source.addEventListener('marks', () => { window.rowsAtMarks = root.querySelectorAll('.log-row').length || -1; }); }"""


def test_without_a_socket_it_polls(open_page: Callable[..., Any], server: Any, log: GrowingLog, request: Any) -> None:
    server.refuse_sockets = True
    log.write("one\n")
    page = open_page(address(request))
    until(lambda: lines(page) == 1)
    log.write("two\nthree\n")
    until(lambda: text_of(page, 3) == "three", what="the polled lines")
    assert lines(page) == 3


def test_a_huge_line_is_cut_and_says_so(open_page: Callable[..., Any], log: GrowingLog, request: Any) -> None:
    page = open_page(address(request))
    until(lambda: log.asked)
    log.write("x" * 1_000_000 + "\nafter\n")
    until(lambda: lines(page) == 2)
    assert len(text_of(page, 1) or "") == 8192
    assert "969 KiB more" in (page.locator(".log-badge").text_content() or "")


def test_an_empty_log_says_so(open_page: Callable[..., Any], log: GrowingLog, request: Any) -> None:
    page = open_page(address(request))
    until(lambda: page.locator("[data-log-note]").text_content() == "Nothing has been written yet.")
    log.write("hello\n")
    until(lambda: text_of(page, 1) == "hello")
    assert page.locator("[data-log-note]").text_content() == ""
