"""From a notice to a build: rules are heeded, each no leaves its sentence, later pushes make earlier builds needless."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from builds.actions import cancel_build, retry_build, start_build
from builds.agents.specs import change_marks, marks_of
from builds.intake import LAG, PushIntake
from builds.models import Build, BuildRules, ChangeBuild
from builds.versions import make_version
from deployments.models import Deployment, Service
from fangduoduo_release.common import engines
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.models import Event, InboxItem
from projects import pushes
from projects.drivers.source.base import ZERO, PushEvent, Repository
from projects.models import BranchTip, Project
from projects.noticing import PACE_S
from projects.sources import source_of
from tests import world
from tests.builds.changes.conftest import Work, clone_of, end, reviewed_project
from tests.builds.changes.reviewed import Desk
from tests.projects.git.conftest import git

pytestmark = pytest.mark.django_db
TakeIn = Callable[[], int]
FLOOD = 70  # pushes: most of them have to stand back, and the last ones for seconds


def rules(project: Project, **facts: object) -> None:
    BuildRules.objects.filter(project=project).update(**facts)


def pushed(project: Project, work: Work, ref: str = "refs/heads/main", **commit: str) -> PushEvent:
    """A push of one commit, noticed."""
    tip = BranchTip.objects.filter(project=project, ref=ref).first()
    event = PushEvent(ref, tip.sha if tip else ZERO, work.commit(**commit))
    work.push(f"HEAD:{ref}")
    pushes.notice(project, event)
    return event


def said() -> str:
    """Why the newest item made no build."""
    return str((InboxItem.objects.latest("pk").result or {}).get("skipped", {}).get("msgid", ""))


# -- pushes -------------------------------------------------------------------------------------------------------


def test_an_item_says_which_build_it_made_and_how_long_that_took(project: Project, work: Work, take_in: TakeIn) -> None:
    pushed(project, work)
    take_in()
    item, build = InboxItem.objects.get(), Build.objects.get()
    assert item.state == "done"
    assert item.topic == pushes.topic_of(project)
    assert item.result is not None
    assert (item.result["build"], item.result["number"]) == (build.pk, build.number)
    assert 0 <= item.result["latency_ms"] < 60_000


@pytest.mark.parametrize(
    ("facts", "commit", "why"),
    [
        ({"branches": ["release/*"]}, {}, "do not build the branch"),
        ({}, {"message": "Docs only [skip ci]"}, "message says"),
        ({"paths": ["src/**"]}, {"name": "README.md"}, "Nothing was changed"),
    ],
)
def test_what_the_rules_leave_out_says_why(
    project: Project, work: Work, take_in: TakeIn, facts: dict[str, object], commit: dict[str, str], why: str
) -> None:
    rules(project, **facts)
    pushed(project, work, **commit)
    take_in()
    assert not Build.objects.exists()
    assert why in said()
    assert InboxItem.objects.get().state == "done"


def test_paths_are_compared_over_the_whole_push(project: Project, work: Work, take_in: TakeIn) -> None:
    rules(project, paths=["src/**"])
    old = work.head()
    work.commit("src/a.py")
    new = work.commit("README.md")  # the last commit alone would not build
    work.push()
    pushes.notice(project, PushEvent("refs/heads/main", old, new))
    take_in()
    assert Build.objects.get().commit_sha == new


def test_a_new_branch_builds_whatever_it_holds(project: Project, work: Work, take_in: TakeIn) -> None:
    rules(project, paths=["src/**"])
    pushed(project, work, "refs/heads/topic", name="README.md")
    take_in()
    assert Build.objects.get().ref == "refs/heads/topic"


def test_a_deletion_builds_nothing_and_says_so(project: Project, work: Work, take_in: TakeIn) -> None:
    pushed(project, work, "refs/heads/topic")
    pushes.notice(project, PushEvent("refs/heads/topic", work.head(), ZERO))
    take_in()
    assert Build.objects.count() == 1
    assert "deleted" in said()


def test_a_rewritten_branch_builds_what_it_is_now(project: Project, work: Work, take_in: TakeIn) -> None:
    first = work.head()
    pushed(project, work)
    take_in()
    gone = work.head()
    git("reset", "--quiet", "--hard", first, cwd=work.folder)
    new = work.commit(message="Think again")
    work.push()
    pushes.notice(project, PushEvent("refs/heads/main", gone, new, forced=True))
    take_in()
    assert list(Build.objects.order_by("pk").values_list("commit_sha", flat=True)) == [gone, new]
    assert InboxItem.objects.latest("pk").payload["forced"] is True


def test_while_somebody_still_pushes_only_the_last_push_builds(project: Project, work: Work, take_in: TakeIn) -> None:
    rules(project, debounce_s=500)
    first, last = pushed(project, work), pushed(project, work)
    take_in()
    assert not Build.objects.exists()
    waits = InboxItem.objects.filter(state="new")
    assert waits.count() == 2
    assert all(row.next_at and row.next_at > timezone.now() + timedelta(seconds=300) for row in waits)
    waits.update(received_at=timezone.now() - timedelta(seconds=501), next_at=Now())
    take_in()
    assert Build.objects.get().commit_sha == last.new != first.new
    assert "followed within" in str(InboxItem.objects.order_by("pk")[0].result)


def test_a_push_of_another_branch_does_not_wait_for_this_one(project: Project, work: Work, take_in: TakeIn) -> None:
    rules(project, debounce_s=30)
    pushed(project, work)
    pushed(project, work, "refs/heads/other")
    InboxItem.objects.update(received_at=timezone.now() - timedelta(seconds=31))
    take_in()
    assert Build.objects.count() == 2


def test_older_builds_of_a_branch_are_stopped_where_that_is_wanted(
    project: Project, work: Work, take_in: TakeIn
) -> None:
    pushed(project, work)
    pushed(project, work)
    take_in()
    assert not Build.objects.exclude(cancel_requested_at=None).exists()  # not wanted: changes only
    rules(project, cancel=BuildRules.Cancel.BRANCHES)
    pushed(project, work, "refs/heads/other")
    pushed(project, work)
    take_in()
    stopped = Build.objects.exclude(cancel_requested_at=None)
    assert {build.ref for build in stopped} == {"refs/heads/main"}
    assert stopped.count() == 2
    assert Event.objects.filter(kind="superseded").count() == 2


def test_builds_of_a_branch_that_is_being_deployed_are_left_alone(
    project: Project, work: Work, take_in: TakeIn
) -> None:
    rules(project, cancel=BuildRules.Cancel.BRANCHES)
    pushed(project, work)
    take_in()
    project.refresh_from_db()
    version = world.version(project, ref="refs/heads/main")
    service = Service.objects.create(project=project, machine=world.granted(project))
    Deployment.objects.create(service=service, number=1, action="deploy", version=version, state="running")
    pushed(project, work)
    take_in()
    assert Build.objects.filter(trigger="push").count() == 2
    assert not Build.objects.exclude(cancel_requested_at=None).exists()


def test_an_older_push_that_is_taken_in_later_does_not_stop_the_build_of_the_newer_one(
    project: Project, work: Work
) -> None:
    """Two workers take in two pushes at once, and the second one is faster."""
    rules(project, cancel=BuildRules.Cancel.BRANCHES)
    older, newer = pushed(project, work), pushed(project, work)
    for item in InboxItem.objects.order_by("-pk"):
        engines.drive(cast(Any, PushIntake()), item.pk)
    assert list(Build.objects.order_by("pk").values_list("commit_sha", flat=True)) == [newer.new, older.new]
    assert not Build.objects.exclude(cancel_requested_at=None).filter(commit_sha=newer.new).exists()


def test_a_build_that_somebody_started_is_never_stopped(project: Project, work: Work, take_in: TakeIn) -> None:
    rules(project, cancel=BuildRules.Cancel.BRANCHES)
    mine = world.build(project, state="running", trigger="manual")
    pushed(project, work)
    take_in()
    mine.refresh_from_db()
    assert mine.cancel_requested_at is None


def test_a_commit_under_review_never_builds_as_a_branchs(project: Project, work: Work, take_in: TakeIn) -> None:
    """Told with the right secret, of a commit that is really there: its build would leave a version."""
    old = work.head()
    text = work.text(1, 1)
    pushes.notice(project, PushEvent("refs/heads/main", old, text.sha), pushes.Heard.now(pushes.Via.HOOK))
    take_in()
    assert not Build.objects.exists()
    assert "does not hold this commit" in said()


def test_a_push_told_by_webhook_builds_also_when_the_branch_went_on(
    project: Project, work: Work, take_in: TakeIn
) -> None:
    old, first, second = work.head(), work.commit(), work.commit()
    work.push()
    for before, after in ((old, first), (first, second)):
        pushes.notice(project, PushEvent("refs/heads/main", before, after), pushes.Heard.now(pushes.Via.HOOK))
    take_in()
    assert set(Build.objects.values_list("commit_sha", flat=True)) == {first, second}


def test_a_push_waits_while_its_repository_cannot_be_seen(project: Project, work: Work, take_in: TakeIn) -> None:
    """It was renamed, or Gerrit's proxy answers for it while it restarts: the tip moved, so nobody would tell again."""
    event = pushed(project, work)
    path = Path(source_of(project)[0].path(Repository(project.slug)))  # type: ignore[attr-defined]
    hidden = path.rename(path.with_name("hidden"))
    take_in()
    item = InboxItem.objects.get()
    assert (item.state, Build.objects.count()) == ("new", 0)
    hidden.rename(path)
    InboxItem.objects.update(next_at=Now())
    take_in()
    assert Build.objects.get().commit_sha == event.new
    pushed(project, work)
    path.rename(hidden)
    InboxItem.objects.filter(state="new").update(received_at=timezone.now() - timedelta(hours=25))
    take_in()
    assert InboxItem.objects.latest("pk").state == "done"


# -- changes ------------------------------------------------------------------------------------------------------


def test_a_text_of_a_change_is_built_once(project: Project, work: Work, take_in: TakeIn) -> None:
    text = work.text(1234, 2, message="Add a cart")
    for _ in range(50):
        pushes.notice_change(project, text)
    take_in()
    build = Build.objects.get()
    assert (build.trigger, build.ref, build.commit_sha) == ("change", "refs/changes/34/1234/2", text.sha)
    assert (build.ref_name, build.commit_subject) == ("1234/2", "Add a cart")
    change = build.change
    assert (change.number, change.patch_set, change.branch, change.url) == (1234, 2, "main", "https://review/c/1234")


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)//https://", "data:text/html,x", "//elsewhere/x", "https://" + "x" * 500]
)
def test_what_is_no_address_of_a_page_is_no_link(project: Project, work: Work, take_in: TakeIn, url: str) -> None:
    pushes.notice_change(project, work.text(1, 1, url=url))
    take_in()
    assert (InboxItem.objects.get().payload["url"], Build.objects.get().change.url) == ("", "")


def test_changes_build_only_where_the_rules_say_so(project: Project, work: Work, take_in: TakeIn) -> None:
    rules(project, changes=False)
    pushes.notice_change(project, work.text(1, 1))
    take_in()
    assert "does not build changes" in said()
    rules(project, changes=True, branches=["release/*"])
    pushes.notice_change(project, work.text(2, 1))
    take_in()
    assert "do not build the branch" in said()
    pushes.notice_change(project, work.text(3, 1, branch="release/1"))
    take_in()
    assert Build.objects.get().change.number == 3


def test_a_change_of_access_rights_is_no_branchs_and_builds_nothing(
    project: Project, work: Work, take_in: TakeIn
) -> None:
    pushes.notice_change(project, work.text(1, 1, branch="refs/meta/config"))
    take_in()
    assert "it is no branch" in said()
    pushes.notice_change(project, work.text(2, 1, branch="refs/heads/main"))  # as it is called in full
    take_in()
    assert Build.objects.get().change.number == 2


def test_texts_from_before_the_switch_are_left_alone(project: Project, work: Work, take_in: TakeIn) -> None:
    rules(project, changes_since=timezone.now())
    found = pushes.Heard.now(pushes.Via.COMPARE)
    pushes.notice_change(project, work.text(1, 1, happened_at=time.time() - 3600), found)
    pushes.notice_change(project, work.text(2, 1, happened_at=time.time() + 1), found)
    take_in()
    assert Build.objects.get().change.number == 2


def test_a_text_that_was_told_just_now_is_new_whatever_the_servers_clock_says(
    project: Project, work: Work, take_in: TakeIn
) -> None:
    rules(project, changes_since=timezone.now())
    text = work.text(1, 1, happened_at=time.time() - 3600)
    pushes.notice_change(project, text, pushes.Heard.now(pushes.Via.STREAM))
    take_in()
    assert Build.objects.get().change.number == 1


def test_a_change_is_judged_by_its_own_files_and_message(project: Project, work: Work, take_in: TakeIn) -> None:
    rules(project, paths=["src/**"])
    pushes.notice_change(project, work.text(1, 1, name="README.md"))
    pushes.notice_change(project, work.text(2, 1, name="src/a.py", message="x [ci skip]"))
    pushes.notice_change(project, work.text(3, 1, name="src/b.py"))
    take_in()
    assert Build.objects.get().change.number == 3


def test_a_newer_text_stops_the_build_of_the_older_one(project: Project, work: Work, take_in: TakeIn) -> None:
    for number, patch_set in ((1, 1), (2, 1), (1, 2)):
        pushes.notice_change(project, work.text(number, patch_set))
        take_in()
    stopped = Build.objects.exclude(cancel_requested_at=None).get()
    assert (stopped.change.number, stopped.change.patch_set) == (1, 1)
    told = Event.objects.get(topic=stopped.topic, kind="superseded")
    assert (told.data["number"], told.data["patch_set"]) == (3, 2)


def test_an_older_text_that_comes_late_stops_nothing(project: Project, work: Work, take_in: TakeIn) -> None:
    older = work.text(1, 1)
    pushes.notice_change(project, work.text(1, 2))
    take_in()
    pushes.notice_change(project, older)
    take_in()
    assert not Build.objects.exclude(cancel_requested_at=None).exists()


def test_never_means_never(project: Project, work: Work, take_in: TakeIn) -> None:
    rules(project, cancel=BuildRules.Cancel.NEVER)
    for patch_set in (1, 2):
        pushes.notice_change(project, work.text(1, patch_set))
    take_in()
    assert not Build.objects.exclude(cancel_requested_at=None).exists()


def test_of_texts_that_follow_each_other_quickly_only_the_last_builds(
    project: Project, work: Work, take_in: TakeIn
) -> None:
    rules(project, debounce_s=20)
    for patch_set in (1, 2, 3):
        pushes.notice_change(project, work.text(9, patch_set))
    pushes.notice_change(project, work.text(10, 1))
    InboxItem.objects.update(received_at=timezone.now() - timedelta(seconds=21))
    take_in()
    assert {(b.change.number, b.change.patch_set) for b in Build.objects.all()} == {(9, 3), (10, 1)}


def test_a_forged_text_builds_nothing(project: Project, work: Work, take_in: TakeIn) -> None:
    pushes.notice_change(project, replace(work.text(1, 1), sha="1" * 40))
    InboxItem.objects.update(received_at=timezone.now() - LAG)  # it may have been on its way until now
    take_in()
    assert not Build.objects.exists()
    item = InboxItem.objects.get()
    assert (item.state, bool(item.error)) == ("done", True)


def test_a_text_nobody_told_of_is_found_by_comparing(project: Project, work: Work, desk: Desk, take_in: TakeIn) -> None:
    text = work.text(5, 1)
    desk.changes.append(text)
    assert pushes.compare(project) == 1
    assert pushes.compare(project) == 0
    take_in()
    assert Build.objects.get().change.number == 5
    assert InboxItem.objects.get().payload["via"] == "compare"


def test_a_text_that_the_inbox_may_have_forgotten_is_no_news(project: Project, work: Work, desk: Desk) -> None:
    """Somebody comments on a change of last year: it was built then."""
    desk.changes += [work.text(5, 1, happened_at=time.time() - 100 * 86_400), work.text(6, 1, happened_at=time.time())]
    assert pushes.compare(project) == 1
    assert InboxItem.objects.get().payload["number"] == 6


def test_a_build_of_a_change_leaves_no_version(project: Project, work: Work, take_in: TakeIn) -> None:
    pushes.notice_change(project, work.text(1, 1))
    take_in()
    assert make_version(Build.objects.get(), {}, ("a" * 64, 10)) is None
    project.refresh_from_db()
    ordinary = world.build(project)
    assert make_version(ordinary, {}, ("a" * 64, 10)) is not None


def test_nobody_builds_a_text_under_review_by_its_bare_name_as_if_it_were_a_branchs(
    project: Project, work: Work
) -> None:
    text = work.text(1, 1)
    for wanted in (text.sha, text.sha[:10]):
        with pytest.raises(Invalid, match="under review"):
            start_build(actor=project.created_by, project=project, ref=wanted)
    assert start_build(actor=project.created_by, project=project, ref=text.ref).is_change
    work.push()
    build = start_build(actor=project.created_by, project=project, ref=text.sha[:10])
    assert (build.commit_sha, build.is_change) == (text.sha, False)


def test_making_a_change_again_is_still_of_that_change(project: Project, work: Work, take_in: TakeIn) -> None:
    pushes.notice_change(project, work.text(1, 1))
    take_in()
    first = end(Build.objects.get(), "failed")
    again = retry_build(actor=project.created_by, build=first)
    assert ChangeBuild.objects.get(build=again).number == 1
    assert (again.ref, again.trigger) == (first.ref, "retry")


def test_a_pipeline_is_told_of_the_change(project: Project, work: Work, take_in: TakeIn) -> None:
    pushes.notice_change(project, work.text(1234, 2))
    take_in()
    build = Build.objects.get()
    marks = change_marks(build)
    assert marks["CHANGE_ID"] == marks["GERRIT_CHANGE_NUMBER"] == "1234"
    assert (marks["CHANGE_TARGET"], marks["GERRIT_REFSPEC"]) == ("main", "refs/changes/34/1234/2")
    fetched = marks_of(build, "https://review/shop")["FDD_FETCH"]
    assert fetched == "+refs/changes/34/1234/2:refs/remotes/origin/changes/34/1234/2"
    project.refresh_from_db()
    ordinary = world.build(project)
    assert change_marks(ordinary) == {}
    assert marks_of(ordinary, "x")["FDD_FETCH"] == ""


def test_a_cancelled_change_can_be_built_again(project: Project, work: Work, take_in: TakeIn) -> None:
    pushes.notice_change(project, work.text(1, 1))
    take_in()
    build = Build.objects.get()
    cancel_build(actor=SYSTEM, build=build)
    end(build, "cancelled")
    assert retry_build(actor=SYSTEM, build=Build.objects.get()).change.patch_set == 1


# -- many -----------------------------------------------------------------------------------------------------------


def test_a_flood_of_one_project_does_not_keep_others_waiting(
    project: Project, work: Work, tmp_path: Path, take_in: TakeIn
) -> None:
    other = reviewed_project("quiet")
    theirs = clone_of(other, tmp_path / "theirs")
    sha = work.head()
    for n in range(FLOOD):
        pushes.notice(project, PushEvent(f"refs/heads/flood-{n}", ZERO, sha))
    pushed(other, theirs)
    quiet, first = InboxItem.objects.get(payload__project=other.pk), InboxItem.objects.earliest("pk")
    assert quiet.next_at is not None
    assert first.next_at is not None
    took = (quiet.next_at - first.next_at).total_seconds()  # meanwhile turns of the flood came
    before = InboxItem.objects.filter(payload__project=project.pk, next_at__lte=quiet.next_at).count()
    assert before <= pushes.FREE + took / PACE_S + 1
    last = InboxItem.objects.filter(payload__project=project.pk).latest("next_at")
    assert last.next_at is not None
    assert last.next_at > last.received_at + timedelta(seconds=5)  # they stand back, one behind the other
    InboxItem.objects.update(next_at=Now())
    take_in()
    assert Build.objects.filter(project=project).count() == FLOOD  # and none is lost


def test_one_ring_is_enough_for_all_that_is_due(project: Project, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "DRAIN_S", 600.0)  # a busy machine gets as far in one ring as it takes
    sha = work.head()
    for n in range(12):
        pushes.notice(project, PushEvent(f"refs/heads/b{n}", ZERO, sha if n != 3 else "1" * 40))
    InboxItem.objects.update(next_at=Now(), received_at=timezone.now() - LAG)
    later = pushes.notice(project, PushEvent("refs/heads/later", ZERO, sha))
    InboxItem.objects.filter(pk=later.pk if later else 0).update(next_at=Now() + timedelta(minutes=1))
    engines.answer("push", InboxItem.objects.earliest("pk").pk)
    assert Build.objects.count() == 11  # one of them leads nowhere, and held up nobody
    assert list(InboxItem.objects.filter(state="new").values_list("payload__ref", flat=True)) == ["refs/heads/later"]


def test_a_move_that_is_told_again_much_later_builds_nothing_more(
    project: Project, work: Work, take_in: TakeIn
) -> None:
    first, second = pushed(project, work), pushed(project, work)
    pushed(project, work)
    for event in (first, second, first):
        assert pushes.notice(project, event) is None
    take_in()
    assert Build.objects.count() == 3
