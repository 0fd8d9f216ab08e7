"""The repository behind a project: made, bound, bound anew after a rename, and made once more when its making was cut off."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.utils import timezone

from fangduoduo_release.common.actor import user_or_none
from fangduoduo_release.common.errors import AppError, Invalid, Unavailable
from fangduoduo_release.common.sentence import S
from projects import pushes
from projects.drivers.source.base import STILL_FETCHING, ZERO, NewRepository, Person
from projects.models import BranchTip, Project
from projects.sources import source_of

logger = logging.getLogger(__name__)
MAKING = timedelta(minutes=2)  # longer than whoever makes a repository may take for it
UNMADE = timedelta(days=1)  # after which a repository that is not there was taken away, not cut off


def adopt(project: Project) -> None:
    """Look at a repository that is there, and bring it here; a large one may come later. NotFound, Rejected, Unavailable."""
    source, repository = source_of(project)
    state = source.state(repository)
    project.default_branch = state.default_branch or "main"
    try:
        source.refresh(repository)
    except Unavailable as error:
        if error.code != STILL_FETCHING:
            raise


def make(project: Project, actor: Any, starter: str, wishes: NewRepository | None = None) -> None:
    """Make the repository of a project that was just stored; without one the project goes again.

    On somebody else's server a repository that is there already is somebody else's: Conflict. Rejected, Unavailable.
    """
    source, repository = source_of(project)
    user = user_or_none(actor)
    author = Person(user.label, user.email or f"{user.username}@localhost") if user else None
    try:
        if not project.is_embedded or not source.exists(repository):
            source.create_repository(repository, starter=starter, author=author, wishes=wishes)
        if not project.is_embedded:
            project.default_branch = source.state(repository).default_branch or "main"
            project.save(update_fields=["default_branch"])
    except AppError:
        project.delete()  # a project without its repository helps nobody, and its name would stay taken
        raise


def remember_tips(project: Project) -> None:
    """From here on, what moves is a push. Where they cannot be had now, the next comparison takes them."""
    source, repository = source_of(project)
    try:
        pushes.remember(project, source.poll(repository, None).tips)
    except AppError as error:
        logger.warning("the tips of %s are left to the comparison: %s", project.slug, error)


def ensure_repository(project: Project) -> None:
    """Make the repository of a project whose creation was cut off; does nothing where there is one.

    One on somebody else's server is made only for a young project of which no branch was ever seen: whoever deletes or
    renames a repository there means it.
    """
    if not project.is_embedded:
        age = timezone.now() - project.created_at
        elsewhere = project.source_kind == "git"  # bound by its address: nothing here made it
        if elsewhere or not MAKING < age < UNMADE or project.tips_taken_at is not None:
            return
    source, repository = source_of(project)
    if not source.exists(repository):
        source.create_repository(repository, starter="blank")


def continues(project: Project, name: str = "") -> bool:
    """Whether the repository that the project names now (`name`: another of its server) goes on from the tips that we
    know: some branch is where it was, or was pushed on from there. Unavailable, Rejected."""
    source, repository = source_of(project)
    repository = replace(repository, name=name) if name else repository
    known = {
        ref: sha for ref, sha in BranchTip.objects.filter(project=project).values_list("ref", "sha") if sha != ZERO
    }
    poll = source.poll(repository, known)
    pushed_on = any(not (event.created or event.deleted or event.forced) for event in poll.events)
    return pushed_on or any(poll.tips.get(ref) == sha for ref, sha in known.items())


def require_bound(project: Project) -> None:
    """Raises Invalid for a repository that lives here: it goes by the project's short name."""
    if project.is_embedded:
        sentence = S("The repository of this project is kept by the portal and has no other name.")
        raise Invalid(sentence, code="embedded_repository", fields={"repository": [sentence]})
