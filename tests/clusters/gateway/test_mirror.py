"""What a process keeps of clusters: the same as the rows say, within a budget, for many threads."""

from __future__ import annotations

import threading
import zlib
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clusters.gateway.mirror import Mirrors, joined
from clusters.models import Cluster, ClusterFeed, ClusterObject

from .rows import feed, pod, put


def names(mirrors: Mirrors, cluster: Cluster, namespace: str = "shop") -> list[str]:
    row = ClusterFeed.objects.get(cluster=cluster)
    return [entry.name for entry in mirrors.entries(cluster, row, namespace)]


@pytest.mark.django_db
def test_what_did_not_change_is_not_read_again(cluster: Cluster) -> None:
    put(cluster, *[pod(f"p{n}") for n in range(20)])
    mirrors, row = Mirrors(), ClusterFeed.objects.get()
    first = mirrors.entries(cluster, row, "shop")
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert mirrors.entries(cluster, row, "shop") is first
    assert len(asked) == 0
    put(cluster, pod("p3", status={"phase": "Failed"}))
    row = ClusterFeed.objects.get()
    with CaptureQueriesContext(connection) as asked:
        second = mirrors.entries(cluster, row, "shop")
    assert len(asked) == 1
    same = sum(one is other for one, other in zip(first, second, strict=True))
    assert same == 19


@pytest.mark.django_db
def test_a_feed_that_was_read_late_does_not_undo_what_another_thread_has_read(cluster: Cluster) -> None:
    put(cluster, pod("a"))
    mirrors, early = Mirrors(), ClusterFeed.objects.get()
    put(cluster, pod("b"))
    assert names(mirrors, cluster) == ["a", "b"]
    assert [entry.name for entry in mirrors.entries(cluster, early, "shop")] == ["a", "b"]


@pytest.mark.django_db
def test_a_feed_or_a_cluster_that_was_made_anew_is_read_anew(cluster: Cluster) -> None:
    put(cluster, pod("a"))
    mirrors = Mirrors()
    assert names(mirrors, cluster) == ["a"]
    ClusterFeed.objects.all().delete()
    ClusterObject.objects.all().delete()
    feed(cluster)
    assert names(mirrors, cluster) == []


@pytest.mark.django_db
def test_one_that_nobody_read_for_long_is_read_anew(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    put(cluster, pod("a"), pod("b"))
    mirrors = Mirrors()
    names(mirrors, cluster)
    ClusterObject.objects.filter(name="a").delete()  # as rows of the gone are, some minutes later
    assert names(mirrors, cluster) == ["a", "b"]
    for kept in mirrors._kept.values():
        kept.read_at -= 1000
    assert names(mirrors, cluster) == ["b"]


@pytest.mark.django_db
def test_a_reading_that_broke_off_is_not_taken_for_a_whole_one(cluster: Cluster) -> None:
    put(cluster, pod("a"), pod("b"))
    mirrors = Mirrors()
    assert names(mirrors, cluster) == ["a", "b"]
    put(cluster, pod("c"), pod("d"))
    good = ClusterObject.objects.get(name="c").body
    last = ClusterObject.objects.get(name="d").seq
    ClusterObject.objects.filter(name="c").update(body=b"no zlib", seq=last + 1)  # it comes after newer ones
    ClusterFeed.objects.update(seq=last + 1)
    with pytest.raises(zlib.error):
        names(mirrors, cluster)
    ClusterObject.objects.filter(name="c").update(body=good)
    assert names(mirrors, cluster) == ["a", "b", "c", "d"]


@pytest.mark.django_db
def test_memory_stays_within_its_budget_and_the_longest_unread_goes_first(cluster: Cluster) -> None:
    for namespace in ("one", "two", "three"):
        put(cluster, *[pod(f"p{n}", namespace, labels={"x": "y" * 1000}) for n in range(10)])
    mirrors = Mirrors(limit=40_000)
    for namespace in ("one", "two", "one", "three"):
        assert len(names(mirrors, cluster, namespace)) == 10
    assert [key[3] for key in mirrors._kept] == ["one", "three"]
    assert 0 < mirrors.size <= 40_000
    small = Mirrors(limit=100)
    assert len(names(small, cluster, "one")) == 10  # too large to be kept, and answered all the same
    assert small.size == 0


HEAD = b'{"kind":"PodList"}'


def whole(mirrors: Mirrors, cluster: Cluster, head: bytes = HEAD, namespace: str = "shop") -> bytes:
    row = ClusterFeed.objects.get(cluster=cluster)
    entries = mirrors.entries(cluster, row, namespace)
    return mirrors.whole(cluster, row, namespace, entries, head)


@pytest.mark.django_db
def test_what_was_joined_is_joined_again_only_when_it_changed(cluster: Cluster) -> None:
    put(cluster, pod("a"), pod("b"))
    mirrors = Mirrors()
    first = whole(mirrors, cluster)
    assert whole(mirrors, cluster) is first
    put(cluster, pod("b", status={"phase": "Failed"}))
    second = whole(mirrors, cluster)
    assert (first.count(b"Running"), second.count(b"Running"), second.count(b"Failed")) == (2, 1, 1)
    assert whole(mirrors, cluster) is second
    put(cluster, pod("a"), gone=True)
    third = whole(mirrors, cluster)
    assert [item["metadata"]["name"] for item in orjson.loads(third)["items"]] == ["b"]


@pytest.mark.django_db
def test_what_was_joined_for_one_head_is_not_given_for_another(cluster: Cluster) -> None:
    put(cluster, pod("a"))
    mirrors = Mirrors()
    for number in (b"1", b"2", b"1"):
        assert orjson.loads(whole(mirrors, cluster, b'{"n":%b}' % number))["n"] == int(number)


@pytest.mark.django_db
def test_what_was_joined_is_of_these_entries_or_is_not_given(cluster: Cluster) -> None:
    put(cluster, pod("a"), pod("b"))
    mirrors, row = Mirrors(), ClusterFeed.objects.get()
    early = mirrors.entries(cluster, row, "shop")
    put(cluster, pod("c"))
    late = whole(mirrors, cluster)
    late_row = ClusterFeed.objects.get()
    assert mirrors.whole(cluster, row, "shop", early, HEAD) == joined(HEAD, early) != late
    assert whole(mirrors, cluster) is late
    some = early[:1]  # of others the same number, from whoever it comes
    assert mirrors.whole(cluster, late_row, "shop", some, HEAD) == joined(HEAD, some)
    assert whole(mirrors, cluster) is late
    put(cluster, pod("x", "other"))
    assert b'"x"' in whole(mirrors, cluster, namespace="other")
    assert b'"x"' not in whole(mirrors, cluster)


@pytest.mark.django_db
def test_an_empty_list_is_a_list(cluster: Cluster) -> None:
    feed(cluster)
    assert orjson.loads(whole(Mirrors(), cluster)) == {"kind": "PodList", "items": []}


@pytest.mark.django_db
def test_what_was_joined_counts_and_goes_before_any_mirror(cluster: Cluster) -> None:
    for namespace in ("one", "two"):
        put(cluster, *[pod(f"p{n}", namespace, labels={"x": "y" * 1000}) for n in range(10)])
    mirrors = Mirrors(limit=50_000)
    names(mirrors, cluster, "one")
    names(mirrors, cluster, "two")
    plain = mirrors.size
    first = whole(mirrors, cluster, namespace="one")
    assert mirrors.size == plain + len(first)
    second = whole(mirrors, cluster, namespace="two")
    assert mirrors.size == plain + len(second) <= 50_000
    assert [key[3] for key in mirrors._kept] == ["one", "two"]
    assert whole(mirrors, cluster, namespace="one") is not first


@pytest.mark.django_db
def test_too_large_to_be_kept_it_is_answered_all_the_same(cluster: Cluster) -> None:
    put(cluster, pod("a"), pod("b"))
    small = Mirrors(limit=100)
    assert len(orjson.loads(whole(small, cluster))["items"]) == 2
    assert small.size == 0


@pytest.mark.django_db(transaction=True)
def test_many_threads_see_one_order_of_things(cluster: Cluster) -> None:
    put(cluster, *[pod(f"p{n:02}") for n in range(50)])
    mirrors, ended, wrong = Mirrors(), threading.Event(), []

    def read() -> None:
        seen: dict[str, int] = {}
        while not ended.is_set():
            row = ClusterFeed.objects.get(cluster=cluster)
            entries = mirrors.entries(cluster, row, "shop")
            if mirrors.whole(cluster, row, "shop", entries, HEAD) != joined(HEAD, entries):
                wrong.append("joined of others")
            for entry in entries:
                number = int(entry.parsed().get("status", {}).get("message", 0))
                if number < seen.get(entry.name, 0):
                    wrong.append(entry.name)
                seen[entry.name] = number
            if len(seen) != 50:
                wrong.append(f"{len(seen)} pods")
        connection.close()

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, 101):
        put(cluster, pod(f"p{number % 50:02}", status={"message": str(number)}))
    ended.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert last_messages(mirrors, cluster) == {str(number) for number in range(51, 101)}


def last_messages(mirrors: Mirrors, cluster: Cluster) -> set[Any]:
    row = ClusterFeed.objects.get(cluster=cluster)
    return {entry.parsed()["status"]["message"] for entry in mirrors.entries(cluster, row, "shop")}
