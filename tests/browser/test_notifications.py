"""A person adds a webhook, presses “Send a test” and sees it arrive, without reloading; on a phone, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.simulators.receiver import Receiver, Reply

from .visitor import Visitor

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(1800)]
ME = "/me/notifications/"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    with made.serving():
        yield made


def add(visitor: Visitor, path: str, name: str, address: str) -> None:
    page = visitor.open(path)
    if not page.locator("[name=kind]").is_visible():
        page.locator("#channels summary").click()
    page.select_option("[name=kind]", "webhook")
    page.fill("[name=name]", name)
    page.fill("[name=address]", address)
    page.locator("#channels form .btn-primary").click()
    visitor.sees("it is shown this once")


def test_a_test_is_seen_to_arrive(visit: Callable[..., Visitor], receiver: Receiver) -> None:
    visitor = visit()
    visitor.sign_in("dev")
    add(visitor, ME, "my program", f"{receiver.url}/hook-key-71")
    visitor.open(ME)
    visitor.page.locator("[data-channel]", has_text="my program").get_by_role("button", name="Send a test").click()
    visitor.page.locator("#deliveries [data-delivery=sent]", has_text="This is a test").first.wait_for()
    assert "test" in [post.json["event"] for post in receiver.posts]  # its owner may have other news at this moment
    assert "hook-key-71" not in visitor.page.content()


def test_why_a_test_did_not_arrive_is_on_the_page(visit: Callable[..., Visitor], receiver: Receiver) -> None:
    receiver.reply = Reply(403, b"wrong signature")
    visitor = visit()
    visitor.sign_in("dev")
    add(visitor, "/projects/sample/channels/", "strict", f"{receiver.url}/strict")
    visitor.open("/projects/sample/channels/")
    visitor.page.locator("[data-channel]", has_text="strict").get_by_role("button", name="Send a test").click()
    failed = visitor.page.locator("#deliveries [data-delivery=failed]").first
    failed.wait_for()
    failed.locator("summary").click()
    visitor.sees("wrong signature", "#deliveries")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_fit(visit: Callable[..., Visitor], width: int, theme: str) -> None:
    visitor = visit(width=width, theme=theme)
    visitor.sign_in("dev")
    for path in (ME, "/projects/sample/channels/", "/projects/sample/settings/"):
        visitor.open(path)
        assert visitor.overflow() <= 0, path


def test_the_way_there_is_in_the_menu(visit: Callable[..., Visitor]) -> None:
    visitor = visit()
    visitor.sign_in("dev")
    visitor.click("#user-menu summary")
    visitor.click("#user-menu a[href='/me/notifications/']")
    visitor.sees("Notifications", "h1")
