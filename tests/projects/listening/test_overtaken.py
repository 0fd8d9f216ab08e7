"""A comparison takes seconds; what a server tells meanwhile is told once, as the pushes that it was."""

from __future__ import annotations

import threading

from django.db import connections

from fangduoduo_release.common.models import Connection
from projects import pushes
from projects.drivers.source.base import Moved, PushEvent
from projects.models import BranchTip, Project
from tests.simulators.gerrit.faults import Rule
from tests.simulators.gerrit_rig import Rig
from tests.waiting import until

from .ground import pushed

MASTER = "refs/heads/master"


def tip(project: Project) -> str:
    return str(BranchTip.objects.values_list("sha", flat=True).get(project=project, ref=MASTER))


def tell(connection: Connection, old: str, new: str) -> None:
    """As the stream does."""
    heard = pushes.Heard.now(pushes.Via.STREAM)
    pushes.take(connection, [Moved("team/app", PushEvent(MASTER, old, new))], heard)


class Comparison(threading.Thread):
    """It has read the branches and waits for the reflog, until the test says that it was overtaken."""

    def __init__(self, rig: Rig, project: Project) -> None:
        super().__init__(daemon=True)
        rig.gerrit.faults.reflog_off()  # so it guesses: one push for each commit
        self._rule: Rule = rig.gerrit.faults.held("reflog", times=1)
        self._project = project
        self.start()
        until(lambda: self._rule.hits, what="the comparison to look closer")

    def run(self) -> None:
        try:
            pushes.compare(self._project)
        finally:
            connections.close_all()

    def ended(self) -> None:
        assert self.is_alive(), "it was to be overtaken"
        self._rule.lift()
        self.join(60)
        assert not self.is_alive()


def test_one_push_of_many_commits_that_is_told_during_a_comparison_is_one_push(
    gerrit_rig: Rig, connection: Connection, app: Project
) -> None:
    old = tip(app)
    new = gerrit_rig.gerrit.push("team/app", commits=4)
    comparison = Comparison(gerrit_rig, app)
    tell(connection, old, new)
    comparison.ended()
    assert pushed(app) == [new]
    assert pushes.compare(app) == 0
    assert tip(app) == new


def test_a_push_after_it_that_is_told_too_changes_nothing_about_that(
    gerrit_rig: Rig, connection: Connection, app: Project
) -> None:
    old = tip(app)
    first = gerrit_rig.gerrit.push("team/app", commits=3)
    comparison = Comparison(gerrit_rig, app)
    second = gerrit_rig.gerrit.push("team/app", commits=2)
    tell(connection, old, first)
    tell(connection, first, second)
    comparison.ended()
    assert pushed(app) == [first, second]
    assert pushes.compare(app) == 0


def test_a_push_that_nobody_told_of_is_still_found_when_a_later_one_is_told_meanwhile(
    gerrit_rig: Rig, connection: Connection, app: Project
) -> None:
    missed = gerrit_rig.gerrit.push("team/app")
    comparison = Comparison(gerrit_rig, app)
    later = gerrit_rig.gerrit.push("team/app")
    tell(connection, missed, later)
    comparison.ended()
    assert sorted(pushed(app)) == sorted([missed, later])
    assert tip(app) == later


def test_what_a_server_tells_in_part_is_found_for_the_rest(
    gerrit_rig: Rig, connection: Connection, app: Project
) -> None:
    old = tip(app)
    told = gerrit_rig.gerrit.push("team/app", commits=2)
    missed = gerrit_rig.gerrit.push("team/app")
    comparison = Comparison(gerrit_rig, app)
    tell(connection, old, told)
    comparison.ended()
    assert pushed(app) == [told, missed]


def test_two_comparisons_at_once_find_each_push_once(gerrit_rig: Rig, connection: Connection, app: Project) -> None:
    gerrit_rig.gerrit.push("team/app", commits=3)
    comparison = Comparison(gerrit_rig, app)
    assert pushes.compare(app) == 3
    comparison.ended()
    assert len(pushed(app)) == 3
