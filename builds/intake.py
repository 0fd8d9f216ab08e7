"""From what was noticed to a build: the engines over inbox items of kind "push" and "change".

One build per move of a ref and per text of a change, or none with the sentence why. A notice is only a hint: what is
built is what the repository itself says of the commit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from builds import changes, rules
from builds.actions import queue_build
from builds.models import Build, BuildRules
from fangduoduo_release.common import runs
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.engines import Again
from fangduoduo_release.common.errors import AppError, NotFound, Rejected, Unavailable
from fangduoduo_release.common.models import InboxItem
from fangduoduo_release.common.sentence import S, Sentence
from permissions.models import User
from projects import pushes, refused
from projects.drivers.source.base import HEADS, TAGS, ZERO, Commit, Repository, Reviewing, Source, short_name
from projects.models import BranchTip, Project
from projects.sources import source_of

PATIENCE = timedelta(hours=24)  # with a repository that cannot be seen
LAG = timedelta(minutes=3)  # a server of several tells of a commit before each of them has it
NOT_YET = frozenset({"unknown_ref", "empty_repository"})


class Skipped(Exception):
    """This item makes no build; the sentence says why."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class Intake:
    """What both engines do: settle the item with its build, or with the reason why there is none."""

    kind: ClassVar[str]
    model = InboxItem
    drains = True

    def mine(self, rows: QuerySet[InboxItem]) -> QuerySet[InboxItem]:
        return rows.filter(kind=self.kind, state=InboxItem.State.NEW)

    def advance(self, item: InboxItem) -> Again | None:
        payload: dict[str, Any] = item.payload
        project = Project.objects.select_related("source_connection").filter(pk=payload["project"]).first()
        try:
            if project is None or project.archived:
                raise Skipped(S("The project is archived or gone."))
            mine = rules.rules_of(project)
            self.refuse_early(mine, payload)
            wait = _rest(item, mine)
            if wait > 0:
                return Again(wait)
            if mine.debounce_s and self.has_moved_on(project, payload):
                raise Skipped(S("Another push followed within %(seconds)s seconds.", seconds=mine.debounce_s))
            commit = self.judge(project, mine, payload)
        except Skipped as skipped:
            _end(item, {"build": None, "skipped": skipped.sentence.as_json()})
            return None
        except NotFound as error:  # the branch moved on or went away before we looked
            if project is not None and self.may_come(project, item, error):
                raise Unavailable(error.sentence, code=error.code) from error
            _end(item, {"build": None}, error)
            return None
        except Rejected as error:
            if project is None or not refused.is_refusal(error):
                raise
            return refused.wait(item, project, error)
        with transaction.atomic():  # the build and the word that it was made: both or neither
            build = self.queue(project, mine, item, commit)
            _end(item, {"build": build.pk, "number": build.number})
        return None

    def may_come(self, project: Project, item: InboxItem, error: NotFound) -> bool:
        """Whether what is not there now may be there soon: the tip has moved already, so nobody would tell of it again."""
        age = timezone.now() - item.received_at
        if error.code == "no_repository":
            return age < PATIENCE  # renamed or hidden: bound anew it builds
        return error.code in NOT_YET and age < LAG and not self.has_moved_on(project, item.payload)

    def refuse_early(self, mine: BuildRules, payload: Mapping[str, Any]) -> None:
        """What can be said without asking the repository. Raises Skipped."""
        raise NotImplementedError

    def has_moved_on(self, project: Project, payload: Mapping[str, Any]) -> bool:
        raise NotImplementedError

    def judge(self, project: Project, mine: BuildRules, payload: Mapping[str, Any]) -> Commit:
        """The commit to be built, as the repository has it. Raises Skipped, NotFound, Unavailable."""
        raise NotImplementedError

    def queue(self, project: Project, mine: BuildRules, item: InboxItem, commit: Commit) -> Build:
        raise NotImplementedError


class PushIntake(Intake):
    """Turns one accepted move of a ref into at most one build (the item's own id is the build's dedupe key)."""

    kind = pushes.KIND

    def refuse_early(self, mine: BuildRules, payload: Mapping[str, Any]) -> None:
        if payload["new"] == ZERO:
            raise Skipped(S("It was deleted; there is nothing to build."))
        if not payload["ref"].startswith((HEADS, TAGS)):
            raise Skipped(S("Only branches and tags are built."))
        _unless(rules.judge_ref(mine, payload["ref"]))

    def has_moved_on(self, project: Project, payload: Mapping[str, Any]) -> bool:
        return not BranchTip.objects.filter(project=project, ref=payload["ref"], sha=payload["new"]).exists()

    def judge(self, project: Project, mine: BuildRules, payload: Mapping[str, Any]) -> Commit:
        source, repository = source_of(project)
        commit: Commit = source.resolve(repository, payload["new"])
        if payload.get("via") == pushes.Via.HOOK and isinstance(source, Reviewing):
            _unless(_not_there(source, repository, payload["ref"], commit))
        old = payload["old"]

        def files() -> Sequence[str] | None:
            if old == ZERO:
                return None  # a new branch or tag: compared with what?
            if project.repository:
                source.refresh(repository)
            changed: Sequence[str] | None = source.changed_files(repository, old, commit.sha)
            return changed

        _unless(rules.judge_content(mine, commit.message, files))
        return commit

    def queue(self, project: Project, mine: BuildRules, item: InboxItem, commit: Commit) -> Build:
        build = _queued(project, item, commit, Build.Trigger.PUSH)
        # Of pushes that are taken in out of order only the one where the branch is now makes others needless.
        if mine.cancel == BuildRules.Cancel.BRANCHES and not self.has_moved_on(project, item.payload):
            changes.cancel_older_of_branch(build)
        return build


class ChangeIntake(Intake):
    """Turns one text of a change under review into at most one build."""

    kind = pushes.CHANGE

    def refuse_early(self, mine: BuildRules, payload: Mapping[str, Any]) -> None:
        found = payload.get("via") == pushes.Via.COMPARE  # what was told just now is new, whatever its clock says
        happened_at = float(payload.get("happened_at") or 0) if found else 0.0
        _unless(rules.judge_change(mine, payload["branch"], happened_at))

    def has_moved_on(self, project: Project, payload: Mapping[str, Any]) -> bool:
        rows = InboxItem.objects.filter(topic=pushes.topic_of(project), kind=self.kind)
        newest = rows.filter(payload__number=payload["number"], payload__patch_set__gt=payload["patch_set"])
        return newest.exists()

    def judge(self, project: Project, mine: BuildRules, payload: Mapping[str, Any]) -> Commit:
        source, repository = source_of(project)
        commit = _commit_of_text(source, repository, payload)

        def files() -> Sequence[str] | None:
            source.refresh(repository, ref=payload["ref"])
            changed: Sequence[str] | None = source.changed_files(repository, ZERO, commit.sha)
            return changed

        _unless(rules.judge_content(mine, commit.message, files))
        return commit

    def queue(self, project: Project, mine: BuildRules, item: InboxItem, commit: Commit) -> Build:
        build = _queued(project, item, commit, Build.Trigger.CHANGE)
        changes.note(build, item.payload, mine)
        if mine.cancel != BuildRules.Cancel.NEVER:
            changes.cancel_older_of_change(build)
        return build


def _commit_of_text(source: Source, repository: Repository, payload: Mapping[str, Any]) -> Commit:
    """Only the change's own ref leads to it: what does not show it may have it once that is fetched."""
    try:
        return source.resolve(repository, payload["new"])
    except NotFound as error:
        if error.code not in NOT_YET:
            raise
    source.refresh(repository, ref=payload["ref"])
    return source.resolve(repository, payload["new"])


def _unless(sentence: Sentence | None) -> None:
    if sentence is not None:
        raise Skipped(sentence)


def _not_there(source: Any, repository: Repository, ref: str, commit: Commit) -> Sentence | None:
    """Why this commit is none of the branch's. Where changes are reviewed anybody may upload commits, and whoever has the
    secret of a webhook could call one of them a branch's; from a branch's build comes what is deployed."""
    if source.resolve(repository, ref).sha == commit.sha or not source.log(repository, commit.sha, after=ref, limit=1):
        return None
    return S("“%(name)s” does not hold this commit, whatever the webhook says.", name=short_name(ref))


def _rest(item: InboxItem, mine: BuildRules) -> float:
    """How many seconds this item still waits for another push of the same ref."""
    if not mine.debounce_s:
        return 0.0
    return (item.received_at + timedelta(seconds=mine.debounce_s) - timezone.now()).total_seconds()


def _queued(project: Project, item: InboxItem, commit: Commit, trigger: str) -> Build:
    actor = User.objects.filter(username=item.payload.get("actor") or "").first() or SYSTEM
    return queue_build(
        actor=actor,
        project=project,
        ref=item.payload["ref"],
        commit=commit,
        parameters={},
        trigger=trigger,
        dedupe_key=f"inbox:{item.pk}",
    )


def _end(item: InboxItem, result: dict[str, Any], error: AppError | None = None) -> None:
    heard_at = float(item.payload.get("heard_at") or 0)
    if heard_at:
        result["latency_ms"] = max(0, round((time.time() - heard_at) * 1000))
    runs.write(
        item,
        state=InboxItem.State.DONE,
        result=result,
        error=error.sentence.as_json() if error else None,
        handled_at=Now(),
        next_at=None,
        lease_until=None,
    )
