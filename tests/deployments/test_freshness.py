"""How old what is shown is: of clusters that are followed as old as the slowest of their feeds, of others as the last look."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from clusters.models import Cluster, Machine
from clusters.observed_models import ClusterFeed
from clusters.runtimes import SEEN
from deployments.freshness import FOLLOWED, Knowledge, of_services
from deployments.models import Service
from tests import world

pytestmark = pytest.mark.django_db


@pytest.fixture
def east() -> Cluster:
    return Cluster.objects.create(name="east", kind="kubernetes")


def on(cluster: Cluster) -> Service:
    number = Machine.objects.count()
    machine = Machine.objects.create(name=f"place{number}", cluster=cluster, placement={"namespace": f"n{number}"})
    return Service.objects.create(project=world.bare_project(), machine=machine)


def feeds(cluster: Cluster, at: datetime, *, without: str = "", **late: timedelta) -> None:
    for resource in SEEN:
        if resource != without:
            seen = at - late.get(resource, timedelta())
            ClusterFeed.objects.create(cluster=cluster, resource=resource, seen_at=seen, synced_at=seen)


def known(service: Service) -> Knowledge:
    return of_services([service])[service.pk]


def test_a_cluster_is_as_new_as_the_slowest_of_its_feeds(east: Cluster) -> None:
    service, now = on(east), timezone.now()
    feeds(east, now, pods=timedelta(seconds=10))
    assert known(service) == Knowledge(now - timedelta(seconds=10), followed=True)


@pytest.mark.parametrize("late", SEEN)
def test_one_feed_that_stands_still_is_enough_to_say_so(east: Cluster, late: str) -> None:
    service = on(east)
    feeds(east, timezone.now(), **{late: FOLLOWED + timedelta(seconds=5)})
    assert not known(service).followed


@pytest.mark.parametrize("missing", SEEN)
def test_without_one_of_them_nothing_is_known(east: Cluster, missing: str) -> None:
    service = on(east)
    feeds(east, timezone.now(), without=missing)
    assert known(service) == Knowledge(None, followed=False)


def test_what_was_never_read_in_whole_is_not_known(east: Cluster) -> None:
    service = on(east)
    feeds(east, timezone.now())
    ClusterFeed.objects.filter(resource="pods").update(synced_at=None)
    assert known(service).seen_at is None


def test_a_place_that_is_looked_at_is_as_old_as_the_last_look(east: Cluster) -> None:
    """What this host runs is looked at by whoever asks; that a cluster beside it is not followed does not matter."""
    service, looked = Service.objects.create(project=world.bare_project(), machine=world.machine()), timezone.now()
    assert known(service) == Knowledge(None, followed=True)
    service.observed_at = looked
    assert known(service) == Knowledge(looked, followed=True)


def test_many_services_are_one_question_and_each_cluster_speaks_for_itself(
    east: Cluster, django_assert_num_queries: Any
) -> None:
    west = Cluster.objects.create(name="west", kind="kubernetes")
    services = [on(east), on(east), on(west)]
    local = Service.objects.create(project=world.bare_project(), machine=world.machine())
    feeds(east, timezone.now())
    with django_assert_num_queries(1):
        found = of_services([*services, local])
    assert [found[one.pk].followed for one in (*services, local)] == [True, True, False, True]


def test_of_none_nobody_is_asked(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert of_services([]) == {}


def test_an_age_is_in_milliseconds_and_never_before_now() -> None:
    age = Knowledge(timezone.now() - timedelta(seconds=90), followed=False).age_ms
    assert age is not None
    assert 90_000 <= age < 120_000
    assert Knowledge(timezone.now() + timedelta(seconds=90), followed=True).age_ms == 0
    assert Knowledge(None, followed=False).age_ms is None
