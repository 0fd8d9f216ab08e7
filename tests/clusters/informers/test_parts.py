"""The parts a follower is made of: what is read of objects, lines, patience, what is kept until it is stored."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import orjson
import pytest

from clusters.drivers.runtime.kubernetes.listing import retry_after
from clusters.drivers.runtime.kubernetes.names import DEPLOYMENTS, EVENTS, FOLLOWED, NODES, PODS, SERVICE
from clusters.drivers.runtime.kubernetes.pace import Pace, Patience
from clusters.drivers.runtime.kubernetes.seen import Seen, Unreadable, gone, newer, pack, read, unpack, version_of
from clusters.drivers.runtime.kubernetes.sink import Known, differing
from clusters.drivers.runtime.kubernetes.watch_lines import Lines
from clusters.informers.ledger import Ledger
from tests.simulators.recordings import KUBERNETES
from tests.simulators.recordings import read as recorded

from .raw import pod


def seen(name: str, version: int = 1, **more: Any) -> Seen:
    return read(PODS, pod(name, version, **more))


class TestReading:
    def test_the_controller_is_what_a_pod_is_about_and_the_label_says_whose_it_is(self) -> None:
        owners = [{"uid": "no"}, {"uid": "set", "controller": True}]
        found = seen("a", 7, metadata={"ownerReferences": owners, "labels": {SERVICE: "key"}})
        assert (found.namespace, found.name, found.version, found.service, found.about) == (
            "shop",
            "a",
            "7",
            "key",
            "set",
        )
        assert not found.gone

    @pytest.mark.parametrize(
        ("item", "at"),
        [
            ({"lastTimestamp": "2026-11-23T08:24:36Z", "eventTime": "2026-11-23T01:00:00Z"}, 1795422276.0),
            ({"series": {"lastObservedTime": "2026-11-23T08:24:36.000000Z"}, "lastTimestamp": None}, 1795422276.0),
            ({"eventTime": "2026-11-23T08:24:36Z", "lastTimestamp": None}, 1795422276.0),
            ({"firstTimestamp": "never", "eventTime": 7}, None),
            ({}, None),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_when_an_event_happened_is_read_from_wherever_it_is_said(
        self, item: dict[str, Any], at: float | None
    ) -> None:
        metadata = {"name": "e", "namespace": "shop", "resourceVersion": "5"}
        found = read(EVENTS, {**item, "metadata": metadata, "involvedObject": {"uid": "pod"}})
        assert found.at == at
        assert found.about == "pod"

    @pytest.mark.parametrize(
        "item",
        [
            None, [], "pod", {}, {"metadata": None}, {"metadata": {"name": "a"}},
            {"metadata": {"name": "a", "namespace": "b"}},
            {"metadata": {"name": "a", "namespace": "b", "resourceVersion": 7}},
            {"metadata": {"name": "a" * 300, "namespace": "b", "resourceVersion": "7"}},
            {"metadata": {"name": "a", "namespace": "b" * 70, "resourceVersion": "7"}},
            {"metadata": {"name": "a", "namespace": "b", "resourceVersion": "7" * 50}},
            {"metadata": {"name": "a", "namespace": "b\0", "resourceVersion": "7"}},
            {"metadata": {"name": "a", "resourceVersion": "7"}},
        ],
        ids=lambda item: str(item)[:50],
    )  # fmt: skip
    def test_what_no_kubernetes_sends_is_unreadable(self, item: Any) -> None:
        with pytest.raises(Unreadable):
            read(PODS, item)

    @pytest.mark.parametrize("labels", [None, [], {SERVICE: 7}, {SERVICE: "x" * 41}, {SERVICE: ""}], ids=str)
    def test_a_label_that_names_no_service_names_none(self, labels: Any) -> None:
        assert seen("a", metadata={"labels": labels}).service == ""

    def test_a_node_lies_in_no_namespace(self) -> None:
        found = read(NODES, {"metadata": {"name": "n", "resourceVersion": "7"}, "status": None})
        assert found.key == ("", "n")
        with pytest.raises(Unreadable):
            read(NODES, {"metadata": {"name": "n", "namespace": "x", "resourceVersion": "7"}})

    def test_what_was_packed_is_what_was_there_without_managed_fields(self) -> None:
        item = pod("网络", 7, metadata={"managedFields": [1], "labels": {"a": "b"}})
        assert unpack(memoryview(pack(item)))["metadata"] == {
            "name": "网络", "namespace": "shop", "uid": "uid-网络", "resourceVersion": "7", "labels": {"a": "b"},
        }  # fmt: skip

    def test_versions_are_compared_as_numbers_and_never_guessed(self) -> None:
        assert newer("10", "9")
        assert not newer("9", "10")
        assert not newer("9", "9")
        assert not newer("x", "9")
        assert version_of({"metadata": {"resourceVersion": "7"}}) == "7"
        assert [version_of(bad) for bad in (None, {}, {"metadata": 7}, {"metadata": {"resourceVersion": 7}})] == [
            ""
        ] * 4

    def test_what_a_real_server_sent_is_read(self) -> None:
        lines = recorded(KUBERNETES / "watch-pods-rolling-update.txt").body.splitlines()
        for line in filter(None, lines):
            event = orjson.loads(line)
            if event["type"] in {"ADDED", "MODIFIED", "DELETED"}:
                found = read(PODS, event["object"])
                assert found.about
                assert "managedFields" not in unpack(found.body or b"")["metadata"]


class TestLines:
    def test_cut_anywhere_they_are_the_same_lines(self) -> None:
        chance = random.Random(7)
        wanted = [bytes([65 + n % 26]) * chance.randrange(1, 60) for n in range(200)]
        text = b"\n".join(wanted) + b"\n"
        for _ in range(50):
            lines, found, at = Lines(), [], 0
            while at < len(text):
                size = chance.randrange(1, 90)
                found += lines.feed(text[at : at + size])
                at += size
            assert found == wanted

    @pytest.mark.parametrize("size", [1, 7, 10_000])
    def test_one_that_is_too_long_is_passed_over_and_no_other(self, size: int) -> None:
        text = b"one\n" + b"x" * 101 + b"\ntwo\n" + b"y" * 5000 + b"\n" + b"z" * 100 + b"\nhalf"
        lines, found = Lines(longest=100), []
        for at in range(0, len(text), size):
            found += lines.feed(text[at : at + size])
        assert found == [b"one", b"two", b"z" * 100]
        assert lines.passed_over == 2

    def test_a_line_that_never_ends_costs_no_memory(self) -> None:
        lines = Lines(longest=1000)
        for _ in range(100):
            assert lines.feed(b"x" * 500) == []
            assert sum(map(len, lines._parts)) <= 1500
        assert lines.feed(b"\nafter\n") == [b"after"]


class TestPatience:
    def test_pauses_grow_with_failures_up_to_the_longest_and_are_never_the_same(self) -> None:
        patience = Patience(Pace(first_pause=0.8, longest_pause=30))
        pauses = [patience.after_failure() for _ in range(300)]
        assert max(pauses[:1]) <= 1.6
        assert 20 < max(pauses) <= 30
        assert min(pauses[10:]) < 5, "full jitter"
        assert len(set(pauses)) == len(pauses)

    def test_a_stream_that_worked_and_was_cut_is_opened_again_soon(self) -> None:
        patience = Patience(Pace())
        for _ in range(50):
            patience.opened()
            assert patience.after_cut() <= 2.0

    def test_after_a_time_of_health_all_is_forgotten(self) -> None:
        patience = Patience(Pace(healthy=0.0))
        for _ in range(20):
            patience.after_failure()
        patience.opened()
        patience.after_cut()
        assert patience.after_failure() <= 1.6

    def test_a_server_that_says_when_is_believed(self) -> None:
        patience = Patience(Pace(first_pause=0.01, longest_pause=0.01))
        assert 5.0 <= patience.after_failure(5.0) <= 6.0
        assert [retry_after(text) for text in ("7", "", "soon", "-1", "99999", "٣")] == [7.0, 0, 0, 0, 300.0, 0]


class TestComparing:
    def known(self, **rows: tuple[str, bool]) -> dict[tuple[str, str], Known]:
        return {("shop", name): Known(f"uid-{name}", version, ended) for name, (version, ended) in rows.items()}

    @pytest.mark.parametrize(
        ("listed", "stored", "wrong"),
        [
            ({"a": "5"}, {"a": ("5", False)}, 0),
            ({"a": "5"}, {"a": ("4", False)}, 1),
            ({"a": "5"}, {"a": ("11", False)}, 0),
            ({"a": "5"}, {}, 1),
            ({"a": "5"}, {"a": ("5", True)}, 1),
            ({"a": "5"}, {"a": ("12", True)}, 0),
            ({}, {"a": ("5", False)}, 1),
            ({}, {"a": ("11", False)}, 0),
            ({}, {"a": ("5", True)}, 0),
        ],
        ids=str,
    )
    def test_only_what_the_list_can_judge_counts(self, listed: Any, stored: Any, wrong: int) -> None:
        found = differing({("shop", name): at for name, at in listed.items()}, "10", self.known(**stored))
        assert found == wrong

    def test_where_not_all_was_listed_what_is_stored_besides_is_in_order(self) -> None:
        assert differing({}, "10", self.known(a=("5", False)), strict=False) == 0


class TestLedger:
    def test_of_each_object_only_the_newest_state_is_kept_and_its_age_is_the_oldest(self) -> None:
        ledger = Ledger(FOLLOWED)
        first = seen("a", 1)
        ledger.add(first)
        for version in range(2, 5000):
            ledger.add(seen("a", version)._replace(read_at=first.read_at + version))
        assert ledger.count == 1
        batch = ledger.take(500)
        assert [(one.version, one.read_at) for one in batch.seen] == [("4999", first.read_at)]
        assert {told.resource: told.values["seq"] for told in batch.feeds}["pods"] == 1

    def test_what_could_not_be_stored_comes_again_unless_something_newer_came(self) -> None:
        ledger = Ledger(FOLLOWED)
        ledger.add(seen("a", 1))
        ledger.add(seen("b", 1))
        batch = ledger.take(10)
        ledger.add(seen("b", 2))
        ledger.add(seen("c", 1))
        ledger.give_back(batch)
        again = ledger.take(10)
        assert [(one.name, one.version) for one in again.seen] == [("a", "1"), ("b", "2"), ("c", "1")]
        assert again.seen[1].read_at == batch.seen[1].read_at
        assert ledger.count == 0

    def test_what_is_counted_is_not_lost_with_a_batch(self) -> None:
        ledger = Ledger(FOLLOWED)
        ledger.feeds["pods"].scope("", _nothing).count("relists")
        batch = ledger.take(10)
        ledger.give_back(batch)
        told = {one.resource: dict(one.more) for one in ledger.take(10).feeds}
        assert told["pods"] == {"relists": 1}

    def test_a_watch_that_was_silent_and_ended_makes_nothing_older(self) -> None:
        """API servers send no bookmarks of events: where nothing happens, their watch says nothing until it is cut."""
        ledger = Ledger(FOLLOWED)
        feed = ledger.feeds["events"]
        scope = feed.scope("", _nothing)
        scope.synced("5", time.monotonic())
        ledger.take(1)
        scope.opened()
        scope.alive_at = time.monotonic() - 900
        ledger.answered_at = time.monotonic() - 1
        before = feed.seen_at()
        scope.closed()
        after = feed.seen_at()
        assert before is not None
        assert after is not None
        assert abs((after - before).total_seconds()) < 60, "not by the silence, of 900 s"

    def test_the_version_is_told_only_with_the_last_of_what_it_covers(self) -> None:
        ledger = Ledger(FOLLOWED)
        scope = ledger.feeds["pods"].scope("", _nothing)
        for number in range(30):
            scope.change(seen(f"p{number}", number))
        scope.synced("77", time.monotonic())
        scope.opened()
        half = {one.resource: one.values for one in ledger.take(20).feeds}["pods"]
        rest = {one.resource: one.values for one in ledger.take(20).feeds}["pods"]
        assert "resource_version" not in half
        assert half["state"] == "syncing"
        assert (rest["resource_version"], rest["state"], rest["seq"]) == ("77", "live", 30)

    def test_what_was_found_gone_keeps_the_state_that_waited(self) -> None:
        ledger = Ledger(FOLLOWED)
        ledger.add(seen("a", 5))
        ledger.add(gone("pods", ("shop", "a"), "9"))
        one = ledger.take(5).seen[0]
        assert (one.gone, one.version, one.uid) == (True, "9", "uid-a")
        assert one.body is not None

    def test_who_waits_for_all_to_be_stored_waits_for_that_and_no_longer(self) -> None:
        async def story() -> None:
            ledger = Ledger(FOLLOWED)
            ledger.add(seen("a", 1))
            waiting = asyncio.create_task(ledger.all_stored())
            await asyncio.sleep(0)
            batch = ledger.take(10)
            ledger.add(seen("b", 1))
            assert not waiting.done()
            await ledger.stored(batch)
            await asyncio.wait_for(waiting, 60)

        asyncio.run(story())

    def test_a_page_waits_while_much_is_to_be_stored(self) -> None:
        async def story() -> None:
            ledger = Ledger(FOLLOWED)
            for number in range(2500):
                ledger.add(seen(f"p{number}"))
            waiting = asyncio.create_task(ledger.room())
            for _ in range(2):
                assert not waiting.done()
                await ledger.stored(ledger.take(500))
            await asyncio.wait_for(waiting, 60)

        asyncio.run(story())

    def test_news_are_of_services_and_of_what_is_told_about_their_objects(self) -> None:
        ledger = Ledger(FOLLOWED)
        ledger.add(seen("a", metadata={"labels": {SERVICE: "mine"}}))
        ledger.add(seen("b"))
        first = ledger.take(10)
        assert ledger.services_of(first) == {"mine"}
        metadata = {"name": "e", "namespace": "shop", "resourceVersion": "5"}
        ledger.add(read(EVENTS, {"metadata": metadata, "involvedObject": {"uid": "uid-a"}}))
        ledger.add(read(DEPLOYMENTS, {"metadata": {**metadata, "name": "d"}}))
        assert ledger.services_of(ledger.take(10)) == {"mine"}


async def _nothing(resource: str, namespace: str) -> dict[Any, Known]:
    return {}
