"""A person at the portal: signs in, clicks (and counts the clicks), and notes whatever the browser complains about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.portal import Portal
from tests.waiting import until

WATCH_POLICY = """document.addEventListener("securitypolicyviolation",
  (e) => console.error(`CSP: ${e.violatedDirective} blocked ${e.blockedURI}`));"""
PATIENCE_S = 300.0  # bounds a hang: how quick pages are, benchmarks measure


class Visitor:
    """One browser context. `complaints`: errors of scripts, of the policy and of addresses that could not be loaded."""

    def __init__(
        self, browser: Any, portal: Portal, *, width: int = 1280, language: str = "en", theme: str = "light"
    ) -> None:
        self.portal = portal
        self.clicks = 0
        self.complaints: list[str] = []
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        self.context.set_default_timeout(PATIENCE_S * 1000)
        self.context.add_init_script(WATCH_POLICY)
        cookies = {"django_language": language, "fdd_theme": theme}
        self.context.add_cookies([{"name": k, "value": v, "url": portal.url} for k, v in cookies.items()])
        self.page = self.context.new_page()
        self.page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("response", lambda got: got.status >= 400 and self.complaints.append(f"{got.status} {got.url}"))

    def open(self, path: str) -> Any:
        self.page.goto(self.portal.url + path)
        return self.page

    def sign_in(self, name: str = "dev") -> Any:
        """As that person of the sample, through the form; ends on the home page."""
        self.open("/sign-in/")
        self.page.fill("[name=username]", name)
        self.page.fill("[name=password]", self.portal.credentials()["users"][name])
        self.page.press("[name=password]", "Enter")
        self.page.wait_for_url(self.portal.url + "/")
        return self.page

    def click(self, what: str) -> None:
        """One click on the first thing that matches, counted."""
        self.clicks += 1
        self.page.locator(what).first.click()

    def counted(self) -> int:
        """Clicks since the last time this was asked."""
        clicks, self.clicks = self.clicks, 0
        return clicks

    def sees(self, words: str, where: str = "main") -> None:
        """Waits until `words` stand in `where`; nothing is reloaded. Raises playwright's TimeoutError."""
        self.page.locator(where).filter(has_text=words).first.wait_for()

    def until(self, check: Callable[[], object], what: str) -> None:
        """Waits until `check` answers something true, while the browser goes on telling what happens in it."""
        until(lambda: (self.page.wait_for_timeout(20), check())[1], timeout=PATIENCE_S, what=what)

    def overflow(self) -> int:
        """Pixels that stick out on the right."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
