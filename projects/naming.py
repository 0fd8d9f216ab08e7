"""A repository got another name on its server, or is gone: its projects follow where that is sure, else they say so."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from fangduoduo_release.audit import trail
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S, Sentence
from projects.drivers.source.base import News, Repository, RepositoryNews
from projects.models import Project
from projects.sources import source_of


def heed(connection: Connection, news: Iterable[News]) -> None:
    """What a server told of its repositories' names; everything else is left alone."""
    for one in news:
        if not isinstance(one, RepositoryNews) or not (one.renamed_to or one.gone):
            continue
        projects = Project.objects.filter(source_connection=connection, repository=one.repository, archived=False)
        for project in projects.select_related("source_connection"):
            if one.gone:
                _say(project, S("The repository “%(name)s” was deleted on its server.", name=one.repository))
            elif _is_sure(project, one.renamed_to):
                follow(project=project, name=one.renamed_to)
            else:
                sentence = S(
                    "The repository “%(name)s” is said to be called “%(new)s” now; ops can bind the project to it.",
                    name=one.repository,
                    new=one.renamed_to,
                )
                _say(project, sentence)


def follow(*, project: Project, name: str) -> bool:
    """Bind the project to its repository's new name, as the portal itself; False when somebody did before."""
    with transaction.atomic():
        rows = Project.objects.filter(pk=project.pk, repository=project.repository)
        if not rows.update(repository=name, source_error=None):
            return False
        before = {"repository": project.repository}
        trail.record(SYSTEM, "project.follow", project, before=before, after={"repository": name})
    return True


def _is_sure(project: Project, new: str) -> bool:
    """The server has one of the new name and none of the old: an event alone is only a hint."""
    source, repository = source_of(project)
    try:
        return source.exists(Repository(name=new)) and not source.exists(repository)
    except AppError:
        return False


def _say(project: Project, sentence: Sentence) -> None:
    Project.objects.filter(pk=project.pk).update(source_error=sentence.as_json())
