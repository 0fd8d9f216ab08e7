"""Logs of services on this host are followed as those of any other; terminals they have none."""

from __future__ import annotations

import asyncio

import pytest

from clusters.drivers.runtime.base import LogLine, LogQuery
from clusters.drivers.runtime.local.flow import LocalStreams
from fangduoduo_release.common.errors import Rejected
from tests.clusters.drivers.conftest import Place

pytestmark = pytest.mark.slow


async def test_lines_are_followed_over_a_replacement_and_none_comes_twice(place: Place) -> None:
    await asyncio.to_thread(place.deploy, "one")
    streams = LocalStreams(place.runtime)
    lines = streams.follow(place.service, LogQuery(tail=1000))
    got: list[LogLine] = []

    async def take() -> None:
        async for line in lines:
            got.append(line)

    taking = asyncio.create_task(take())
    await asyncio.to_thread(place.deploy, "two")
    names = {one.name for one in (await asyncio.to_thread(place.instances)).instances}
    async with asyncio.timeout(60):
        while not names <= {line.instance for line in got}:
            await asyncio.sleep(0.05)
    wanted = (await asyncio.to_thread(place.runtime.logs, place.service, LogQuery(tail=5000))).lines
    async with asyncio.timeout(60):
        while not {(line.instance, line.at, line.data) for line in wanted} <= {
            (line.instance, line.at, line.data) for line in got
        }:
            await asyncio.sleep(0.05)
    assert len(got) == len({(line.instance, line.at, line.data, line.stream) for line in got})
    taking.cancel()


async def test_the_run_before_is_given_and_then_it_ends(place: Place) -> None:
    await asyncio.to_thread(place.deploy, "one")
    async with asyncio.timeout(60):
        assert [line async for line in LocalStreams(place.runtime).follow(place.service, LogQuery(previous=True))] == []


def test_a_terminal_is_refused_with_a_sentence(place: Place) -> None:
    with pytest.raises(Rejected, match="no terminal"):
        LocalStreams(place.runtime).seat((), "any")
