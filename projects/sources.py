"""From a project to its source: builds the driver the project's kind names, and the repository it is asked for."""

from __future__ import annotations

from django.conf import settings

from fangduoduo_release.common.drivers import driver_class
from fangduoduo_release.common.models import Connection
from projects.drivers.source.base import Credentials, Repository, Source
from projects.drivers.source.git import GitConfig
from projects.models import Project


def git_config() -> GitConfig:
    """Where embedded repositories and mirrors live on this host."""
    return GitConfig(
        root=settings.REPOSITORIES_ROOT,
        mirrors=settings.MIRRORS_ROOT,
        starters=settings.STARTERS_ROOT,
        clone_base=f"{settings.PUBLIC_URL}/git",
        allow_private=settings.SOURCE_ALLOW_PRIVATE,
    )


def source_of_kind(kind: str) -> Source:
    """The source driver of a kind. Raises Invalid for one the settings do not name."""
    source: Source = driver_class(settings.DRIVERS, "source", kind)(git_config())
    return source


def source_of(project: Project) -> tuple[Source, Repository]:
    """The project's source and its repository, with the connection's credentials where it has one."""
    credentials = credentials_of(project.source_connection) if project.source_connection else Credentials()
    repository = Repository(name=project.slug, url=project.repository, credentials=credentials)
    return source_of_kind(project.source_kind), repository


def credentials_of(connection: Connection) -> Credentials:
    """How to sign in at the server of a connection."""
    secrets = dict(connection.secrets or {})
    return Credentials(
        username=str(connection.config.get("username", "")),
        secret=secrets.get("password", "") or secrets.get("token", ""),
        ssh_key=secrets.get("ssh_key", ""),
    )


def clone_url(project: Project) -> str:
    """The address people clone from."""
    source, repository = source_of(project)
    return source.clone_url(repository)
