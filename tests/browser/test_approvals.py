"""Three people and a guarded machine: dev asks, two others agree with one click each, and a freeze is seen in advance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.portal import Portal
from tests.waiting import until

from .visitor import PATIENCE_S, Visitor

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(1800)]
PROJECT, MACHINE = "guarded", "guarded-prod"
DAILY = {
    "name": "Every day", "reason": "Looked at by a test", "machines": ["guarded-frozen"], "timezone": "Asia/Shanghai",
    "kind": "weekly", "weekdays": list(range(7)), "start_time": "00:00", "duration_minutes": 1440,
}  # fmt: skip


def told(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def site(house: Portal) -> Iterator[dict[str, httpx.Client]]:
    """A project of dev's with a version, a machine that two others guard, and one that is frozen."""
    with house.api("dev") as dev, house.api("ops") as ops:
        told(dev.post("/api/projects/", json={"slug": PROJECT, "name": "Guarded", "starter": "python-http"}))
        told(dev.post(f"/api/projects/{PROJECT}/members/", json={"user": "guest", "role": "maintainer"}))
        guard = {"needed": 2, "role": "maintainer"}
        for name, approval in ((MACHINE, guard), ("guarded-frozen", {"needed": 0})):
            body = {"name": name, "cluster": "local", "environment": "production", "approval": approval}
            told(ops.post("/api/machines/", json=body))
            told(ops.put(f"/api/projects/{PROJECT}/machines/{name}/"))
        told(ops.post("/api/freezes/", json=DAILY))
        told(dev.post(f"/api/projects/{PROJECT}/builds/", json={}))
        versions = f"/api/projects/{PROJECT}/versions/"
        until(lambda: told(dev.get(versions))["results"], timeout=PATIENCE_S, every=0.3, what="a version")
        yield {"dev": dev, "ops": ops}


def asked(site: dict[str, httpx.Client]) -> str:
    """A deployment that waits; its address."""
    made = told(site["dev"].post(f"/api/projects/{PROJECT}/deployments/", json={"machine": MACHINE}))
    assert made["state"] == "awaiting_approval"
    return f"/deployments/{made['id']}/"


def test_dev_asks_and_two_others_agree_with_one_click_each(
    visit: Callable[..., Visitor], site: dict[str, httpx.Client]
) -> None:
    dev = visit()
    dev.sign_in("dev")
    dev.open(f"/projects/{PROJECT}/")
    dev.click(f"#m-{MACHINE} [hx-get*='action=deploy']")
    dev.sees("others must approve: 2", "#panel")
    dev.click("#panel [data-confirm]")
    dev.page.wait_for_url("**/deployments/*/")
    dev.sees("Waits for 2 approvals.")
    dev.sees("somebody else must decide")
    assert dev.page.locator("[data-approve]").count() == 0
    where = dev.page.url.removeprefix(dev.portal.url)

    guest = visit(width=390, theme="dark")
    guest.sign_in("guest")
    guest.sees("dev asks for your approval")
    guest.open(where)
    assert guest.overflow() <= 0
    guest.counted()
    guest.click("[data-approve]")
    guest.sees("1 of 2 approved")
    assert guest.counted() == 1
    dev.sees("1 of 2 approved")  # nothing was reloaded

    ops = visit()
    ops.open(where)  # the link of a notification: first the sign-in, then the page it names
    ops.page.fill("[name=username]", "ops")
    ops.page.fill("[name=password]", ops.portal.credentials()["users"]["ops"])
    ops.page.press("[name=password]", "Enter")
    ops.page.wait_for_url(f"**{where}")
    ops.page.fill("#approval-note", "good to go")
    ops.click("[data-approve]")
    dev.page.locator("[data-state=succeeded]").first.wait_for()
    dev.sees("good to go")


def test_a_no_with_its_reason_calls_it_off(visit: Callable[..., Visitor], site: dict[str, httpx.Client]) -> None:
    where = asked(site)
    guest = visit(language="zh-hans")
    guest.sign_in("guest")
    guest.open(where)
    guest.page.fill("#approval-note", "not on a Friday")
    guest.click("[data-reject]")
    guest.page.locator("[data-state=cancelled]").first.wait_for()
    guest.sees("not on a Friday")


def test_what_one_types_survives_when_the_page_changes_by_itself(
    visit: Callable[..., Visitor], site: dict[str, httpx.Client]
) -> None:
    where = asked(site)
    guest = visit()
    guest.sign_in("guest")
    guest.open(where)
    guest.page.locator("#approval-note").type("half a sent")
    told(site["ops"].post(f"/api{where}approve/", json={"note": "first"}))
    guest.sees("1 of 2 approved")
    assert guest.page.input_value("#approval-note") == "half a sent"
    told(site["dev"].post(f"/api{where}cancel/"))


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_a_freeze_is_seen_before_the_click(
    visit: Callable[..., Visitor], site: dict[str, httpx.Client], width: int, theme: str
) -> None:
    dev = visit(width=width, theme=theme)
    dev.sign_in("dev")
    dev.open(f"/projects/{PROJECT}/")
    assert dev.page.get_attribute("#m-guarded-frozen [data-freeze]", "data-freeze") == "now"
    dev.click("#m-guarded-frozen [hx-get*='action=deploy']")
    dev.sees("guarded-frozen is frozen until", "#panel")
    assert dev.page.locator("#panel [data-confirm]").count() == 0
    for path in ("/freezes/", "/machines/"):
        dev.open(path)
        dev.sees("Every day" if path == "/freezes/" else "frozen until")
        assert dev.overflow() <= 0, path
