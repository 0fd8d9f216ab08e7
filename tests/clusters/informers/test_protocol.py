"""The edges of listing and watching, byte by byte: nothing that a server sends ends an informer, and nothing is missed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import orjson
import pytest

from clusters.drivers.runtime.kubernetes import listing
from clusters.drivers.runtime.kubernetes.listing import Refused
from clusters.drivers.runtime.kubernetes.watch_lines import LONGEST
from tests.waiting import until

from .ground import QUICK
from .informing import Informing
from .raw import RawServer, Request, Script, Stream, answer, bookmark, pod, status


def script(*parts: bytes | tuple[str, dict[str, Any]], end: str = "end") -> Script:
    """A watch that sends these and then ends, is cut, or says nothing any more."""

    async def told(request: Request, stream: Stream) -> None:
        await stream.head()
        for part in parts:
            await (stream.send(part) if isinstance(part, bytes) else stream.event(*part))
        if end == "end":
            await stream.end()
        elif end == "cut":
            stream.cut()
        else:
            await hang(request, stream)

    return told


async def hang(request: Request, stream: Stream) -> None:
    """Say nothing until the other side has enough."""
    while not stream.closed:
        await stream.tick()


def page(items: list[dict[str, Any]], version: int, more: str = "") -> Script:
    metadata = {"resourceVersion": str(version)} | ({"continue": more} if more else {})

    async def told(request: Request, stream: Stream) -> None:
        await stream.json(200, {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items})

    return told


class TestListing:
    def test_a_list_is_read_page_by_page_and_then_watched_from_where_it_was_read(self, server: RawServer) -> None:
        server.put_many(pod(f"p{number}", 0) for number in range(5))
        with Informing(server.url, pace=replace(QUICK, page=2, watch=(300, 600))) as informing:
            until(lambda: server.watches())
            assert set(informing.kept.there) == {f"p{number}" for number in range(5)}
        assert [one.query.get("limit") for one in server.lists()] == ["2", "2", "2"]
        assert ["continue" in one.query for one in server.lists()] == [False, True, True]
        watch = server.watches()[0].query
        assert watch["allowWatchBookmarks"] == "true"
        assert watch["resourceVersion"] == str(server.version)
        assert 300 <= int(watch["timeoutSeconds"]) <= 600

    @pytest.mark.parametrize("code", [410, 400])
    def test_a_list_that_expires_on_the_way_begins_again_and_then_asks_for_all(
        self, server: RawServer, code: int
    ) -> None:
        first = page([pod("a", 1), pod("left", 2)], 9, more="there")
        server.next("list", first, answer(code), first, answer(code), page([pod("a", 1), pod("b", 3)], 12))
        with Informing(server.url) as informing:
            until(lambda: server.watches())
            assert informing.kept.there == {"a": "1", "b": "3"}, "what only the first try had is gone"
        assert [one.query for one in server.lists()] == [
            {"limit": "500"}, {"limit": "500", "continue": "there"}, {"limit": "500"},
            {"limit": "500", "continue": "there"}, {},
        ]  # fmt: skip
        assert server.watches()[0].query["resourceVersion"] == "12"

    def test_a_page_that_is_too_large_is_asked_for_in_smaller_parts(
        self, server: RawServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listing, "MOST_BYTES", 20_000)
        server.put_many(pod(f"p{number}", 0, status={"message": "x" * 500}) for number in range(60))
        with Informing(server.url, pace=replace(QUICK, page=100)) as informing:
            until(lambda: len(informing.kept.there) == 60)
        assert [one.query["limit"] for one in server.lists()] == ["100", "20", "20", "20"]

    def test_only_what_differs_from_what_is_stored_is_told(self, server: RawServer) -> None:
        server.bookmark_s = 60
        server.put_many(pod(name, 0) for name in ("a", "b", "c"))
        with Informing(server.url) as informing:
            until(lambda: server.watches())
            before = len(informing.kept.changes)
            server.put(pod("c", 0, status={}))
            server.remove("b", silently=True)
            server.compact()
            server.cut()
            until(lambda: informing.kept.lists == 2)
            told = [(one.name, one.gone) for one in informing.kept.changes[before:]]
        assert sorted(told) == [("b", True), ("c", False)]
        assert informing.kept.counts["relists"] == 1

    @pytest.mark.parametrize(
        "body", [b"<html>starting up</html>", b"[]", b'{"items": []}', b'{"metadata": 3}', b""], ids=repr
    )
    def test_an_answer_that_is_no_list_is_trouble_that_passes(self, server: RawServer, body: bytes) -> None:
        async def told(request: Request, stream: Stream) -> None:
            await stream.raw(200, body)

        server.put(pod("a", 0))
        server.next("list", told)
        with Informing(server.url) as informing:
            until(lambda: set(informing.kept.there) == {"a"})
            assert len(informing.kept.troubles) == 1


class TestWatching:
    def test_events_and_bookmarks_move_the_version_that_the_next_watch_begins_from(self, server: RawServer) -> None:
        server.next(
            "watch",
            script(("ADDED", pod("a", 150)), ("BOOKMARK", bookmark(180))),
            script(("MODIFIED", pod("a", 190)), end="cut"),
            script(end="hang"),
        )
        with Informing(server.url) as informing:
            until(lambda: len(server.watches()) == 3)
            assert informing.kept.there == {"a": "190"}
        assert [one.query["resourceVersion"] for one in server.watches()] == ["100", "180", "190"]
        assert len(server.lists()) == 1, "a watch that ends is no reason to list"

    @pytest.mark.parametrize(
        "expired", [script(("ERROR", status(410, "too old", "Expired"))), answer(410)], ids=["in the stream", "at once"]
    )
    def test_when_the_version_expired_a_list_tells_what_is_there_no_more(
        self, server: RawServer, expired: Script
    ) -> None:
        server.put_many(pod(name, 0) for name in ("a", "b"))
        server.next("watch", script(end="hang"), expired)
        with Informing(server.url) as informing:
            until(lambda: informing.kept.open)
            server.remove("b", silently=True)
            server.cut()
            until(lambda: set(informing.kept.there) == {"a"})
            assert informing.kept.rows["shop", "b"].body is None
            assert not informing.kept.troubles, "that is no trouble"

    def test_an_error_in_the_stream_is_told_and_leads_to_a_list(self, server: RawServer) -> None:
        """As after a backup of etcd was restored: a version that the server does not know yet."""
        server.put(pod("a", 0))
        server.next("watch", script(("ERROR", status(504, "Too large resource version", "Timeout"))))
        with Informing(server.url) as informing:
            until(lambda: informing.kept.lists == 2)
            assert "Too large resource version" in str(informing.kept.troubles[0])

    def test_a_half_open_stream_ends_by_its_silence(self, server: RawServer) -> None:
        server.next("watch", *[script(("ADDED", pod("a", 150)), end="hang")] * 200)  # one may come too late to be heard
        with Informing(server.url, pace=replace(QUICK, silence=0.4)) as informing:
            until(lambda: "150" in {one.query["resourceVersion"] for one in server.watches()})
            assert informing.kept.there == {"a": "150"}
        first, second = next(two for two in pairwise(server.watches()) if two[1].query["resourceVersion"] == "150")
        assert second.at - first.at >= 0.4, "not before it was silent for so long"

    def test_a_server_that_takes_requests_and_says_nothing_is_not_waited_for_for_ever(self, server: RawServer) -> None:
        server.next("watch", hang)
        with Informing(server.url, pace=replace(QUICK, silence=0.4)) as informing:
            until(lambda: len(server.watches()) >= 2)
            assert informing.kept.troubles

    def test_a_cut_line_is_no_line_and_comes_again(self, server: RawServer) -> None:
        whole = orjson.dumps({"type": "ADDED", "object": pod("a", 150)})
        server.next(
            "watch", script(whole + b"\n" + whole[:40], end="cut"), script(("ADDED", pod("b", 151)), end="hang")
        )
        with Informing(server.url) as informing:
            until(lambda: set(informing.kept.there) == {"a", "b"})
        assert [one.query["resourceVersion"] for one in server.watches()] == ["100", "150"]
        assert len(server.lists()) == 1

    def test_a_line_may_come_in_any_pieces(self, server: RawServer) -> None:
        lines = b"".join(orjson.dumps({"type": "ADDED", "object": pod(f"p{n}", 150 + n)}) + b"\n" for n in range(3))
        server.next("watch", script(*(lines[at : at + 7] for at in range(0, len(lines), 7)), end="hang"))
        with Informing(server.url) as informing:
            until(lambda: set(informing.kept.there) == {"p0", "p1", "p2"})

    @pytest.mark.parametrize(
        "bad",
        [
            b"this is no JSON\n",
            b'{"type": "ADDED"}\n',
            b'["ADDED"]\n',
            b"7\n",
            b'{"type": "ADDED", "object": null}\n',
            b'{"type": "ADDED", "object": {"metadata": {"name": 7}}}\n',
            b'{"type": "ADDED", "object": {"metadata": {"name": "a\\u0000", "namespace": "x", "resourceVersion": "8"}}}\n',
            b'{"type": "ADDED", "object": {"metadata": {"name": "' + b"x" * LONGEST + b'"}}}\n',
        ],
        ids=lambda bad: repr(bad[:60]),
    )
    def test_a_line_that_cannot_be_read_is_passed_over_and_a_list_fills_the_hole(
        self, server: RawServer, bad: bytes
    ) -> None:
        after = ("ADDED", pod("after", 151))
        server.next("list", page([], 100), page([pod("after", 151), pod("missed", 150)], 152))
        server.next("watch", script(bad, after, end="hang"))
        with Informing(server.url, pace=replace(QUICK, between_lists=0.0)) as informing:
            until(lambda: set(informing.kept.there) == {"after", "missed"})
            assert informing.ended is None

    def test_damaged_lines_cannot_hurry_an_informer_into_listing_all_the_time(self, server: RawServer) -> None:
        server.next("watch", *[script(b"bad\n", end="cut") for _ in range(20)])
        with Informing(server.url, pace=replace(QUICK, between_lists=3600, longest_after_cut=0.01)):
            until(lambda: len(server.watches()) > 20)
        assert len(server.lists()) == 1

    def test_empty_lines_and_kinds_of_events_that_nobody_knows_yet_do_no_harm(self, server: RawServer) -> None:
        server.next(
            "watch",
            script(
                b"\n\n",
                ("NOVELTY", pod("x", 150)),
                ("BOOKMARK", {"metadata": {"resourceVersion": ["x"]}}),
                ("ADDED", pod("a", 151)),
                end="hang",
            ),
        )
        with Informing(server.url) as informing:
            until(lambda: set(informing.kept.there) == {"a"})
        assert len(server.lists()) == 1

    def test_an_object_that_was_made_again_under_its_name_is_the_new_one(self, server: RawServer) -> None:
        server.next("watch", script(("ADDED", pod("a", 150)), ("DELETED", pod("a", 151)), ("ADDED", pod("a", 152, metadata={"uid": "second"})), end="hang"))  # fmt: skip
        with Informing(server.url) as informing:
            until(lambda: len(informing.kept.changes) == 3)
            assert [one.gone for one in informing.kept.changes] == [False, True, False]
            assert informing.kept.rows["shop", "a"].uid == "second"


class TestRefusals:
    def test_a_rotated_token_is_read_again_and_nobody_is_alarmed(self, server: RawServer) -> None:
        server.put(pod("a", 0))
        server.token = "second"
        with Informing(server.url, token="first", next_token="second") as informing:
            until(lambda: set(informing.kept.there) == {"a"})
            assert informing.renewed >= 1
            assert not informing.kept.troubles

    def test_a_token_that_is_accepted_no_more_is_told_and_tried_on(self, server: RawServer) -> None:
        server.token = "other"
        with Informing(server.url) as informing:
            until(lambda: informing.kept.troubles)
            assert "token or certificate" in str(informing.kept.troubles[0])
            assert informing.renewed >= 3
            server.token = ""
            until(lambda: informing.kept.lists == 1)

    def test_a_token_that_expires_while_all_goes_well_is_read_again(self, server: RawServer) -> None:
        server.token = "t0ken"
        with Informing(server.url) as informing:
            until(lambda: server.watches())
            informing.rotates_to("second")
            server.token = "second"
            server.cut()
            server.put(pod("a", 0))
            until(lambda: set(informing.kept.there) == {"a"})
            assert not informing.kept.troubles

    def test_what_is_forbidden_is_told_with_the_reason_and_asked_for_seldom(self, server: RawServer) -> None:
        server.next("list", answer(403, 'pods is forbidden: User "x" cannot list'))
        with Informing(server.url, pace=replace(QUICK, forbidden=1.0)) as informing:
            until(lambda: informing.kept.troubles)
            assert "cannot list" in str(informing.kept.troubles[0])
            until(lambda: informing.kept.lists == 1)
        first, second = server.lists()
        assert second.at - first.at >= 1.0

    def test_who_can_do_without_is_told_that_it_is_forbidden(self, server: RawServer) -> None:
        server.next("list", answer(403))
        with Informing(server.url, leaves=True) as informing:
            until(lambda: informing.ended)
            assert isinstance(informing.ended, Refused)
            assert informing.ended.status == 403

    @pytest.mark.parametrize("where", ["list", "watch"])
    @pytest.mark.parametrize("code", [429, 503])
    def test_a_server_that_has_too_much_to_do_is_asked_again_when_it_says(
        self, server: RawServer, code: int, where: str
    ) -> None:
        server.next(where, answer(code, "busy", Retry_After="1"))
        with Informing(server.url, pace=replace(QUICK, forbidden=3600)) as informing:  # which would be too late
            until(lambda: informing.kept.troubles)
            until(lambda: server.watches() and informing.kept.open)
        first, second = server.lists() if where == "list" else server.watches()
        assert second.at - first.at >= 1.0
        assert len(server.lists()) == (2 if where == "list" else 1)

    def test_a_server_that_is_away_is_told_and_found_again(self, server: RawServer) -> None:
        with RawServer() as other:
            port = int(other.url.rpartition(":")[2])
        with Informing(f"http://127.0.0.1:{port}") as informing:
            until(lambda: informing.kept.troubles)
            assert str(informing.kept.troubles[0]) == "The API server does not answer."
            with RawServer(port) as back:
                back.put(pod("a", 0))
                until(lambda: set(informing.kept.there) == {"a"})

    def test_a_storm_of_refusals_of_every_kind_ends_nothing(self, server: RawServer) -> None:
        server.put(pod("a", 0))
        server.next("list", *(answer(code) for code in (500, 502, 429, 401, 503, 302, 418, 200)))
        with Informing(server.url, pace=replace(QUICK, forbidden=0.05)) as informing:
            until(lambda: set(informing.kept.there) == {"a"})
            assert informing.ended is None


class TestComparing:
    def test_what_was_never_told_is_counted_and_mended(self, server: RawServer) -> None:
        server.put_many(pod(name, 0) for name in ("a", "b"))
        with Informing(server.url, pace=replace(QUICK, compare=0.3, settle=0.3)) as informing:
            until(lambda: server.watches())
            server.remove("b", silently=True)
            until(lambda: set(informing.kept.there) == {"a"})
            assert informing.kept.counts["drift"] == 1

    def test_nothing_is_counted_while_much_changes(self, server: RawServer) -> None:
        server.bookmark_s = 0.05
        with Informing(server.url, pace=replace(QUICK, compare=0.05, settle=75.0, page=20)) as informing:
            until(lambda: server.watches())
            until_lists = len(server.lists()) + 40
            number = 0
            while len(server.lists()) < until_lists:
                number += 1
                server.put(pod(f"p{number % 100}", 0, status={"n": number}))
                if number % 3 == 0 and number > 100:
                    server.remove(f"p{number % 100}")
            assert informing.kept.counts["drift"] == 0
            assert informing.kept.lists == 1

    def test_a_comparison_that_is_refused_is_left_for_the_next_time(self, server: RawServer) -> None:
        server.next("list", page([], 100), answer(500), answer(403), answer(410))
        with Informing(server.url, pace=replace(QUICK, compare=0.05)) as informing:
            until(lambda: len(server.lists()) >= 8)
            assert informing.kept.counts["drift"] == 0
            assert informing.ended is None
            assert not informing.kept.troubles
