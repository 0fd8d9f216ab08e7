"""What followed logs and terminals do when time passes, on servers that wait for a moment where others wait for long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from fangduoduo_release.common.actor import SYSTEM
from permissions.models import User
from projects.actions import revoke_machine
from tests.common.sockets import serving
from tests.common.sockets.serving import Server

from .ground import NAMESPACE, Ground
from .test_logs import Viewer

pytestmark = pytest.mark.django_db(transaction=True)
call = sync_to_async(thread_sensitive=False)
Open = Callable[..., Any]
IMPATIENT = {"FDD_SOCKET_PATIENCE_S": "2", "FDD_SOCKET_RECHECK_S": "1", "FDD_TERMINAL_IDLE_S": "61"}


@pytest.fixture(scope="module", params=serving.KINDS)
def server(request: pytest.FixtureRequest, open_database: None) -> Iterator[Server]:
    yield from serving.running(request.param, **IMPATIENT)


@pytest.fixture
def dev(shop: Ground) -> User:
    return shop.member("developer")


async def test_who_takes_no_lines_is_left(opened: Open, shop: Ground, dev: User) -> None:
    at = Viewer(await opened(f"/ws/services/{shop.service.pk}/logs/", dev), acks=False)
    await at.until(lambda: len(at.news) == 2)
    await call(shop.rig.say)(NAMESPACE, shop.pods[0], ["x" * 1000 for _ in range(2000)], "app")
    assert await at.code() == 4408


async def test_who_reads_nothing_is_left_and_costs_no_memory(
    terminal: Open, server: Server, shop: Ground, dev: User
) -> None:
    silent = [await terminal(shop, dev, acks=False) for _ in range(5)]
    for at in silent:
        await at.until(lambda at=at: at.state == "open")
    before = server.memory()
    for at in silent:
        await at.type("yes\r")
    codes = await asyncio.gather(*(at.code() for at in silent))
    assert set(codes) == {4408}
    assert server.memory() - before < 25


async def test_nobody_types_for_long_and_is_warned(terminal: Open, shop: Ground, dev: User) -> None:
    """The server's patience is 61 s here, and it warns a minute before its end."""
    at = await terminal(shop, dev)
    await at.until(lambda: at.state == "idle")
    assert 0 < at.statuses[-1]["closes_in_s"] <= 60
    await at.type("\r")
    await at.until(lambda: [one["state"] for one in at.statuses].count("idle") == 2)


async def test_without_a_grant_for_the_machine_nobody_gets_in(terminal: Open, live: Ground) -> None:
    keeper = await call(live.member)("maintainer")
    at = await terminal(live, keeper)
    await at.until(lambda: at.state == "open")
    await call(revoke_machine)(actor=SYSTEM, project=live.project, machine=live.machine)
    assert await at.code() == 4403  # the open one too, at the next question
    assert at.state == "refused"
    again = await terminal(live, keeper)
    assert await again.code() == 4403
    assert "grant" in again.statuses[-1]["sentence"]
