"""One person cannot take a web process for themselves: so many logs and terminals each, and no more."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from fangduoduo_release.common.errors import TooMany
from fangduoduo_release.common.sockets.places import Places
from tests.common.sockets import serving
from tests.common.sockets.serving import Server

from .ground import Ground
from .test_logs import Viewer

call = sync_to_async(thread_sensitive=False)


@pytest.fixture(scope="module")
def server(open_database: None) -> Iterator[Server]:
    """One that lets each person have two of a kind."""
    yield from serving.running(serving.KINDS[0], FDD_STREAMS_PER_PERSON="2")


@pytest.mark.django_db(transaction=True)
async def test_the_one_too_many_is_told_and_the_others_go_on(
    terminal: Callable[..., Any], opened: Callable[..., Any], shop: Ground
) -> None:
    dev, other = await call(shop.member)("developer"), await call(shop.member)("developer")
    shells = [await terminal(shop, dev) for _ in range(2)]
    for at in shells:
        await at.until(lambda at=at: at.state == "open")
    late = await terminal(shop, dev)
    assert await late.code() == 4503
    assert late.statuses[-1]["state"] == "refused"
    assert "2 of these" in late.statuses[-1]["sentence"]
    path = f"/ws/services/{shop.service.pk}/logs/?"
    logs = [Viewer(await opened(path, dev)) for _ in range(3)]
    for log in logs[:2]:
        await log.until(lambda log=log: bool(log.others))
        assert log.others[0]["state"] == "open"
    assert await logs[2].code() == 4503
    assert json.dumps(logs[2].others[-1]).count("2 of these") == 1
    someone = await terminal(shop, other)
    await someone.until(lambda: someone.state == "open")
    await shells[0].type("exit\r")
    assert await shells[0].code() == 1000
    freed = await terminal(shop, dev)
    await freed.until(lambda: freed.state in {"open", "refused"})
    assert freed.state == "open"


def test_places_are_given_back_however_it_ends() -> None:
    places = Places()
    with pytest.raises(ValueError, match="stumbled"), places.one("ann", 1):
        raise ValueError("stumbled")
    with places.one("ann", 1), places.one("ben", 1):
        assert len(places) == 2
        with pytest.raises(TooMany), places.one("ann", 1):
            pass
        with places.one("ann", 0):
            assert len(places) == 3
    assert len(places) == 0
