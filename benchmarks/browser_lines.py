"""When lines of a growing log stand in the page, as chromium sees it. Knows the page's address and its log's rows."""

from __future__ import annotations

import shutil
from typing import Any

from tests.portal import Portal
from tests.waiting import until

# Every row that appears is looked at once; its own clock is the machine's.
WATCH = """() => {
  window.late = new Map();
  const look = () => {
    for (const found of document.querySelector("[data-log-rows]").textContent.matchAll(/line (\\d+) stamp (\\d{13})/g))
      if (!window.late.has(found[1])) window.late.set(found[1], Date.now() - Number(found[2]));
  };
  new MutationObserver(look).observe(document.querySelector("[data-log-rows]"), {childList: true, subtree: true, characterData: true});
}"""


def lines_in_browser(portal: Portal, build: int, lines: int) -> tuple[list[float], str]:
    """Milliseconds from print to DOM of the lines printed after the page was open, or why there are none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        return [], "this machine has no chromium"
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a development package
    except ImportError:
        return [], "playwright is not installed"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            return watched(chromium.new_page(), portal, build, lines), ""
        finally:
            chromium.close()


def watched(page: Any, portal: Portal, build: int, lines: int) -> list[float]:
    page.goto(f"{portal.url}/sign-in/?next=/builds/{build}/")
    page.fill("input[name=username]", "dev")
    page.fill("input[name=password]", portal.credentials()["users"]["dev"])
    page.press("input[name=password]", "Enter")
    page.wait_for_selector("[data-log-rows]", state="attached")
    page.evaluate(WATCH)
    # Asked from here: the page's security policy lets nothing be evaluated in it by a timer of its own.
    until(lambda: page.evaluate(f"window.late.has('{lines - 1}')"), timeout=90, every=0.5, what="the last line")
    late = page.evaluate("[...window.late.entries()].map(([line, ms]) => [Number(line), ms])")
    first = min(line for line, _ in late)
    # Lines that stood there before the page was open came with it, and not one by one.
    return [ms for line, ms in late if line > first + 1]
