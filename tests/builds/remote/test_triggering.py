"""A build is told to the server once, whatever is lost on the way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from builds.models import Build, RemoteBuild
from builds.remote import triggering
from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.models import Event, Step

from .conftest import claimed, placed
from .server import MemoryServer, moved

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request does not settle while a busy machine goes from one line to the next."""
    monkeypatch.setattr(triggering, "SETTLE_S", 3600.0)


@pytest.fixture
def row(build: Build, server: MemoryServer) -> RemoteBuild:
    found = placed(build)
    server.jobs[found.job] = {}
    return found


def age_attempts(by_s: float) -> None:
    for step in Step.objects.filter(name=triggering.NAME):
        Step.objects.filter(pk=step.pk).update(created_at=step.created_at - timedelta(seconds=by_s))


def test_the_first_time_it_is_told_and_the_place_is_kept(build: Build, row: RemoteBuild, server: MemoryServer) -> None:
    held = claimed(build)
    place = triggering.once(held, row, server)
    assert place.queue_id == server.items[0].queue_id
    assert server.items[0].key == str(build.key)
    again = triggering.once(held, row, server)
    assert again.queue_id == place.queue_id
    assert server.asked["trigger"] == 1


def test_it_carries_repository_commit_and_key(build: Build, row: RemoteBuild, server: MemoryServer) -> None:
    triggering.once(claimed(build), row, server)
    sent = server.items[0].values.plain
    assert sent["FDD_COMMIT"] == build.commit_sha
    assert sent["FDD_REF"] == "refs/heads/main"
    assert sent["FDD_REPOSITORY"].endswith(f"/git/{build.project.slug}.git")


def test_a_lost_answer_is_found_again_by_the_key(build: Build, row: RemoteBuild, server: MemoryServer) -> None:
    server.lose_answers = 1
    with pytest.raises(Unavailable, match="lost"):
        triggering.once(claimed(build), row, server)
    assert triggering.began(build)
    place = triggering.once(claimed(build), row, server)
    assert place.queue_id == server.items[0].queue_id
    assert len(server.items) == 1
    assert Event.objects.filter(kind="found_again").exists()


def test_a_lost_request_is_looked_for_before_it_is_told_again(
    build: Build, row: RemoteBuild, server: MemoryServer
) -> None:
    server.lose_requests = 1
    with pytest.raises(Unavailable):
        triggering.once(claimed(build), row, server)
    with pytest.raises(Unavailable) as unsure:
        triggering.once(claimed(build), row, server)
    assert unsure.value.code == "not_sure_yet"
    assert server.asked["trigger"] == 1, "not told again while the first request may still arrive"
    age_attempts(triggering.SETTLE_S + 1)
    place = triggering.once(claimed(build), row, server)
    assert place.queue_id == server.items[0].queue_id
    assert server.asked["trigger"] == 2
    assert len(server.items) == 1


def test_a_request_that_arrives_late_after_all_is_stopped_as_a_twin(
    build: Build, row: RemoteBuild, server: MemoryServer
) -> None:
    server.lose_requests = 1
    with pytest.raises(Unavailable):
        triggering.once(claimed(build), row, server)
    age_attempts(triggering.SETTLE_S + 1)
    held = claimed(build)
    place = triggering.once(held, row, server)
    late = moved(server.items[0], queue_id=99)
    server.items.append(late)
    row.queue_id, row.number = place.queue_id, server.begin(server.items[0]).number
    assert triggering.stop_twins(held, row, server) == 1
    assert late.cancelled
    assert server.items[0].state == "running"


def test_without_a_second_attempt_nobody_looks_for_twins(build: Build, row: RemoteBuild, server: MemoryServer) -> None:
    held = claimed(build)
    triggering.once(held, row, server)
    assert triggering.stop_twins(held, row, server) == 0
    assert server.asked["twins"] == 0


def test_a_server_that_cannot_be_reached_was_not_told(build: Build, row: RemoteBuild, server: MemoryServer) -> None:
    server.go_away()
    with pytest.raises(Unavailable):
        triggering.once(claimed(build), row, server)
    assert not triggering.began(build)
    server.away = None
    triggering.once(claimed(build), row, server)
    assert len(server.items) == 1


def test_a_process_that_died_in_the_middle_is_followed_by_a_look(
    build: Build, row: RemoteBuild, server: MemoryServer
) -> None:
    """The intent is there, the outcome is not: as kill -9 between request and commit leaves it."""
    held = claimed(build)
    triggering.once(held, row, server)
    Step.objects.filter(name=triggering.NAME).update(outcome=None, done_at=None)
    place = triggering.once(claimed(build), row, server)
    assert place.queue_id == server.items[0].queue_id
    assert server.asked["trigger"] == 1


def test_a_cancelled_build_is_not_told_again(build: Build, row: RemoteBuild, server: MemoryServer) -> None:
    server.lose_requests = 1
    with pytest.raises(Unavailable):
        triggering.once(claimed(build), row, server)
    age_attempts(triggering.SETTLE_S + 1)
    Build.objects.filter(pk=build.pk).update(cancel_requested_at=timezone.now(), cancel_requested_by="ann")
    with pytest.raises(Unavailable):
        triggering.once(claimed(build), row, server)
    assert not triggering.began(build)
    assert not server.items


def test_a_refusal_is_told_and_counts_as_not_started(build: Build, row: RemoteBuild, server: MemoryServer) -> None:
    server.jobs.clear()
    with pytest.raises(Rejected) as refused:
        triggering.once(claimed(build), row, server)
    assert refused.value.code == "job_gone"
    assert not triggering.began(build)
    server.jobs[row.job] = {}
    triggering.once(claimed(build), row, server)
    assert len(server.items) == 1
