"""The frame of every page in a real browser: theme, keyboard, menus, panels, copying, editor; nothing breaks the policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.waiting import until

pytestmark = pytest.mark.browser


def theme(page: Any) -> str:
    return page.get_attribute("html", "data-bs-theme")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("path", ["/gallery/", "/away/", "/driver-error/"])
def test_no_page_scrolls_sideways(open_page: Callable[..., Any], path: str, language: str, width: int) -> None:
    page = open_page(path, width=width, language=language)
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0


def test_no_label_is_cut(open_page: Callable[..., Any]) -> None:
    for language in ("en", "zh-hans"):
        page = open_page("/gallery/", language=language)
        cut = page.evaluate(
            """() => [...document.querySelectorAll('.btn, .state, .tabs a, th, label, .nav-main a, .env, h2')]
            .filter((e) => e.clientWidth && e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent.trim())"""
        )
        assert cut == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_systems_theme_is_drawn_at_once_and_remembered(open_page: Callable[..., Any], scheme: str) -> None:
    page = open_page("/gallery/", scheme=scheme)
    assert theme(page) == scheme
    kept = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    assert kept["fdd_theme"] == f"auto-{scheme}"
    source = page.request.get(page.url).text()
    assert f'data-bs-theme="{scheme}" data-theme-choice="auto"' in source


def test_a_chosen_theme_stays(open_page: Callable[..., Any]) -> None:
    page = open_page("/gallery/")
    page.click("#theme-menu summary")
    page.click('[data-theme-set="dark"]')
    assert theme(page) == "dark"
    page.reload()
    assert theme(page) == "dark"
    assert page.get_attribute('[data-theme-set="dark"]', "aria-pressed") == "true"


def test_text_can_be_read_in_both_themes(open_page: Callable[..., Any]) -> None:
    for chosen in ("light", "dark"):
        page = open_page("/gallery/", theme=chosen)
        poor = page.evaluate(CONTRAST)
        assert not poor, chosen + ": " + "; ".join(poor)


CONTRAST = """() => {
  const canvas = document.createElement('canvas'); canvas.width = canvas.height = 1;
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  const over = (css, under) => { pen.globalCompositeOperation = 'copy'; pen.fillStyle = `rgb(${under})`; pen.fillRect(0, 0, 1, 1);
    pen.globalCompositeOperation = 'source-over'; pen.fillStyle = css; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3); };
  const light = (rgb) => { const [r, g, b] = rgb.map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (e) => { const chain = []; for (let n = e; n; n = n.parentElement) chain.unshift(getComputedStyle(n).backgroundColor);
    return chain.reduce((under, css) => over(css, under), [255, 255, 255]); };
  const poor = [];
  for (const e of document.querySelectorAll('.state, .env, .usual, .text-secondary, .btn:not(.btn-locked), th, .problem-what, .problem-advice, .version, .sha, .branch, .field-help, .form-error, .tabs a, .crumbs a, dt, .stage-name, .stage-time, .diff-text, .avatar-name, .log-text, .log-text span')) {
    if (!e.getClientRects().length || !e.textContent.trim()) continue;
    const back = ground(e), front = over(getComputedStyle(e).color, back);
    const [a, b] = [light(back), light(front)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${e.className}: ${e.textContent.trim().slice(0, 20)} ${ratio.toFixed(2)}`);
  }
  return [...new Set(poor)];
}"""


def test_the_keyboard_reaches_search_sections_and_the_list(open_page: Callable[..., Any]) -> None:
    page = open_page("/gallery/")
    page.keyboard.press("?")
    assert page.locator("#keys[open]").is_visible()
    page.keyboard.press("Escape")
    until(lambda: page.locator("#keys[open]").count() == 0)
    page.fill("#id_name", "")
    page.locator("#id_name").press("?")
    assert page.input_value("#id_name") == "?"  # what one writes is never taken for a key
    assert page.locator("#keys[open]").count() == 0


PRESSED = """([key, at]) => { const pressed = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
Object.defineProperty(pressed, 'timeStamp', { value: at });
document.body.dispatchEvent(pressed);
return pressed.defaultPrevented; }"""


def test_two_keys_belong_together_by_when_they_were_pressed(open_page: Callable[..., Any]) -> None:
    """Not by when a busy page came to hear of them; and a letter alone, however early, leads nowhere."""
    page = open_page("/live/")
    page.evaluate(
        """() => { const link = document.createElement('a'); link.href = '/projects/'; link.dataset.nav = 'projects';
        document.body.append(link); }"""  # as who is signed in has it
    )
    assert not page.evaluate(PRESSED, ["p", 100])
    assert not page.evaluate(PRESSED, ["g", 5000])
    assert not page.evaluate(PRESSED, ["p", 7000])
    assert not page.evaluate(PRESSED, ["g", 9000])
    assert page.evaluate(PRESSED, ["p", 10_000])
    page.wait_for_url("**/projects/")


def test_a_panel_slides_in_is_closed_by_escape_and_gives_the_focus_back(open_page: Callable[..., Any]) -> None:
    page = open_page("/gallery/")
    page.click("#open-production")
    page.wait_for_selector("#panel[open] .panel-production")
    assert "prod-bj" in (page.text_content("#panel .production-note") or "")
    page.keyboard.press("Escape")
    until(lambda: page.locator("#panel[open]").count() == 0)
    assert page.evaluate("() => document.activeElement.id") == "open-production"
    until(lambda: page.inner_html("#panel-body") == "", what="its content to be gone")


def test_a_refusal_opens_in_the_panel_with_a_way_out(open_page: Callable[..., Any]) -> None:
    page = open_page("/gallery/")
    page.click("#refused")
    page.wait_for_selector("#panel[open] .refusal")
    assert page.get_attribute("#panel .refusal a.btn", "href") == "#ask"


def test_a_locked_button_explains_itself(open_page: Callable[..., Any]) -> None:
    page = open_page("/gallery/")
    page.click("[data-opens=locked-sample]")
    assert page.locator("#locked-sample .refusal").is_visible()
    page.click("#locked-sample [data-closes]")
    until(lambda: not page.locator("#locked-sample").is_visible())


def test_copying(open_page: Callable[..., Any]) -> None:
    page = open_page("/gallery/")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    said = page.locator(".sha").first.get_attribute("title")
    page.evaluate("() => { const sha = document.querySelector('.sha'); sha.click(); sha.click(); }")
    until(lambda: "Copied" in (page.text_content("#toasts") or ""))
    sha = page.evaluate("() => navigator.clipboard.readText()")
    assert sha == "9f3c2ab17de04c58b1e6a2f4d7709c3e5a81b6cd"
    until(lambda: page.locator("[data-copied]").count() == 0, what="the word that it was copied to go")
    assert page.locator(".sha").first.get_attribute("title") == said
    page.click(".problem >> text=Copy all >> nth=0")
    until(lambda: page.evaluate("() => navigator.clipboard.readText()") != sha, what="the other text")
    text = page.evaluate("() => navigator.clipboard.readText()")
    assert text.startswith("Instance shop-api-7d9f-2 never became healthy")
    assert text.endswith("exit status 2")


def test_times_go_on_and_a_late_bar_says_so(open_page: Callable[..., Any]) -> None:
    page = open_page("/gallery/")
    running = page.locator(".duration[data-since]").first
    before = running.text_content()
    until(lambda: running.text_content() != before, what="the next second")
    late = page.locator(".bar.is-late").first
    assert "longer than usual" in (late.text_content() or "")
    assert "100 %" not in (late.text_content() or "")


def test_the_editor_lists_problems_as_one_types(open_page: Callable[..., Any]) -> None:
    page = open_page("/gallery/")
    until(lambda: "No problems found" in (page.text_content(".editor-verdict") or ""))
    page.evaluate(
        "() => { const e = document.querySelector('[data-editor]').editor.ace; e.gotoLine(2, 0); e.insert('broken\\n'); }"
    )
    until(lambda: "1 problems" in (page.text_content(".editor-verdict") or ""))
    assert "Line 2, column 1" in (page.text_content(".editor-problem") or "")
    assert "broken" in page.input_value(".editor-text")  # the form's own field is kept in step
    page.wait_for_selector(
        ".ace_gutter-cell.ace_error, .ace_gutter-cell .ace_error"
    )  # the editor draws in its own time
    page.wait_for_selector(".ace_string")
    coloured = page.evaluate("() => getComputedStyle(document.querySelector('.ace_string')).color")
    assert coloured != page.evaluate("() => getComputedStyle(document.querySelector('.ace_portal, .ace-portal')).color")


def test_a_phone_shows_a_table_as_cards(open_page: Callable[..., Any]) -> None:
    page = open_page("/gallery/", width=390)
    cell = page.locator(".grid-table td[data-label=State]").first
    assert cell.evaluate("(e) => getComputedStyle(e, '::before').content") == '"State"'
    assert page.locator(".grid-table tr").nth(1).evaluate("(e) => getComputedStyle(e).display") == "block"


def test_focus_is_always_seen(open_page: Callable[..., Any]) -> None:
    page = open_page("/gallery/")
    seen = 0
    for _ in range(25):
        page.keyboard.press("Tab")
        seen += page.evaluate(
            """() => { const s = getComputedStyle(document.activeElement);
            return s.boxShadow !== 'none' || s.outlineStyle !== 'none' ? 1 : 0; }"""
        )
    assert seen == 25
