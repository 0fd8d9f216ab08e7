"""A repository got another name on its server, or is gone: its projects follow where that is sure, else they say so."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S, Sentence
from projects import repositories
from projects.actions import rebind_repository
from projects.drivers.source.base import News, Repository, RepositoryNews
from projects.models import Project
from projects.sources import source_of

logger = logging.getLogger(__name__)


def heed(connection: Connection, news: Iterable[News]) -> None:
    """What a server told of its repositories' names; everything else is left alone."""
    for one in news:
        if not isinstance(one, RepositoryNews) or not (one.renamed_to or one.gone):
            continue
        projects = Project.objects.filter(source_connection=connection, repository=one.repository, archived=False)
        for project in projects.select_related("source_connection"):
            if one.gone:
                _say(project, S("The repository “%(name)s” was deleted on its server.", name=one.repository))
            elif not _follow(project, one.renamed_to):
                sentence = S(
                    "The repository “%(name)s” is said to be called “%(new)s” now; bind the project to it if that is so.",
                    name=one.repository,
                    new=one.renamed_to,
                )
                _say(project, sentence)


def _follow(project: Project, new: str) -> bool:
    """Bind the project to the new name where the server has none of the old and the new one goes on from the history we
    know: an event is only a hint, and nobody looks what the project gets."""
    try:
        source, repository = source_of(project)
        if source.exists(repository) or not source.exists(Repository(name=new)):
            return False
        if not repositories.continues(project, new):
            return False
        rebind_repository(actor=SYSTEM, project=project, repository=new)
    except AppError as error:
        logger.warning("%s cannot follow its repository to the name %s: %s", project.slug, new, error)
        return False
    return True


def _say(project: Project, sentence: Sentence) -> None:
    Project.objects.filter(pk=project.pk).update(source_error=sentence.as_json())
