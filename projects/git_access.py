"""The Django side of git over HTTP: who asks, may they, and what a push starts. Called from the web process's event loop."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings

from fangduoduo_release.common.errors import AppError, Conflict, NotFound
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.tokens import user_of_header
from projects import pushes
from projects.drivers.source.base import PushEvent
from projects.drivers.source.git import GitSource
from projects.git_http.pushes import RefUpdate, pending
from projects.models import Project
from projects.sources import source_of

logger = logging.getLogger(__name__)
SPOOL = Path(settings.REPOSITORIES_ROOT) / ".spool"


def _authenticate(header: str) -> Any:
    return user_of_header(header)


def _authorize(actor: Any, slug: str, verb: str) -> Path:
    project = policy.fetch(actor, Project.objects.select_related("source_connection"), slug=slug)
    if not project.is_embedded:
        raise NotFound(S("This project's repository lives elsewhere: %(url)s", url=project.repository))
    if verb == "push":
        policy.require(actor, "build_project", project)
        if project.archived:
            raise Conflict(S("The project is archived and takes no pushes."), code="archived")
    source, repository = source_of(project)
    if not isinstance(source, GitSource):
        raise NotFound(S("This project's repository is not served here."))
    return source.path(repository)


def _on_push(slug: str, actor: Any, updates: Sequence[RefUpdate]) -> None:
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        return
    name = getattr(actor, "username", "") or str(actor or "")
    for update in updates:
        pushes.notice(project, PushEvent(ref=update.ref, old=update.old, new=update.new, actor=name))


def take_spooled() -> int:
    """Pushes whose web process died before it told us; returns how many there were."""
    taken = 0
    for note in pending(SPOOL):
        try:
            _on_push(note.slug, note.actor, note.updates)
        except AppError as error:  # this one is tried again; the others need not wait for it
            logger.warning("cannot take over a push to %s: %s", note.slug, error)
            continue
        note.settle()
        taken += 1
    return taken


authenticate = database_sync_to_async(_authenticate, thread_sensitive=False)
authorize = database_sync_to_async(_authorize, thread_sensitive=False)
on_push = database_sync_to_async(_on_push, thread_sensitive=False)


def actor_key(actor: Any) -> str:
    return str(actor.username)
