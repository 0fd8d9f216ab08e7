"""Pages about oneself in a real browser: a token is made and shown once, another browser is signed out, a lock is said."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from .visitor import Visitor

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(1800)]
PAGES = ("/me/", "/me/tokens/", "/me/sessions/", "/me/password/", "/service-accounts/")


def test_a_token_is_made_with_scopes_and_shown_once(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    page = visitor.sign_in("guest")
    visitor.open("/me/tokens/")
    page.fill("#token-name", "night build")
    page.check("[value=chosen]")
    page.check("[name=scopes][value=build]")
    page.click("main form.token-form button")
    text = page.locator(".card-made code").inner_text()
    assert re.fullmatch(r"fdd_[0-9a-f]{10}_[\w-]{40,}", text)
    row = page.locator("tr", has_text="night build").first
    assert "build" in row.inner_text()
    assert "Works" in row.inner_text()
    visitor.open("/me/tokens/")
    assert text not in page.content()
    page.locator("tr", has_text="night build").first.locator("button").click()
    page.locator("tr", has_text="Revoked").first.wait_for()


def test_another_browser_is_seen_and_ended(visit: Callable[..., Visitor]) -> None:
    here, there = visit(), visit(width=390)
    here.sign_in("guest")
    there.sign_in("guest")
    there.open("/builds/")
    page = here.open("/me/sessions/")
    page.locator(".session").nth(1).wait_for()
    other = page.locator(".session:not(.session-here)")
    for _ in range(other.count()):
        with page.expect_navigation():
            page.locator(".session:not(.session-here) button").first.click()
    assert page.locator(".session").count() == 1
    assert "this browser" in page.locator(".session").inner_text()
    there.page.reload()
    there.page.wait_for_url("**/sign-in/**")
    assert here.open("/me/").locator("h1").inner_text() == "Guest"
    there.complaints.clear()  # its live connection was closed, as it should be


def test_the_tabs_lead_through_all_of_them_and_nothing_sticks_out(visit: Callable[..., Visitor]) -> None:
    for width, theme, language in ((1280, "light", "en"), (390, "dark", "en"), (390, "light", "zh-hans")):
        visitor = visit(width=width, theme=theme, language=language)
        page = visitor.sign_in("ops")
        visitor.open("/me/")
        addresses = [link.get_attribute("href") for link in page.locator(".tabs a").all()]
        assert [address for address in addresses if address != "/me/notifications/"] == list(PAGES)
        for address in addresses:
            visitor.open(address)
            assert page.locator(".tabs a[aria-current=page]").get_attribute("href") == address
            assert visitor.overflow() <= 0, (address, width)


def test_a_locked_door_says_so_and_when_to_come_again(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    for _ in range(6):
        page = visitor.open("/sign-in/")
        page.fill("[name=username]", "somebody")
        page.fill("[name=password]", "wrong")
        page.press("[name=password]", "Enter")
        page.locator(".sign-in-error").wait_for()
    said = page.locator(".sign-in-error").inner_text()
    assert "Too many wrong passwords" in said
    assert "15 min" in said
    assert page.input_value("[name=username]") == "somebody"
    assert [said for said in visitor.complaints if "429" not in said] == []
    visitor.complaints.clear()
