"""Pages of lists, taken apart without being parsed as a whole: always the same objects that a parser of the whole finds."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from clusters.drivers.runtime.kubernetes import listing
from clusters.drivers.runtime.kubernetes.listing import taken_apart
from fangduoduo_release.common.errors import Unavailable
from tests.simulators.recordings import KUBERNETES, read

from .raw import pod

FRAME = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7", "continue": "on"}}


def page(items: list[Any]) -> bytes:
    return orjson.dumps({**FRAME, "items": items}) + b"\n"


def bare(*names: str) -> list[Any]:
    """As items of real lists are: without kind and apiVersion."""
    return [{"metadata": {"name": name, "labels": {"a": "}]}"}}, "spec": {"x": [1, {"y": "z"}]}} for name in names]


@pytest.fixture
def never_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def no(_body: bytes) -> Any:
        raise AssertionError("it was parsed as a whole")

    monkeypatch.setattr(listing, "_as_a_whole", no)


@pytest.mark.usefixtures("never_whole")
class TestAsServersWriteThem:
    """One by one."""

    @pytest.mark.parametrize("count", [0, 1, 2, 500])
    def test_every_item_is_found_and_the_frame(self, count: int) -> None:
        items = bare(*[f"p{n}" for n in range(count)])
        frame, found = taken_apart(page(items))
        assert list(found) == items
        assert frame == {**FRAME, "items": []}

    def test_items_that_say_their_kind_are_as_good(self) -> None:
        items = [pod(f"p{n}", n) for n in range(3)]
        assert list(taken_apart(page(items))[1]) == items

    def test_what_a_real_server_sent_is_taken_apart(self) -> None:
        body = read(KUBERNETES / "list-pods-limit.txt").body.encode()
        frame, found = taken_apart(body)
        whole = orjson.loads(body)
        assert whole["items"]
        assert list(found) == whole["items"]
        assert frame["metadata"] == whole["metadata"]

    def test_text_that_looks_like_a_border_is_text(self) -> None:
        items = bare("a", 'b"},{"metadata":{', "c]}")
        assert list(taken_apart(page(items))[1]) == items


class TestInOtherShapes:
    """As a whole where it must be; nothing is lost or made up."""

    def test_an_item_that_holds_what_begins_as_items_do_is_not_cut_in_two(self) -> None:
        inner = {"metadata": {"name": "inner"}, "spec": {"x": 1}}
        items = [*bare("a"), {"metadata": {"name": "b"}, "claims": [inner, inner]}, *bare("c")]
        found = list(taken_apart(page(items))[1])
        assert found[-len(items) :] == items  # what came before comes twice
        assert all(one in items for one in found)

    @pytest.mark.parametrize(
        "body",
        [
            orjson.dumps({**FRAME, "items": [*bare("a", "b")]}, option=orjson.OPT_INDENT_2),
            orjson.dumps({"items": bare("a", "b"), **FRAME}),
            orjson.dumps({**FRAME, "more": {"items": bare("x")}, "items": bare("a", "b")}),
            orjson.dumps({**FRAME, "items": [{"x": "y" * 300, **one} for one in bare("a", "b")]}),
            orjson.dumps({**FRAME, "items": bare("a", "b"), "last": [{"metadata": {}}]}),
            orjson.dumps({"items": bare("a", "b"), "metadata": FRAME["metadata"], "last": [{"metadata": {}}]}),
            b'{"metadata":{"resourceVersion":"7"},"items":[],"items":[{"metadata":{"name":"a"}}]}',
            b'{"metadata":{"resourceVersion":"7"},"items":[1,[{"metadata":{}}],{"metadata":{}},"x"]}',
            b'{"metadata":{"resourceVersion":"7"},"items":[[{"metadata":{}},{"metadata":{}}]]}',
            b'{"metadata":{"resourceVersion":"7"},"items":[{"a":1},{"metadata":{}},{"a":1},{"metadata":{}}]}',
            b'{"metadata":{"resourceVersion":"7"},"items":null}',
            b'{"metadata":{"resourceVersion":"7"},"items":{"a":1}}',
            b'{"metadata":{"resourceVersion":"7"}}',
        ],
    )
    def test_the_same_is_found_as_by_parsing_the_whole(self, body: bytes) -> None:
        items = orjson.loads(body).get("items")
        wanted = items if isinstance(items, list) else []
        frame, parts = taken_apart(body)
        found = list(parts)
        assert found[len(found) - len(wanted) :] == wanted
        assert all(one in wanted for one in found)
        assert frame["metadata"]["resourceVersion"] == "7"

    def test_whatever_is_in_it_the_last_of_each_name_is_what_the_whole_says(self) -> None:
        chance = random.Random(7)
        parts: list[Any] = ["x", '"},{"metadata":{', "]}", '\\"items\\":[', 1, None, {"metadata": {"name": "in"}}, []]
        for _ in range(300):
            items = [
                {
                    "metadata": {"name": f"p{n}", "labels": {"a": chance.choice(parts)}},
                    "spec": [chance.choice(parts) for _ in range(chance.randrange(4))],
                }
                for n in range(chance.randrange(6))
            ]
            found = {one["metadata"]["name"]: one for one in taken_apart(page(items))[1]}
            assert found == {one["metadata"]["name"]: one for one in items}

    @pytest.mark.parametrize(
        "body",
        [b"", b"no", b"[]", b'{"items":[]}', b'{"metadata":{},"items":[{"metadata":{}}]}', page(bare("a"))[:-3]],
    )
    def test_what_is_no_list_is_refused(self, body: bytes) -> None:
        with pytest.raises(Unavailable):
            list(taken_apart(body)[1])

    @pytest.mark.parametrize("at", [1, 2])
    def test_one_that_is_damaged_in_the_middle_never_looks_whole(self, at: int) -> None:
        body = page(bare("a", "b", "c"))
        cut = body.split(b'{"y":"z"}')
        damaged = b'{"y":"z"}'.join(cut[:at]) + b'{"y":}' + b'{"y":"z"}'.join(cut[at:])
        with pytest.raises(Unavailable):
            list(taken_apart(damaged)[1])
