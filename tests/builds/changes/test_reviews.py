"""What reviewers are told: that a build began and how it ended, with a vote; once, whatever dies, and never wrongly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import override_settings
from django.utils import timezone

from builds.actions import retry_build
from builds.models import Build, BuildRules, Review
from builds.reviews import TAG, ReviewEngine, link_of
from fangduoduo_release.common import engines, runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.models import InboxItem
from fangduoduo_release.common.sentence import S
from projects import pushes
from projects.models import Project
from tests import world
from tests.builds.changes.conftest import Work, end, reviewed_project
from tests.builds.changes.reviewed import Desk

pytestmark = pytest.mark.django_db
ENGINE: Any = ReviewEngine()
TakeIn = Callable[[], int]
Send = Callable[[], list[str]]


@pytest.fixture
def build(project: Project, work: Work, take_in: TakeIn) -> Build:
    """The build of patch set 1 of change 7."""
    pushes.notice_change(project, work.text(7, 1))
    take_in()
    return Build.objects.get()


def away() -> Unavailable:
    return Unavailable(S("The server is away."))


@pytest.mark.parametrize(
    ("state", "vote", "words"),
    [("succeeded", 1, "succeeded"), ("failed", -1, "failed"), ("unstable", -1, "tests failed"), ("cancelled", None, "cancelled")],
)  # fmt: skip
def test_reviewers_hear_how_it_ended(
    build: Build, desk: Desk, send: Send, state: str, vote: int | None, words: str
) -> None:
    assert send() == ["sent"]
    end(build, state)
    assert send() == ["sent", "sent"]
    started, ended = desk.said
    assert (started.number, started.sha, started.value, started.tag) == (7, build.commit_sha, None, TAG)
    assert (ended.value, ended.tag) == (vote, TAG)
    assert "started" in started.message
    assert words in ended.message
    assert all(link_of(build) in said.message for said in desk.said)


def test_a_build_that_is_no_change_tells_nobody(project: Project, send: Send, desk: Desk) -> None:
    end(world.build(project, state="running"))
    assert send() == []
    assert desk.said == []


def test_votes_and_comments_can_be_switched_off(build: Build, project: Project, desk: Desk, send: Send) -> None:
    BuildRules.objects.update(vote=False)
    end(build)
    send()
    assert [said.value for said in desk.said] == [None]
    BuildRules.objects.update(vote=True, comment=False)
    again = end(retry_build(actor=SYSTEM, build=Build.objects.get()), "failed")
    assert not Review.objects.filter(build=again, what="started").exists()
    send()
    assert desk.said[-1].value == -1  # a vote needs words: the link


def test_nobody_is_told_when_neither_is_wanted(project: Project, work: Work, take_in: TakeIn, send: Send) -> None:
    BuildRules.objects.update(vote=False, comment=False)
    pushes.notice_change(project, work.text(7, 1))
    take_in()
    end(Build.objects.get())
    assert send() == []


def test_the_beginning_is_not_told_after_the_end(build: Build, desk: Desk, send: Send) -> None:
    end(build)
    assert send() == ["late", "sent"]
    assert [said.value for said in desk.said] == [1]


def test_a_text_that_was_replaced_gets_no_last_word(
    build: Build, project: Project, work: Work, take_in: TakeIn, send: Send
) -> None:
    pushes.notice_change(project, work.text(7, 2))
    take_in()
    end(build, "cancelled")
    assert not Review.objects.filter(build=build, what="ended").exists()


def test_a_server_that_is_away_loses_no_vote(build: Build, desk: Desk, send: Send) -> None:
    desk.answers = [away(), away()]
    assert send() == ["new"]
    end(build)
    assert send() == ["late", "new"]
    assert Review.objects.get(what="ended").error  # ops and the page see why it waits
    assert send() == ["late", "sent"]
    assert [said.value for said in desk.said] == [1]


def test_after_a_day_it_is_given_up_with_its_reason(build: Build, desk: Desk, send: Send) -> None:
    desk.answers = [away()]
    Review.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert send() == ["failed"]
    assert "did not answer for a day" in str(Review.objects.get().error)


def test_an_answer_that_was_lost_is_looked_for_and_not_sent_twice(build: Build, desk: Desk, send: Send) -> None:
    send()
    end(build)
    desk.lost = True
    assert send()[-1] == "new"
    assert send()[-1] == "sent"
    assert [said.value for said in desk.said] == [None, 1]
    assert desk.asked == 1


def test_a_process_that_dies_before_it_sends_costs_nothing(build: Build, desk: Desk, send: Send) -> None:
    row = Review.objects.get()
    Review.objects.filter(pk=row.pk).update(next_at=runs.in_seconds(-1))
    runs.claim(Review, row.pk)  # and nothing more: its holder was killed
    Review.objects.update(lease_until=timezone.now() + timedelta(hours=1))
    assert not engines.drive(ENGINE, row.pk)
    Review.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert send() == ["sent"]
    assert len(desk.said) == 1


@pytest.mark.parametrize("code", ["no_label", "bad_vote", "no_permission", "closed"])
def test_where_a_vote_is_refused_the_comment_still_stands(build: Build, desk: Desk, send: Send, code: str) -> None:
    send()
    end(build)
    desk.answers = [Rejected(S("Gerrit has no label “Verified” here."), code=code)]
    assert send()[-1] == "sent"
    assert desk.said[-1].value is None
    assert "no label" in str(Review.objects.get(what="ended").error)


def test_what_is_refused_for_good_is_not_tried_for_ever(build: Build, desk: Desk, send: Send) -> None:
    desk.answers = [Rejected(S("The user may not comment."), code="no_permission")]
    assert send() == ["failed"]
    assert "may not comment" in str(Review.objects.get().error)
    assert desk.said == []


def test_a_project_that_left_its_server_says_so(build: Build, send: Send) -> None:
    Project.objects.update(source_kind="git", source_connection=None, repository="")
    assert send() == ["failed"]
    assert "no longer where changes are reviewed" in str(Review.objects.get().error)


def both(work: Work, take_in: TakeIn, project: Project) -> tuple[Build, Build]:
    """Two projects that build one repository, and their builds of one text."""
    second = reviewed_project("second")
    Project.objects.filter(pk=second.pk).update(repository=project.repository)
    text = work.text(7, 1)
    for one in (project, Project.objects.get(pk=second.pk)):
        pushes.notice_change(one, text)
    take_in()
    first, other = Build.objects.order_by("pk")
    return first, other


def test_two_projects_of_one_repository_vote_as_one(
    project: Project, work: Work, take_in: TakeIn, desk: Desk, send: Send
) -> None:
    first, second = both(work, take_in, project)
    end(first)
    send()
    assert {said.value for said in desk.said} == {None}  # the other one may still fail
    end(second)
    send()
    assert desk.said[-1].value == 1


def test_one_that_fails_votes_against_it_at_once_and_stays_so(
    project: Project, work: Work, take_in: TakeIn, desk: Desk, send: Send
) -> None:
    first, second = both(work, take_in, project)
    end(first, "failed")
    send()
    assert desk.said[-1].value == -1
    end(second)
    send()
    assert desk.said[-1].value == -1
    again = retry_build(actor=SYSTEM, build=Build.objects.get(pk=first.pk))
    end(again)
    send()
    assert desk.said[-1].value == 1  # made again, and good


def test_a_project_that_does_not_vote_holds_up_nobody_elses_vote(
    project: Project, work: Work, take_in: TakeIn, desk: Desk, send: Send
) -> None:
    first, second = both(work, take_in, project)
    BuildRules.objects.filter(project=second.project).update(vote=False)
    end(first)
    send()
    assert [said.value for said in desk.said if "succeeded" in said.message] == [1]


def test_nobody_votes_for_a_text_that_another_project_has_not_looked_at_yet(
    project: Project, work: Work, take_in: TakeIn, desk: Desk, send: Send
) -> None:
    second = reviewed_project("second", debounce_s=500)
    Project.objects.filter(pk=second.pk).update(repository=project.repository)
    text = work.text(7, 1)
    for one in (project, Project.objects.get(pk=second.pk)):
        pushes.notice_change(one, text)
    take_in()
    end(Build.objects.get())
    send()
    assert 1 not in [said.value for said in desk.said]
    old = timezone.now() - timedelta(seconds=501)
    InboxItem.objects.filter(state="new").update(received_at=old, next_at=old)
    take_in()
    end(Build.objects.get(project=second))
    send()
    assert 1 in [said.value for said in desk.said]


def test_a_verdict_that_is_sent_late_does_not_overrule_the_one_after_it(build: Build, desk: Desk, send: Send) -> None:
    """The server was away meanwhile, and messages wait each for itself."""
    end(build, "failed")
    end(retry_build(actor=SYSTEM, build=Build.objects.get(pk=build.pk)))
    newest_first = Review.objects.filter(what="ended").order_by("-pk")
    for pk in list(newest_first.values_list("pk", flat=True)):
        engines.drive(ENGINE, pk)
    assert [said.value for said in desk.said] == [1, None]


@override_settings(LANGUAGE_CODE="zh-hans")
def test_it_speaks_the_portals_language(build: Build, tmp_path: Path) -> None:
    end(build)
    assert link_of(build) in Review.objects.get(what="ended").message


def test_a_thousand_builds_of_changes_leave_a_message_each(
    project: Project, work: Work, take_in: TakeIn, desk: Desk, send: Send
) -> None:
    for number in range(1, 21):
        pushes.notice_change(project, work.text(number, 1))
    InboxItem.objects.update(next_at=Now())
    take_in()
    assert send() == ["sent"] * 20
    assert {said.number for said in desk.said} == set(range(1, 21))
