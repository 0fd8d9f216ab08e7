"""Stages and questions of a build on another server, written to the same rows an embedded build fills.

The rows were laid out from the pipeline before the build began. The server tells stages by name, in the order they
began: the n-th stage of a name fills the n-th row of that name; what the pipeline does not name (post actions, an
implicit checkout) gets a row of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from builds.drivers.builder.base import InputRequest, StageUpdate
from builds.models import Build, Stage
from builds.models import InputRequest as InputRow
from builds.remote.masking import Words
from fangduoduo_release.common import events
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.storable import storable

STATES = {"paused": "waiting"}
ROOT_KINDS = frozenset({"post", "checkout"})


def keep_stages(build: Build, updates: Sequence[StageUpdate]) -> bool:
    """Write what changed; True when something did. Harmless to repeat."""
    rows = list(Stage.objects.filter(build=build).order_by("order"))
    free: dict[str, list[Stage]] = {}
    for row in rows:
        free.setdefault(row.name, []).append(row)
    words = Words(build)
    changed: list[tuple[Stage, bool]] = []
    order = max((row.order for row in rows), default=0)
    for update in updates:
        name = storable(update.name[:200])
        found = free[name].pop(0) if free.get(name) else None
        facts = _facts(update, words)
        if found is None:
            order += 1
            made = Stage(build=build, ident=f"node-{update.id}"[:80], name=name, order=order, **facts)
            made.kind = update.kind if update.kind in ROOT_KINDS else "stage"
            changed.append((made, True))
        elif any(getattr(found, field) != value for field, value in facts.items()):
            for field, value in facts.items():
                setattr(found, field, value)
            changed.append((found, False))
    if not changed:
        return False
    with transaction.atomic():
        Stage.objects.bulk_create([row for row, new in changed if new], ignore_conflicts=True)
        Stage.objects.bulk_update([r for r, new in changed if not new], ["state", "started_at", "finished_at", "note"])
        events.record(build, "stages")
    return True


def _facts(update: StageUpdate, words: Words) -> dict[str, Any]:
    return {
        "state": STATES.get(update.state, update.state),
        "started_at": update.started_at,
        "finished_at": update.finished_at,
        "note": words.sentence(update.sentence),
    }


def skip_the_rest(build: Build) -> None:
    """Stages that never began of a build that has ended."""
    Stage.objects.filter(build=build, state="pending").update(state="skipped")


def keep_questions(build: Build, asked: Sequence[InputRequest]) -> bool:
    """Show what waits for a person; close what was answered on the server. True when something changed."""
    known = {row.ident: row for row in InputRow.objects.filter(build=build)}
    now = {question.id[:80] for question in asked}
    fresh = [question for question in asked if question.id[:80] not in known]
    gone = [row for ident, row in known.items() if not row.answer and ident not in now]
    if not fresh and not gone:
        return False
    words = Words(build)
    with transaction.atomic():
        for question in fresh:
            facts = _question(question, words)
            InputRow.objects.create(build=build, **facts)
            message = facts["message"][:200]
            events.record(build, "input_asked", S("Waiting for an answer: %(message)s", message=message))
        for row in gone:
            closed = InputRow.objects.filter(pk=row.pk, answer="").update(
                answer="proceed", answered_by="Jenkins", answered_at=timezone.now(), passed_on=True
            )
            if closed:
                events.record(build, "input_closed", S("It was answered in Jenkins."))
    return True


def _question(question: InputRequest, words: Words) -> dict[str, Any]:
    return {
        "ident": question.id[:80],
        "stage": (question.stage or "")[:80],
        "message": storable(words.text(question.message)[:500]),
        "ok_label": storable(question.ok[:80]),
        "submitters": list(question.submitters),
        "parameters": [
            {
                "name": storable(p.name),
                "kind": p.kind,
                "default": storable(words.text(p.default)) if isinstance(p.default, str) else p.default,
                "choices": [storable(choice) for choice in p.choices],
                "description": storable(p.description),
            }
            for p in question.parameters
        ],
    }
