"""What a runtime observed becomes rows and one piece of news when something that people see changed, and else nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from clusters.drivers.runtime.base import Instance as Seen
from clusters.drivers.runtime.base import Observed, ServiceRef
from deployments.models import Instance, Service
from deployments.observing import LONGEST, LONGEST_URL, store
from fangduoduo_release.common.models import Event
from fangduoduo_release.common.sentence import S
from tests import world

pytestmark = pytest.mark.django_db
DIGEST, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
AT = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)


@pytest.fixture
def service() -> Service:
    return Service.objects.create(project=world.bare_project(), machine=world.machine())


def seen(name: str = "shop-1", **facts: Any) -> Seen:
    return Seen(**{"name": name, "state": "running", "ready": True, "current": True, "digest": DIGEST, **facts})


def observed(*instances: Seen, **facts: Any) -> Observed:
    ready = sum(one.ready for one in instances)
    known = {"state": "ready", "generation": 2, "manifest_sha256": "", "ready": ready, "total": 2, "settled": True}
    return Observed(service=ServiceRef("key"), instances=instances, **{**known, **facts})


def news(service: Service) -> list[dict[str, Any]]:
    return [event.data for event in Event.objects.filter(topic=service.topic, kind="observed").order_by("seq")]


def test_the_first_look_is_kept_and_told(service: Service) -> None:
    assert store(service, observed(seen("a"), seen("b")))
    service.refresh_from_db()
    assert (service.state, service.ready, service.total, service.observed_digest) == ("healthy", 2, 2, DIGEST)
    assert [one.name for one in service.instances.all()] == ["a", "b"]
    assert news(service) == [{"ready": 2, "total": 2, "state": "healthy"}]


def test_the_same_again_is_no_news_but_was_looked_at(service: Service) -> None:
    store(service, observed(seen("a")))
    Service.objects.update(observed_at=AT)
    before = list(Instance.objects.values())
    assert not store(service, observed(seen("a")))
    service.refresh_from_db()
    assert service.observed_at != AT
    assert len(news(service)) == 1
    assert list(Instance.objects.values()) == before


@pytest.mark.parametrize(
    "change",
    [
        {"ready": False}, {"state": "draining"}, {"restarts": 1}, {"digest": OTHER}, {"node": "node-2"}, {"port": 81},
        {"started_at": AT}, {"reason": S("It was killed.")}, {"containers": ("app", "proxy")},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_whatever_people_see_of_an_instance_is_news_when_it_changes(service: Service, change: dict[str, Any]) -> None:
    first = seen("a", node="node-1", port=80)
    store(service, observed(first))
    assert store(service, observed(replace(first, **change)))
    assert not store(service, observed(replace(first, **change))), "what was kept is not what was seen"
    assert len(news(service)) == 2


@pytest.mark.parametrize(
    "change",
    [{"state": "degraded"}, {"total": 3}, {"url": "https://shop.example"}, {"drift": (S("Somebody scaled it."),)}],
    ids=lambda change: next(iter(change)),
)
def test_and_of_the_service(service: Service, change: dict[str, Any]) -> None:
    store(service, observed(seen("a")))
    assert store(service, observed(seen("a"), **change))
    assert not store(service, observed(seen("a"), **change))


def test_what_people_do_not_see_is_none(service: Service) -> None:
    store(service, observed(seen("a", pid=7), generation=2, settled=False))
    assert not store(service, observed(seen("a", pid=8), generation=4, settled=True, doing=S("Waiting.")))


def test_an_instance_that_is_gone_leaves_and_the_others_stay_as_they_are(service: Service) -> None:
    store(service, observed(seen("a"), seen("b"), seen("c")))
    kept = {one.name: one.pk for one in service.instances.all()}
    store(service, observed(seen("a"), seen("c", ready=False)))
    assert {one.name: one.pk for one in service.instances.all()} == {"a": kept["a"], "c": kept["c"]}


def test_of_another_service_nothing_is_touched(service: Service) -> None:
    other = Service.objects.create(project=service.project, machine=world.machine())
    store(other, observed(seen("a")))
    store(service, observed(seen("a", ready=False)))
    store(service, observed(state="absent", total=0))
    assert [(one.service_id, one.ready) for one in Instance.objects.all()] == [(other.pk, True)]


@pytest.mark.parametrize(
    ("state", "ready", "shown"),
    [
        ("absent", 0, "absent"), ("converging", 1, "changing"), ("removing", 0, "changing"), ("ready", 2, "healthy"),
        ("degraded", 1, "degraded"), ("stopped", 0, "down"), ("failed", 0, "down"), ("failed", 1, "degraded"),
        ("something new", 0, "unknown"),
    ],
)  # fmt: skip
def test_what_a_state_is_called(service: Service, state: str, ready: int, shown: str) -> None:
    """Of what failed while something still answers nobody says that it is down."""
    store(service, observed(state=state, ready=ready))
    service.refresh_from_db()
    assert service.state == shown


def test_the_digest_is_that_of_all_that_stay_and_none_where_they_differ(service: Service) -> None:
    for instances, digest in (
        ((seen("a"), seen("b")), DIGEST),
        ((seen("a"), seen("b", digest=OTHER)), ""),
        ((seen("a"), seen("b", digest=OTHER, state="draining")), DIGEST),
        ((seen("a"), seen("b", digest="")), DIGEST),
        ((), ""),
    ):
        store(service, observed(*instances))
        service.refresh_from_db()
        assert service.observed_digest == digest


def test_names_that_are_longer_than_what_is_kept_are_cut_once_and_not_news_for_ever(service: Service) -> None:
    long = observed(seen("a", node="n" * 253, port=8080), url="https://" + "u" * 400)
    assert store(service, long)
    assert not store(service, long)
    service.refresh_from_db()
    (one,) = service.instances.all()
    assert (len(one.node), len(one.address), len(service.url)) == (LONGEST, LONGEST, LONGEST_URL)


def test_where_there_is_no_port_there_is_no_address(service: Service) -> None:
    store(service, observed(seen("a", node="node-1")))
    assert [(one.node, one.address) for one in service.instances.all()] == [("node-1", "")]
    store(service, observed(seen("a", node="node-1", port=8080)))
    assert [one.address for one in service.instances.all()] == ["node-1:8080"]
