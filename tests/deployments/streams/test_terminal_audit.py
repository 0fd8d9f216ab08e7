"""A real terminal that cannot be written down, or that one may not open, asks no cluster for a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from fangduoduo_release.audit import guard
from fangduoduo_release.audit.models import AuditEntry, AuditHead
from permissions.models import User

from .ground import Ground

pytestmark = pytest.mark.django_db(transaction=True)
call = sync_to_async(thread_sensitive=False)
Open = Callable[..., Any]


@pytest.fixture
def dev(shop: Ground) -> User:
    return shop.member("developer")


def execs(at: Ground) -> int:
    return len(at.rig.requests.lines("/exec"))


@contextmanager
def broken_chain() -> Iterator[None]:
    """The head of the audit's chain bears a signature that is not ours."""
    known = AuditHead.objects.get()
    with guard.open_door():
        AuditHead.objects.update(signature="0" * 64)
    try:
        yield
    finally:
        with guard.open_door():
            AuditHead.objects.update(signature=known.signature)


async def test_what_cannot_be_written_down_is_not_begun_and_says_so(terminal: Open, shop: Ground, dev: User) -> None:
    before = execs(shop)
    broken = broken_chain()
    await call(broken.__enter__)()
    try:
        at = await terminal(shop, dev, f"instance={shop.pods[0]}")
        assert await at.code() == 4502
    finally:
        await call(broken.__exit__)(None, None, None)
    assert [one["state"] for one in at.statuses] == ["refused"]
    assert at.statuses[0]["code"] == "audit_broken"
    assert at.text == b""
    assert execs(shop) == before
    at = await terminal(shop, dev, f"instance={shop.pods[0]}")  # and as soon as it can be
    await at.until(lambda: at.state == "open")
    assert execs(shop) == before + 1


async def test_for_who_may_not_no_program_is_asked_for(terminal: Open, shop: Ground) -> None:
    before = execs(shop)
    viewer = await call(shop.member)("viewer")
    for person, code in ((None, 4401), (viewer, 4403)):
        assert await (await terminal(shop, person, f"instance={shop.pods[0]}")).code() == code
    assert execs(shop) == before
    assert not await call(
        AuditEntry.objects.filter(verb__startswith="service.terminal", actor=viewer.username).exists
    )()


async def test_an_instance_of_somebody_else_is_none_of_the_services(
    terminal: Open, shop: Ground, live: Ground, dev: User
) -> None:
    """Also when its name is known: the pod must be the service's own."""
    before = execs(shop)
    at = await terminal(shop, dev, f"instance={live.pods[0]}&container=app")
    assert await at.code() == 4404
    assert live.pods[0] in at.statuses[-1]["sentence"]
    assert execs(shop) == before
    rows = AuditEntry.objects.filter(verb__startswith="service.terminal", object_id=str(shop.service.pk))
    found = await call(list)(rows.order_by("pk"))
    assert [row.verb for row in found] == ["service.terminal", "service.terminal_closed"]
    assert found[0].after == {"instance": live.pods[0], "container": "app"}
