"""From a project to its source: builds the driver the project's kind names, and the repository it is asked for."""

from __future__ import annotations

from django.conf import settings

from fangduoduo_release.common.drivers import driver_class
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from projects.drivers.source.base import Credentials, Repository, Source
from projects.drivers.source.git import GitConfig
from projects.models import Project

HERE = "git"


def git_config() -> GitConfig:
    """Where embedded repositories and mirrors live on this host."""
    return GitConfig(
        root=settings.REPOSITORIES_ROOT,
        mirrors=settings.MIRRORS_ROOT,
        starters=settings.STARTERS_ROOT,
        clone_base=f"{settings.PUBLIC_URL}/git",
        allow_private=settings.SOURCE_ALLOW_PRIVATE,
        fetch_wait=float(settings.FETCH_WAIT_S),
    )


def source_of_kind(kind: str, connection: Connection | None = None) -> Source:
    """The source driver of a kind; every kind but `git` stands behind a connection. Raises Invalid for one the settings
    do not name, for a missing connection, and for one that cannot be used as it is."""
    driver = driver_class(settings.DRIVERS, "source", kind)
    if kind == HERE:
        return driver(git_config())  # type: ignore[no-any-return]
    if connection is None or connection.kind != kind:
        sentence = S("Name the connection to the server where the repository lives.")
        raise Invalid(sentence, code="no_connection", fields={"source": [sentence]})
    return driver(driver.Config.of(connection.config, connection.secrets or {}, git_config()))  # type: ignore[no-any-return]


def source_of(project: Project) -> tuple[Source, Repository]:
    """The project's source and its repository, with the connection's credentials where it has one."""
    if project.source_kind != HERE:  # the connection is the source's own: it signs in by itself
        return source_of_kind(project.source_kind, project.source_connection), Repository(name=project.repository)
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
