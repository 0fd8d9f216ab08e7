"""Builds of changes under review: what is kept of the change, what is told to its reviewers, and which older builds a
newer push makes needless."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from builds.models import Build, BuildRules, ChangeBuild
from builds.reviews import tell_started
from builds.rules import rules_of
from fangduoduo_release.common import events, runs
from fangduoduo_release.common.actor import SYSTEM, name_of
from fangduoduo_release.common.errors import Conflict
from fangduoduo_release.common.queue import ring
from fangduoduo_release.common.sentence import S, Sentence

FACTS = ("number", "patch_set", "change_id", "branch", "url")


def note(build: Build, payload: Mapping[str, Any], mine: BuildRules) -> None:
    """Remember of which change and text this build is, and tell its reviewers that it began. Harmless to repeat."""
    change, made = ChangeBuild.objects.get_or_create(build=build, defaults={name: payload[name] for name in FACTS})
    if made:
        build.change = change
        tell_started(build, mine)


def copy(build: Build, of: Build) -> None:
    """A build that was made again is of the same change."""
    change, mine = ChangeBuild.objects.filter(build=of).first(), rules_of(build.project)
    if change is not None:
        note(build, {name: getattr(change, name) for name in FACTS}, mine)


def cancel_older_of_change(build: Build) -> None:
    """Stop the builds of older texts of the same change."""
    change = build.change
    older = _active_before(build).filter(change__number=change.number, change__patch_set__lt=change.patch_set)
    _cancel(
        older,
        S("A newer text of the change came: build #%(number)s is of patch set %(patch_set)s.", number=build.number, patch_set=change.patch_set),
    )  # fmt: skip


def cancel_older_of_branch(build: Build) -> None:
    """Stop the builds of older pushes of the same branch, unless something of this branch is being deployed."""
    if build.is_tag or import_string(settings.BUILDS_IN_USE)(build.project, build.ref):
        return
    older = _active_before(build).filter(ref=build.ref)
    _cancel(older, S("A newer push of the branch came: it is built by #%(number)s.", number=build.number))


def _active_before(build: Build) -> QuerySet[Build]:
    active = Build.objects.filter(project=build.project, state__in=Build.STATES.active, pk__lt=build.pk)
    return active.filter(cancel_requested_at=None, trigger__in=(Build.Trigger.PUSH, Build.Trigger.CHANGE))


def _cancel(builds: QuerySet[Build], sentence: Sentence) -> None:
    for older in builds.order_by("pk"):
        try:
            with transaction.atomic():
                runs.request_cancel(older, name_of(SYSTEM))
                events.record(older, "superseded", sentence)
                ring("build", older.pk)
        except Conflict:
            continue  # it ended in this very moment
