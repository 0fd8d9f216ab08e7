"""What people do to their project's configuration: save a text, take one away. Every door calls these."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction

from clusters import config_use, configs
from clusters.config_store import Rows
from clusters.drivers.config.base import ConfigSource, Document
from clusters.drivers.config.binding import EMBEDDED
from clusters.drivers.config.database import DatabaseConfig
from fangduoduo_release.audit import trail
from fangduoduo_release.common.actor import name_of
from fangduoduo_release.common.errors import NotFound
from permissions import policy
from projects import configuration
from projects.models import Project

RIGHT = "change_project"


def save_config(
    *,
    actor: Any,
    project: Project,
    key: str,
    text: str,
    note: str = "",
    expected: str | None = None,
    source: str = EMBEDDED,
) -> Document:
    """Store a text under a key of the project; the next deployment that names it takes it. `expected`: the revision it
    replaces, "" for a new key.

    Raises Denied, Invalid (key, text), Conflict (another revision by now), Unavailable, Rejected (the source).
    """
    policy.require(actor, RIGHT, project)
    configuration.require_own(actor, project, key)
    configuration.judge(key, text)
    place = configs.source_named(source)
    put = partial(place.put, key, text, author=name_of(actor), note=note.strip(), expected=expected)
    if source != EMBEDDED:  # whoever answers may take seconds: no transaction waits for it
        before, saved = _facts(place, source, key), put()
        with transaction.atomic():
            _record(actor, project, before, saved, source)
        return saved
    with transaction.atomic():
        before, saved = _facts(place, source, key), put()
        _record(actor, project, before, saved, source)
        config_use.tell(source, key)
    return saved


def delete_config(*, actor: Any, project: Project, key: str, note: str = "", expected: str | None = None) -> None:
    """Take a key of the embedded source away; what was deployed with it keeps its text. Raises Denied, NotFound, Conflict."""
    policy.require(actor, RIGHT, project)
    configuration.require_own(actor, project, key)
    place = DatabaseConfig(Rows())
    with transaction.atomic():
        before = _facts(place, EMBEDDED, key)
        place.delete(key, author=name_of(actor), note=note.strip(), expected=expected)
        trail.record(actor, "config.delete", project, before=before, after={"config": key, "source": EMBEDDED})
        config_use.tell(EMBEDDED, key)


def _record(actor: Any, project: Project, before: dict[str, str], saved: Document, source: str) -> None:
    """Texts stay out of the trail: they are kept under their revision, and may be long. What is called “key” is masked there."""
    after = {"config": saved.key, "source": source, "revision": saved.revision, "sha256": saved.sha256}
    if before.get("revision") != saved.revision:
        trail.record(actor, "config.save", project, before=before, after=after)


def _facts(place: ConfigSource, source: str, key: str) -> dict[str, str]:
    try:
        found = place.read(key)
    except NotFound:
        return {}
    return {"revision": found.revision, "sha256": found.sha256}
