"""All builds of a server are followed by a handful of requests, and every change is seen, whatever the server does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from builds.drivers.builder.base import InputParameter, InputRequest, StageUpdate
from builds.drivers.builder.remote import Values
from builds.models import Build, RemoteBuild, Stage
from builds.models import InputRequest as InputRow
from builds.remote import follower as following
from builds.remote import looking, watching
from builds.remote.follower import Follower
from builds.remote.watching import watched
from projects.models import Project
from tests import world

from .conftest import placed
from .server import Item, MemoryServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens after so many seconds is far off, so that a machine that stands still for some decides nothing."""
    for module, names in (
        (following, ("STALE_S", "QUESTIONS_EVERY_S", "OTHERS_EVERY_S")),
        (looking, ("LOST_AFTER_S",)),
        (watching, ("WATCHED_S", "AGAIN_S")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, 1000 * getattr(module, name))


class Hands:
    """A clock that stands still, but for what the server is said to take for an answer."""

    def __init__(self) -> None:
        self.answer_s = 0.0
        self._now = 0.0

    def __call__(self) -> float:
        self._now += self.answer_s
        return self._now


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def follower(connection: Any, hands: Hands) -> Follower:
    return Follower(connection.pk, hands)


def told(server: MemoryServer, project: Project) -> tuple[RemoteBuild, Item]:
    """A build that waits in the server's queue."""
    build = world.build(project, state="queued", builder_kind="jenkins", builder_connection=project.builder_connection)
    item = Item(str(build.key), f"fdd/{project.slug}", len(server.items) + 1, Values({}))
    server.items.append(item)
    return placed(build, queue_id=item.queue_id), item


def fresh(row: RemoteBuild) -> RemoteBuild:
    return RemoteBuild.objects.select_related("build").get(pk=row.pk)


def pokes(row: RemoteBuild) -> int:
    return Build.objects.get(pk=row.pk).pokes


def test_no_builds_cost_no_requests(follower: Follower, server: MemoryServer) -> None:
    assert follower.tick(server) == following.ASLEEP_S
    assert not server.asked


def test_what_it_waits_for_is_told_once(follower: Follower, server: MemoryServer, project: Project) -> None:
    row, _ = told(server, project)
    follower.tick(server)
    assert fresh(row).observed == {"waiting_for": "Waiting for next available executor"}
    seen = pokes(row)
    follower.tick(server)
    assert pokes(row) == seen, "nothing changed: nobody is woken"


def test_a_build_that_begins_gets_its_number_and_wakes_its_engine(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    row, item = told(server, project)
    server.begin(item)
    follower.tick(server)
    now = fresh(row)
    assert (now.number, now.ended) == (1, False)
    assert now.observed["url"].endswith("/1/")
    assert pokes(row) == 1


def test_a_build_that_began_and_ended_between_two_looks_is_seen(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    row, item = told(server, project)
    server.end(server.begin(item), "unstable")
    follower.tick(server)
    follower.tick(server)
    now = fresh(row)
    assert (now.number, now.ended, now.observed["state"]) == (1, True, "unstable")


def test_a_build_that_was_cancelled_in_the_queue_has_ended(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    row, item = told(server, project)
    item.cancelled = True
    item.state = "cancelled"
    follower.tick(server)
    assert (fresh(row).ended, fresh(row).observed["state"]) == (True, "cancelled")


def test_a_queue_item_that_was_forgotten_is_found_by_its_key(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    row, item = told(server, project)
    server.begin(item)
    item.queue_id = 4711
    item.state = "succeeded"
    follower.tick(server)
    assert fresh(row).number == 1


def test_many_running_builds_cost_two_requests(follower: Follower, server: MemoryServer, project: Project) -> None:
    rows = [told(server, project) for _ in range(60)]
    for _, item in rows:
        server.begin(item)
    follower.tick(server)
    RemoteBuild.objects.update(detailed_at=timezone.now())
    server.asked.clear()
    for _ in range(5):
        follower.tick(server)
    assert dict(server.asked) == {"census": 10}


def test_many_endings_at_once_cost_one_more(follower: Follower, server: MemoryServer, project: Project) -> None:
    rows = [told(server, project) for _ in range(30)]
    for _, item in rows:
        server.begin(item)
    follower.tick(server)
    for _, item in rows:
        server.end(item, "failed")
    server.asked.clear()
    follower.tick(server)
    assert server.asked["observe_many"] == 1
    assert server.asked["observe"] == 0
    assert RemoteBuild.objects.filter(ended=True).count() == 30
    assert all(pokes(row) >= 2 for row, _ in rows)


def test_a_deleted_build_is_lost_only_after_several_looks(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    row, item = told(server, project)
    server.begin(item)
    follower.tick(server)
    item.forgotten = True
    for _ in range(looking.LOST_AFTER):
        follower.tick(server)
    assert not looking.is_lost(fresh(row)), "a moment of forgetting is not a loss"
    RemoteBuild.objects.update(missed_at=timezone.now() - timedelta(seconds=looking.LOST_AFTER_S + 1))
    before = pokes(row)
    follower.tick(server)
    assert looking.is_lost(fresh(row))
    assert pokes(row) == before + 1


def test_a_build_that_comes_back_was_not_lost(follower: Follower, server: MemoryServer, project: Project) -> None:
    row, item = told(server, project)
    server.begin(item)
    follower.tick(server)
    item.forgotten = True
    follower.tick(server)
    assert fresh(row).missed == 1
    item.forgotten = False
    follower.tick(server)
    assert fresh(row).missed == 0


def test_a_server_that_is_away_is_asked_more_and_more_slowly(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    row, item = told(server, project)
    server.begin(item)
    follower.tick(server)
    server.go_away()
    pauses = [follower.tick(server) for _ in range(8)]
    assert pauses[-1] > pauses[0]
    assert max(pauses) <= following.LONGEST_BACKOFF_S
    assert follower.error is not None
    assert not fresh(row).ended, "a server that is away says nothing of its builds"
    assert fresh(row).missed == 0
    server.away = None
    server.end(item)
    follower.tick(server)
    assert fresh(row).ended
    assert follower.error is None


def test_pace_slows_down_when_nothing_happens_and_hurries_when_something_does(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    row, item = told(server, project)
    assert follower.tick(server) < 1
    server.begin(item)
    follower.tick(server)
    RemoteBuild.objects.update(detailed_at=timezone.now())
    quiet = [follower.tick(server) for _ in range(12)]
    assert following.SLOWEST_S * 0.85 < quiet[-1] < 5.0
    watched(row.pk)
    assert follower.tick(server) < 1


def test_a_slow_server_rests_as_long_as_its_answer_took(
    follower: Follower, server: MemoryServer, project: Project, hands: Hands
) -> None:
    told(server, project)
    hands.answer_s = 20
    assert follower.tick(server) >= 20 * 0.9


def test_stages_of_a_watched_build_fill_the_rows_laid_out(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    row, item = told(server, project)
    for order, name in enumerate(("Build", "Test")):
        Stage.objects.create(build=row.build, ident=name.lower(), name=name, order=order)
    server.begin(item)
    now = timezone.now()
    item.stages = [
        StageUpdate("10", None, "Build", "succeeded", started_at=now, finished_at=now),
        StageUpdate("16", None, "Test", "running", started_at=now),
        StageUpdate("40", None, "Declarative: Post Actions", "running", kind="post", started_at=now),
    ]
    watched(row.pk)
    follower.tick(server)
    states = {s.ident: s.state for s in Stage.objects.filter(build=row.build)}
    assert states == {"build": "succeeded", "test": "running", "node-40": "running"}
    seq = Build.objects.get(pk=row.pk).event_seq
    RemoteBuild.objects.update(detailed_at=None)
    follower.tick(server)
    assert Build.objects.get(pk=row.pk).event_seq == seq, "the same stages again are no event"


def test_two_stages_of_one_name_fill_two_rows(follower: Follower, server: MemoryServer, project: Project) -> None:
    row, item = told(server, project)
    for order, ident in enumerate(("left-test", "right-test")):
        Stage.objects.create(build=row.build, ident=ident, name="Test", order=order)
    server.begin(item)
    item.stages = [StageUpdate("10", None, "Test", "failed"), StageUpdate("16", None, "Test", "skipped")]
    watched(row.pk)
    follower.tick(server)
    assert list(Stage.objects.filter(build=row.build).values_list("ident", "state")) == [
        ("left-test", "failed"),
        ("right-test", "skipped"),
    ]


def test_a_question_is_shown_and_closed_when_jenkins_was_answered(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    row, item = told(server, project)
    server.begin(item).asks = True
    asked = InputRequest("abc", None, "Deploy?", ok="Go", parameters=(InputParameter("WHY", "string", "x"),))
    item.questions = [asked]
    follower.tick(server)
    question = InputRow.objects.get(build=row.build)
    assert (question.ident, question.message, question.ok_label, question.answer) == ("abc", "Deploy?", "Go", "")
    item.questions = []
    RemoteBuild.objects.update(detailed_at=None)
    follower.tick(server)
    question.refresh_from_db()
    assert (question.answer, question.answered_by, question.passed_on) == ("proceed", "Jenkins", True)


def test_a_build_that_asks_nothing_costs_no_question(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    row, item = told(server, project)
    server.begin(item)
    watched(row.pk)
    follower.tick(server)
    assert server.asked["questions"] == 0


def test_a_hundred_viewers_are_one(project: Project, server: MemoryServer, django_assert_num_queries: Any) -> None:
    row, _ = told(server, project)
    watched(row.pk)
    first = fresh(row).watched_until
    with django_assert_num_queries(20):
        for _ in range(20):
            watched(row.pk)
    assert fresh(row).watched_until == first


def test_nobody_watches_what_has_been_read(project: Project, server: MemoryServer) -> None:
    row, _ = told(server, project)
    RemoteBuild.objects.filter(pk=row.pk).update(log_complete=True)
    watched(row.pk)
    assert fresh(row).watched_until is None


def begun(follower: Follower, server: MemoryServer, project: Project, count: int) -> list[tuple[RemoteBuild, Item]]:
    """So many builds that run and were seen."""
    made = [told(server, project) for _ in range(count)]
    for _, item in made:
        server.begin(item)
    follower.tick(server)
    return made


def test_keys_are_asked_for_only_while_a_build_has_no_number(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    begun(follower, server, project, 3)
    server.keys.clear()
    follower.tick(server)
    row, item = told(server, project)
    follower.tick(server)
    server.begin(item)
    follower.tick(server)
    assert fresh(row).number == 4
    follower.tick(server)
    assert server.keys == [False, True, True, False]


def test_a_build_that_waits_as_before_is_not_written_down_again(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    row, _ = told(server, project)
    follower.tick(server)
    seen = fresh(row).observed_at
    follower.tick(server)
    assert fresh(row).observed_at == seen
    long_ago = timezone.now() - timedelta(seconds=following.STALE_S + 1)
    RemoteBuild.objects.update(observed_at=long_ago)
    follower.tick(server)
    assert fresh(row).observed_at > long_ago, "but now and then that it was seen"


def test_what_was_not_written_down_is_tried_again(follower: Follower, server: MemoryServer, project: Project) -> None:
    waits, _ = told(server, project)
    (ended, item) = told(server, project)
    server.begin(item)
    RemoteBuild.objects.filter(pk=ended.pk).update(number=item.number)
    server.end(item)
    server.broken.add("observe_many")
    follower.tick(server)
    assert follower.failures == 1
    server.broken.clear()
    follower.tick(server)
    assert fresh(waits).observed == {"waiting_for": "Waiting for next available executor"}
    assert fresh(ended).ended


def test_a_job_made_anew_counts_from_one_and_holds_up_nobody(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    (old, first), (other, second) = begun(follower, server, project, 2)
    first.forgotten = second.forgotten = True  # job and builds were deleted
    new, again = told(server, project)
    again.number, again.state = 1, "running"
    for _ in range(looking.LOST_AFTER):
        follower.tick(server)
    assert (fresh(old).missed, fresh(old).ended, fresh(new).number) == (looking.LOST_AFTER, False, None)
    assert fresh(other).missed >= looking.LOST_AFTER, "the tick went on"
    RemoteBuild.objects.filter(pk=old.pk).update(ended=True)  # as the engine does with one that is lost
    follower.tick(server)
    assert fresh(new).number == 1


def test_a_twin_does_not_keep_an_ended_build_running(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    ((row, item),) = begun(follower, server, project, 1)
    server.items.append(Item(item.key, item.job, 99, item.values, number=7, state="running"))
    told(server, project)  # somebody waits: keys are told
    server.end(item)
    follower.tick(server)
    assert (fresh(row).number, fresh(row).ended) == (1, True)


def test_whom_no_question_was_left_for_is_asked_for_soon(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    rows = begun(follower, server, project, 6)
    RemoteBuild.objects.update(detailed_at=timezone.now())
    for _ in range(8):
        follower.tick(server)
    for _, item in rows:
        server.end(item)
    server.most = 4
    assert follower.tick(server) < 1
    assert RemoteBuild.objects.filter(ended=True).count() == 4
    follower.tick(server)
    assert RemoteBuild.objects.filter(ended=True).count() == 6


def test_watched_builds_get_their_stages_in_turn(follower: Follower, server: MemoryServer, project: Project) -> None:
    rows = begun(follower, server, project, 3 * following.DETAILS)
    RemoteBuild.objects.update(detailed_at=timezone.now() - timedelta(seconds=5))
    for row, _ in rows:
        watched(row.pk)
    before = timezone.now()
    for _ in range(3):
        follower.tick(server)
    assert RemoteBuild.objects.filter(detailed_at__gte=before).count() == len(rows)


def test_a_build_that_asks_comes_before_those_that_only_run(
    follower: Follower, server: MemoryServer, project: Project
) -> None:
    rows = begun(follower, server, project, 5)
    row, item = rows[-1]
    item.asks = True
    item.questions = [InputRequest("abc", None, "Deploy?")]
    RemoteBuild.objects.update(detailed_at=timezone.now() - timedelta(seconds=following.OTHERS_EVERY_S + 1))
    follower.tick(server)
    assert InputRow.objects.get().build_id == row.pk
