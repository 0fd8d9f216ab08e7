"""Write the audit trail: every action calls `record` inside its transaction, as late in it as it can.

From `record` to the commit this transaction holds the head of the chain, and everybody else who writes waits: what
locks rows of its own belongs before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction

from fangduoduo_release.common.actor import name_of
from fangduoduo_release.common.http import current_request
from fangduoduo_release.common.storable import storable

from . import anchor, chain
from .masking import clean, difference
from .models import AuditEntry

# How rows lead to the slug of the project they belong to; the first that answers a text is it.
PATHS_TO_PROJECT = ("project.slug", "service.project.slug", "build.project.slug")
PROJECT = "projects.project"


@dataclass(frozen=True, slots=True)
class Named:
    """What a row is called in the trail; taken before the row is deleted, or made for what is no row."""

    kind: str
    id: str
    label: str
    project: str = ""


def named(obj: Any) -> Named:
    """The row as the trail names it. Call it before a deletion, hand the answer to `record` after it."""
    return obj if isinstance(obj, Named) else Named(obj._meta.label_lower, str(obj.pk), str(obj), project_of(obj))


def facts(row: Any) -> dict[str, Any]:
    """The row's own values, for `before` and `after`: what `record` then keeps is what differs, secrets masked."""
    found: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        by_itself = getattr(field, "auto_now_add", False) or getattr(field, "auto_now", False)
        if not field.primary_key and not by_itself:
            value = getattr(row, field.name)
            found[field.name] = str(value) if field.is_relation and value is not None else value
    return found


def stored_facts(row: Any) -> dict[str, Any] | None:
    """The same as the database still has it; None for a row that is new."""
    old = type(row)._base_manager.filter(pk=row.pk).first() if row.pk else None
    return None if old is None else facts(old)


def project_of(obj: Any) -> str:
    """The slug of the project a row belongs to; "" when it belongs to none."""
    if obj._meta.label_lower == PROJECT:
        return str(obj.slug)
    for path in PATHS_TO_PROJECT:
        try:
            slug = attrgetter(path)(obj)
        except (AttributeError, ObjectDoesNotExist):
            continue
        if isinstance(slug, str):
            return slug
    return ""


def record(
    actor: Any,
    verb: str,
    obj: Any,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    project: str | None = None,
) -> AuditEntry:
    """One row: who did what to which object. Raises chain.Broken, and then nothing of the action is done.

    Where both sides are given only what differs is kept; what only identifies belongs in `after` alone. Values under
    names like secrets are masked (`masking.py`), so a caller may hand them over to have it seen that they changed.
    """
    facts, it = current_request.get(), named(obj)
    old, new = difference(before, after)
    entry = AuditEntry(
        actor=_text(name_of(actor), 150),
        verb=_text(verb, 60),
        object_kind=_text(it.kind, 40),
        object_id=_text(it.id, 60),
        object_label=_text(clean(it.label), 200),
        project=_text(it.project if project is None else project, 50),
        before=old,
        after=new,
        address=_text(facts.address, 60),
        user_agent=_text(facts.user_agent, 200),
        request_id=_text(facts.request_id, 40),
    )
    with transaction.atomic(savepoint=False):
        point = chain.link(entry)
        transaction.on_commit(partial(anchor.announce, point), robust=True)
    return entry


def _text(value: str, longest: int) -> str:
    return str(storable(value))[:longest]
