"""Followed logs: merged, in order, across cuts, restarts and replacement; no line twice, none left out, none kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from clusters.drivers.runtime.base import LogLine, LogQuery, ServiceRef
from clusters.drivers.runtime.kubernetes.containers import main_container, sights
from clusters.drivers.runtime.kubernetes.flow import KubernetesStreams
from clusters.drivers.runtime.kubernetes.log_lines import PIECE, Had, Splitter, Stamped, moment, nanoseconds
from clusters.drivers.runtime.streams import ALL, AWAY, BACK, JOINED, LEFT, NEWS, RESTARTED
from fangduoduo_release.common.errors import NotFound, Rejected, Unavailable

from .log_server import START, Kubelet, kubelet

SHOP = ServiceRef("11111111-1111-1111-1111-111111111111")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter waits than in earnest; nothing else is changed."""
    monkeypatch.setattr("clusters.drivers.runtime.kubernetes.follow.LOOK_S", 0.05)
    monkeypatch.setattr("clusters.drivers.runtime.kubernetes.follow.FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr("clusters.drivers.runtime.kubernetes.follow.LONGEST_PAUSE_S", 0.2)


@pytest.fixture
async def server() -> AsyncIterator[Kubelet]:
    async with kubelet() as made:
        yield made


class Reader:
    """Takes lines until it has what it waits for."""

    def __init__(self, server: Kubelet, query: LogQuery | None = None) -> None:
        streams = KubernetesStreams(server.access, server.pods)
        self.lines = streams.follow(SHOP, query or LogQuery())
        self.got: list[LogLine] = []

    async def until(self, check: Callable[[], bool], timeout: float = 60) -> None:
        async with asyncio.timeout(timeout):
            while not check():
                self.got.append(await anext(self.lines))

    async def rest(self) -> None:
        async with asyncio.timeout(60):
            async for line in self.lines:
                self.got.append(line)

    async def close(self) -> None:
        await self.lines.aclose()  # type: ignore[attr-defined]

    @property
    def texts(self) -> list[str]:
        return [line.data.decode() for line in self.got if line.stream != NEWS]

    @property
    def news(self) -> list[tuple[str, bytes]]:
        return [(line.instance, line.data) for line in self.got if line.stream == NEWS]

    def of(self, instance: str) -> list[str]:
        return [line.data.decode() for line in self.got if line.stream != NEWS and line.instance == instance]


def numbered(name: str, first: int, last: int) -> list[str]:
    return [f"{name} {number}" for number in range(first, last)]


async def test_the_last_lines_of_all_pods_come_in_order_of_time_and_then_what_is_written(server: Kubelet) -> None:
    server.start("shop-a")
    server.start("shop-b")
    for number in range(20):
        server.write(f"shop-{'ab'[number % 2]}", f"line {number}")
    reader = Reader(server, LogQuery(tail=7))
    await reader.until(lambda: len(reader.texts) == 7)
    assert reader.texts == numbered("line", 13, 20)
    assert [line.instance for line in reader.got] == [f"shop-{'ab'[number % 2]}" for number in range(13, 20)]
    assert reader.got[0].at == moment(START + 14 * 1_000_000)
    server.write("shop-b", "line 20")
    await reader.until(lambda: len(reader.texts) == 8)
    server.write("shop-a", "line 21")
    await reader.until(lambda: len(reader.texts) == 9)
    assert reader.texts == numbered("line", 13, 22)
    await reader.close()


async def test_a_stream_cut_again_and_again_loses_and_repeats_nothing(server: Kubelet) -> None:
    server.start("shop-a")
    server.start("shop-b")
    server.write("shop-a", *numbered("a", 0, 50))
    reader = Reader(server, LogQuery(tail=10))
    await reader.until(lambda: len(reader.news) == 2)
    for round_ in range(1, 16):
        server.write("shop-a", *numbered("a", round_ * 50, round_ * 50 + 50))
        server.write("shop-b", *numbered("b", round_ * 50 - 50, round_ * 50))
        if round_ % 3:
            await reader.until(lambda: len(reader.got) % 7 == 6)
        server.cut()
        server.write("shop-a", f"between {round_}")
        await reader.until(lambda mark=f"between {round_}": mark in reader.texts)
    await reader.until(lambda: len(reader.of("shop-b")) == 750)
    begun = reader.of("shop-a").index("a 50")
    wanted: list[str] = []
    for round_ in range(1, 16):
        wanted += [*numbered("a", round_ * 50, round_ * 50 + 50), f"between {round_}"]
    assert reader.of("shop-a")[begun:] == wanted
    assert reader.of("shop-b") == numbered("b", 0, 750)
    await reader.close()


async def test_equal_lines_within_a_second_stay_as_many_as_they_were(server: Kubelet) -> None:
    server.step = 0  # also at the very same nanosecond
    server.start("shop-a")
    server.write("shop-a", "same", "same", "same", "other")
    reader = Reader(server, LogQuery(tail=2))
    await reader.until(lambda: len(reader.texts) == 2)
    server.cut()
    server.write("shop-a", "same", "other", "new")
    await reader.until(lambda: "new" in reader.texts)
    assert reader.texts[:2] == ["same", "other"]
    assert reader.texts[-1] == "new"
    await reader.close()


async def test_a_restarted_container_is_followed_on_and_its_last_words_are_had(server: Kubelet) -> None:
    server.start("shop-a")
    server.write("shop-a", "one")
    reader = Reader(server)
    await reader.until(lambda: ("shop-a", JOINED) in reader.news)
    server.write("shop-a", "two")
    await reader.until(lambda: "two" in reader.texts)
    server.write("shop-a", "panic")
    server.restart("shop-a")
    server.write("shop-a", "born again")
    await reader.until(lambda: "born again" in reader.texts)
    assert reader.texts == ["one", "two", "panic", "born again"]
    await reader.until(lambda: ("shop-a", RESTARTED) in reader.news)
    await reader.close()


async def test_what_was_written_before_a_restart_while_nobody_could_read_is_not_lost(server: Kubelet) -> None:
    server.start("shop-a")
    server.write("shop-a", "one")
    reader = Reader(server)
    await reader.until(lambda: reader.texts == ["one"] and ("shop-a", JOINED) in reader.news)
    server.refuse = 503
    server.cut()
    server.write("shop-a", "two", "panic")
    server.restart("shop-a")
    server.write("shop-a", "born again")
    await reader.until(lambda: ("", AWAY) in reader.news)
    server.refuse = 0
    await reader.until(lambda: {"panic", "born again"} <= set(reader.texts))
    assert [text for text in reader.texts if text != "born again"] == ["one", "two", "panic"]
    await reader.until(lambda: ("", BACK) in reader.news)
    await reader.close()


async def test_last_words_are_had_also_when_the_rows_were_late(server: Kubelet) -> None:
    server.start("shop-a")
    server.write("shop-a", "one")
    reader = Reader(server)
    await reader.until(lambda: reader.texts == ["one"])  # and nobody reads on yet
    server.write("shop-a", "two", "panic")
    server.restart("shop-a", seen=False)
    server.write("shop-a", "born again")
    await reader.until(lambda: "born again" in reader.texts)
    assert "panic" not in reader.texts  # it took the new run for the old one
    server.see("shop-a")
    await reader.until(lambda: "panic" in reader.texts)
    server.write("shop-a", "later")
    await reader.until(lambda: "later" in reader.texts)
    assert reader.texts == ["one", "born again", "two", "panic", "later"]
    await reader.close()


async def test_a_container_that_crashes_all_the_time_is_waited_for_and_not_asked_all_the_time(server: Kubelet) -> None:
    server.start("shop-a")
    server.write("shop-a", "boom")
    server.end("shop-a")
    reader = Reader(server)
    await reader.until(lambda: ("shop-a", JOINED) in reader.news)
    with pytest.raises(TimeoutError):
        await reader.until(lambda: False, timeout=1)
    assert len(server.requests) <= 3
    reader = Reader(server)
    await reader.until(lambda: ("shop-a", JOINED) in reader.news)
    server.restart("shop-a")
    server.write("shop-a", "boom again")
    await reader.until(lambda: reader.texts == ["boom", "boom again"])
    await reader.close()


async def test_pods_that_come_and_go_during_a_roll_out(server: Kubelet) -> None:
    server.start("shop-old")
    server.write("shop-old", "old")
    reader = Reader(server)
    await reader.until(lambda: reader.texts == ["old"])
    server.start("shop-new", begun=False)
    server.runs["shop-new", "app"][-1].begun = True
    server.write("shop-new", "new 1")
    server.see("shop-new")
    await reader.until(lambda: "new 1" in reader.texts)
    server.write("shop-old", "goodbye")
    await reader.until(lambda: "goodbye" in reader.texts)
    server.remove("shop-old")
    await reader.until(lambda: ("shop-old", LEFT) in reader.news)
    server.write("shop-new", "new 2")
    await reader.until(lambda: "new 2" in reader.texts)
    assert [who for who, what in reader.news if what == JOINED] == ["shop-old", "shop-new"]
    asked = len(server.requests)
    with pytest.raises(TimeoutError):
        await reader.until(lambda: False, timeout=0.5)
    assert len(server.requests) == asked  # nobody asks for the pod that is gone, nor anything by polling


async def test_a_stateful_pod_that_comes_again_under_its_name(server: Kubelet) -> None:
    server.start("shop-0")
    server.write("shop-0", "first life")
    reader = Reader(server)
    await reader.until(lambda: reader.texts == ["first life"])
    server.remove("shop-0")
    await reader.until(lambda: ("shop-0", LEFT) in reader.news)
    server.start("shop-0")
    server.write("shop-0", "second life")
    await reader.until(lambda: reader.texts == ["first life", "second life"])
    await reader.close()


async def test_one_instance_one_container_and_all_containers(server: Kubelet) -> None:
    server.start("shop-a", "app", "proxy")
    server.start("shop-b", "app", "proxy")
    for pod in ("shop-a", "shop-b"):
        server.write(pod, f"{pod} app")
        server.write(pod, f"{pod} proxy", container="proxy")
    main = Reader(server)
    await main.until(lambda: len(main.texts) == 2)
    assert main.texts == ["shop-a app", "shop-b app"]
    one = Reader(server, LogQuery(instance="shop-b", container="proxy"))
    await one.until(lambda: len(one.texts) == 1)
    assert (one.texts, one.got[0].container) == (["shop-b proxy"], "proxy")
    every = Reader(server, LogQuery(container=ALL))
    await every.until(lambda: len(every.texts) == 4)
    for reader in (main, one, every):
        await reader.close()
    with pytest.raises(NotFound, match="no container"):
        await Reader(server, LogQuery(container="nope")).rest()
    with pytest.raises(NotFound, match="no instance"):
        await Reader(server, LogQuery(instance="shop-z")).rest()


async def test_the_run_before_is_given_and_then_it_ends(server: Kubelet) -> None:
    server.start("shop-a")
    server.write("shop-a", "one", "panic")
    server.restart("shop-a")
    server.write("shop-a", "born again")
    server.start("shop-b")  # has no run before
    reader = Reader(server, LogQuery(previous=True))
    await reader.rest()
    assert reader.texts == ["one", "panic"]


async def test_since_leaves_out_what_is_older_also_after_a_cut(server: Kubelet) -> None:
    server.start("shop-a")
    server.write("shop-a", "old")
    server.clock += 10 * 10**9
    server.write("shop-a", "young")
    since = datetime.fromtimestamp(START // 10**9, UTC) + timedelta(seconds=5)
    reader = Reader(server, LogQuery(since=since))
    await reader.until(lambda: reader.texts == ["young"])
    server.cut()
    server.write("shop-a", "younger")
    await reader.until(lambda: reader.texts == ["young", "younger"])
    await reader.close()
    nothing = Reader(server, LogQuery(since=since + timedelta(hours=1)))
    await nothing.until(lambda: ("shop-a", JOINED) in nothing.news)
    server.clock += 3600 * 10**9
    server.write("shop-a", "later")
    await nothing.until(lambda: bool(nothing.texts))
    assert nothing.texts == ["later"]
    await nothing.close()


async def test_long_lines_come_in_pieces(server: Kubelet) -> None:
    server.start("shop-a")
    text = "x" * (3 * PIECE + 5)
    server.write("shop-a", text, "short")
    reader = Reader(server)
    await reader.until(lambda: "short" in reader.texts)
    assert [(len(line.data), line.partial) for line in reader.got] == [
        (PIECE, True),
        (PIECE, True),
        (PIECE, True),
        (5, False),
        (5, False),
    ]
    server.write("shop-a", "y" * 2_000_000)
    await reader.until(lambda: len("".join(reader.texts)) == len(text) + 5 + 2_000_000)
    assert max(len(line.data) for line in reader.got) == PIECE
    await reader.close()


async def test_who_reads_slowly_holds_the_server_back_and_loses_nothing(server: Kubelet) -> None:
    server.start("shop-a")
    reader = Reader(server)
    await reader.until(lambda: ("shop-a", JOINED) in reader.news)
    lines = [f"{number:06d} " + "x" * 1993 for number in range(20_000)]
    before = psutil.Process().memory_info().rss
    server.write("shop-a", *lines)
    seen = 0
    while server.sent != seen or not server.sent:
        seen = server.sent
        await asyncio.sleep(0.3)
    assert server.sent < 20_000_000  # of 40 MB: the rest waits at the server
    assert psutil.Process().memory_info().rss - before < 60 * 1024 * 1024  # the lines themselves are 40 of them
    await reader.until(lambda: len(reader.got) == 20_001, timeout=240)
    assert reader.texts == lines
    await reader.close()


@pytest.mark.parametrize(("code", "error"), [(401, Rejected), (403, Rejected), (500, Unavailable), (429, Unavailable)])
async def test_a_server_that_refuses_at_first_is_told(server: Kubelet, code: int, error: type[Exception]) -> None:
    server.start("shop-a")
    server.refuse = code
    with pytest.raises(error):
        await Reader(server).rest()


async def test_a_right_taken_away_ends_the_following_with_its_reason(server: Kubelet) -> None:
    server.start("shop-a")
    reader = Reader(server)
    await reader.until(lambda: ("shop-a", JOINED) in reader.news)
    server.refuse = 403
    server.cut()
    with pytest.raises(Rejected, match="may not"):
        await reader.rest()


async def test_nobody_reads_on_after_the_reader_has_gone(server: Kubelet) -> None:
    server.start("shop-a")
    reader = Reader(server)
    await reader.until(lambda: ("shop-a", JOINED) in reader.news)
    tasks = len(asyncio.all_tasks())
    await reader.close()
    async with asyncio.timeout(60):
        while len(asyncio.all_tasks()) >= tasks:
            await asyncio.sleep(0.01)
    asked = len(server.requests)
    server.cut()
    await asyncio.sleep(0.3)
    assert len(server.requests) == asked


# -- the pure parts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stamp", "ns"),
    [
        (b"2026-11-23T08:25:05.931198726Z", 1795422305_931198726),
        (b"2026-11-23T08:25:05.9Z", 1795422305_900000000),
        (b"2026-11-23T08:25:05Z", 1795422305_000000000),
        (b"2026-11-23T16:25:05.931198726+08:00", 1795422305_931198726),
        (b"2026-13-23T08:25:05Z", None),
        (b"unable", None),
        (b"", None),
    ],
)
def test_times_keep_their_nanoseconds(stamp: bytes, ns: int | None) -> None:
    assert nanoseconds(stamp) == ns


def test_lines_are_the_same_however_the_bytes_were_cut() -> None:
    data = (
        b"2026-11-23T08:25:05.931198726Z v1 tick 1\n"
        b"2026-11-23T08:25:05.94Z \n"
        b"2026-11-23T08:25:06Z with  spaces \n"
        b"unable to retrieve container logs for containerd://abc\n"
        b"2026-11-23T08:25:07.000000001Z " + b"z" * 40_000 + b"\n"
    )
    whole = list(Splitter().feed(data))
    assert [line.data[:20] for line in whole[:4]] == [b"v1 tick 1", b"", b"with  spaces ", b"unable to retrieve c"]
    assert [line.ns % 10**9 for line in whole] == [931198726, 940000000, 0, 0, 1, 1, 1]
    assert whole[3].ns == 0
    for size in (1, 2, 7, 63, 1000, 16_000, 17_000):
        splitter = Splitter()
        cut = [line for at in range(0, len(data), size) for line in splitter.feed(data[at : at + size])]
        assert cut == whole, size


def test_a_line_without_its_end_is_given_only_when_the_log_ends() -> None:
    splitter = Splitter()
    assert list(splitter.feed(b"2026-11-23T08:25:05Z half")) == []
    assert [line.data for line in splitter.end()] == [b"half"]
    assert list(splitter.end()) == []


def test_more_lines_in_a_second_than_are_remembered_are_told_by_time() -> None:
    had = Had()
    lines = [Stamped(START + number, b"x") for number in range(5000)]
    assert all(had.is_new(line) for line in lines)
    had.again()
    assert not any(had.is_new(line) for line in lines)
    assert had.is_new(Stamped(START + 5000, b"x"))


def test_the_main_container_is_the_annotated_one_or_the_first() -> None:
    pod = {
        "metadata": {"name": "a", "namespace": "n"},
        "spec": {"containers": [{"name": "proxy"}, {"name": "app"}], "initContainers": [{"name": "wait"}]},
        "status": {},
    }
    assert main_container(pod) == "proxy"
    pod["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "app"}  # type: ignore[index]
    assert main_container(pod) == "app"
    assert [one.container for one in sights(pod, "")] == ["app"]
    assert [one.container for one in sights(pod, ALL)] == ["wait", "proxy", "app"]
    assert [one.run for one in sights(pod, ALL)] == ["", "", ""]
