"""Lists are turned page by page both ways; nothing is shown twice or left out, and no address that people type breaks them."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import RequestFactory

from fangduoduo_release.common import paging
from fangduoduo_release.common.models import InboxItem
from fangduoduo_release.common.paging import ListPage, page_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def ids() -> list[int]:
    """Seven rows, newest first."""
    made = [InboxItem.objects.create(kind="push", dedupe_key=f"k{n}", topic="t", payload={}) for n in range(7)]
    return [one.pk for one in made][::-1]


def page(address: str = "/list/", *, topic: str = "t", size: int = 3) -> ListPage:
    return page_of(RequestFactory().get(address), InboxItem.objects.filter(topic=topic), size=size)


def keys(found: ListPage) -> list[int]:
    return [row.pk for row in found.rows]


def test_forward_page_by_page_everything_comes_once(ids: list[int]) -> None:
    pages, address = [], "/list/"
    while address:
        found = page(address)
        pages.append(keys(found))
        address = found.next or ""
    assert pages == [ids[:3], ids[3:6], ids[6:]]


def test_and_back_again_the_same_pages(ids: list[int]) -> None:
    last = page(f"/list/?before={ids[5]}")
    assert keys(last) == ids[6:]
    assert last.previous is not None
    middle = page(last.previous)
    assert keys(middle) == ids[3:6]
    assert middle.previous is not None
    first = page(middle.previous)
    assert (keys(first), first.previous) == (ids[:3], None)
    assert first.next is not None
    assert keys(page(first.next)) == ids[3:6]


def test_the_first_page_has_nothing_before_it_and_the_last_nothing_behind(ids: list[int]) -> None:
    assert page().previous is None
    assert page(f"/list/?before={ids[5]}").next is None


@pytest.mark.parametrize(("size", "more"), [(6, True), (7, False), (8, False)])
def test_a_page_that_just_holds_all_offers_no_empty_one(ids: list[int], size: int, more: bool) -> None:
    assert (page(size=size).next is not None) is more


def test_an_empty_list_is_one_page() -> None:
    assert page(topic="nothing") == ListPage([], None, None)


def test_past_the_end_there_is_nothing_and_no_way_on(ids: list[int]) -> None:
    assert page(f"/list/?before={ids[-1]}") == ListPage([], None, None)


@pytest.mark.parametrize(
    "typed", ["x", "-1", "1.5", "", "²", "9" * 19, "9" * 5000, "1 OR 1=1", "%00", "0x10"],
    ids=["word", "negative", "fraction", "empty", "power", "19-digits", "5000-digits", "sql", "nul", "hex"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["before", "after"])
def test_what_is_no_number_is_the_first_page(ids: list[int], name: str, typed: str) -> None:
    assert keys(page(f"/list/?{name}={typed}")) == ids[:3]


def test_a_number_far_beyond_every_row_breaks_nothing(ids: list[int]) -> None:
    assert keys(page(f"/list/?before={'9' * 18}")) == ids[:3]
    assert keys(page(f"/list/?after={'9' * 18}")) == []


def test_a_filter_stays_in_the_addresses_and_the_old_place_does_not(ids: list[int]) -> None:
    found = page(f"/list/?state=failed&q=a%26b&before={ids[2]}")
    assert found.next is not None
    assert found.previous is not None
    assert parse_qs(urlsplit(found.next).query) == {"state": ["failed"], "q": ["a&b"], "before": [str(ids[5])]}
    assert parse_qs(urlsplit(found.previous).query) == {"state": ["failed"], "q": ["a&b"], "after": [str(ids[3])]}


def test_rows_that_are_old_are_found_though_the_newest_are_looked_at_first(
    ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "NEAR", 1)
    for number in range(5):
        InboxItem.objects.create(kind="push", dedupe_key=f"other{number}", topic="other", payload={})
    assert keys(page()) == ids[:3]
    assert keys(page(f"/list/?before={ids[2]}")) == ids[3:6]
