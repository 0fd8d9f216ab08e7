"""A token ran out: what was pushed waits for whoever mends it, and the server is asked seldom with what it refuses."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from builds.intake import PushIntake
from builds.models import Build
from fangduoduo_release.common import engines
from fangduoduo_release.common.errors import AppError, Rejected
from fangduoduo_release.common.models import Connection, InboxItem
from fangduoduo_release.common.sentence import S
from projects import pushes, refused
from projects.drivers.source.base import Moved, PushEvent
from projects.models import BranchTip, Project
from projects.watching import compare_tips
from tests.simulators.gerrit_rig import PASSWORD, USER, Rig
from tests.waiting import until

from .ground import Hubs, make_project, wait_listening

MASTER = "refs/heads/master"
ASKED = "/a/"


def expire(rig: Rig) -> None:
    rig.gerrit.faults.change_password(USER, "another")
    rig.gerrit.requests.clear()


def mend(rig: Rig) -> None:
    rig.gerrit.faults.change_password(USER, PASSWORD)


def told(rig: Rig, connection: Connection, project: Project) -> InboxItem:
    """A push that the stream tells of."""
    old = BranchTip.objects.values_list("sha", flat=True).get(project=project, ref=MASTER)
    new = rig.gerrit.push(project.repository)
    event = PushEvent(MASTER, old, new)
    pushes.take(connection, [Moved(project.repository, event)], pushes.Heard.now(pushes.Via.STREAM))
    return InboxItem.objects.latest("pk")


def take_in() -> None:
    for pk in InboxItem.objects.filter(state="new").order_by("next_at").values_list("pk", flat=True):
        engines.drive(cast(Any, PushIntake()), pk)


def due() -> None:
    InboxItem.objects.filter(state="new").update(next_at=Now())


def now(item: InboxItem) -> InboxItem:
    item.refresh_from_db()
    return item


def test_a_push_waits_long_and_says_why_and_builds_when_it_is_mended(
    gerrit_rig: Rig, connection: Connection, app: Project
) -> None:
    expire(gerrit_rig)
    item = told(gerrit_rig, connection, app)
    begun = timezone.now()
    for _ in range(engines.MAX_ATTEMPTS + 3):
        due()
        take_in()
    item = now(item)
    assert (item.state, item.needs_ops) == ("new", False)
    assert "does not accept the user" in str(item.error)
    assert item.next_at is not None
    assert item.next_at > begun + timedelta(seconds=50)
    mend(gerrit_rig)
    due()
    take_in()
    assert Build.objects.get().commit_sha == item.payload["new"]
    assert now(item).error is None


def test_one_push_knocks_for_all_of_the_server(gerrit_rig: Rig, connection: Connection, app: Project) -> None:
    projects = [app, *(make_project(gerrit_rig, connection, f"team/{name}", slug=name) for name in "abcd")]
    for project in projects:
        told(gerrit_rig, connection, project)
    expire(gerrit_rig)
    first = InboxItem.objects.order_by("next_at")[0]
    begun = timezone.now()
    take_in()
    assert gerrit_rig.gerrit.requests.count(ASKED) == 1
    waits = InboxItem.objects.filter(state="new", next_at__gt=begun + timedelta(seconds=50))
    assert waits.count() == len(projects)
    assert all("does not accept the user" in str(item.error) for item in waits)
    assert InboxItem.objects.order_by("-next_at")[0] == first, "next time another one knocks"


def test_after_a_day_it_is_for_ops_and_the_first_good_comparison_lets_it_go_on(
    gerrit_rig: Rig, connection: Connection, app: Project
) -> None:
    expire(gerrit_rig)
    item = told(gerrit_rig, connection, app)
    InboxItem.objects.update(received_at=timezone.now() - timedelta(hours=25))
    take_in()
    assert now(item).needs_ops
    assert "does not accept the user" in str(item.error)
    with pytest.raises(Rejected):
        pushes.compare(app)
    mend(gerrit_rig)
    pushes.compare(Project.objects.get(pk=app.pk))
    assert not now(item).needs_ops
    take_in()
    assert Build.objects.get().commit_sha == item.payload["new"]


def test_the_duty_asks_once_for_all_projects_of_the_server_and_each_time_for_another(
    gerrit_rig: Rig, connection: Connection, app: Project
) -> None:
    for name in "abcd":
        make_project(gerrit_rig, connection, f"team/{name}", slug=name)
    expire(gerrit_rig)
    Project.objects.update(polled_at=None)
    compare_tips()
    assert gerrit_rig.gerrit.requests.count(ASKED) == 1
    compare_tips()
    assert gerrit_rig.gerrit.requests.count(ASKED) == 1
    troubled = Project.objects.get(source_error__isnull=False)
    assert Project.objects.order_by("-polled_at")[0] == troubled, "the last one next time"


def test_the_listeners_comparison_asks_once_for_all_projects_of_the_server(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    for name in "abcdefgh":
        make_project(gerrit_rig, connection, f"team/{name}", slug=name)
    expire(gerrit_rig)  # of HTTP: it listens over SSH with its key
    hubs.start()
    wait_listening(connection)
    assert until(lambda: gerrit_rig.gerrit.requests.count(ASKED)) == 1


def test_a_right_that_lacks_for_one_project_holds_up_no_other(
    gerrit_rig: Rig, connection: Connection, app: Project
) -> None:
    other = make_project(gerrit_rig, connection, "team/other", slug="other")
    refused_one, goes_on = told(gerrit_rig, connection, app), told(gerrit_rig, connection, other)
    gerrit_rig.gerrit.faults.status(403, "team.*app")
    take_in()
    assert now(refused_one).state == "new"
    assert not now(refused_one).needs_ops
    assert now(goes_on).state == "done"
    Project.objects.update(polled_at=None)
    gerrit_rig.gerrit.requests.clear()
    compare_tips()
    assert gerrit_rig.gerrit.requests.count("other")


@pytest.mark.parametrize(
    ("error", "refusal", "of_account"),
    [
        (Rejected(S("x"), code="bad_credentials"), True, True),
        (Rejected(S("x"), code="no_permission"), True, False),
        (Rejected(S("x"), code="authentication_failed", evidence="fatal: Authentication failed for …"), True, True),
        (Rejected(S("x"), code="authentication_failed", evidence="The requested URL returned error: 403"), True, False),
        (Rejected(S("x"), code="not_a_repository"), False, False),
        (AppError(S("x"), code="bad_credentials"), False, False),
    ],
)
def test_what_counts_as_a_refusal(error: AppError, refusal: bool, of_account: bool) -> None:
    assert (refused.is_refusal(error), refused.is_of_account(error)) == (refusal, of_account)
