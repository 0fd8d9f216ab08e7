"""A repository that got another name: its projects follow where the server is sure, else they say so."""

from __future__ import annotations

from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.models import Connection
from projects import naming, pushes
from projects.drivers.source.base import RepositoryNews
from projects.models import Project
from tests.simulators.gerrit_rig import Rig
from tests.waiting import until

from .ground import Hubs, pushed, wait_listening


def test_a_rename_the_server_confirms_is_followed_and_written_into_the_trail(
    gerrit_rig: Rig, connection: Connection, app: Project, hubs: Hubs
) -> None:
    hubs.start()
    wait_listening(connection)
    gerrit_rig.gerrit.rename("team/app", "team/shop")
    gerrit_rig.emit({"type": "project-renamed", "oldProjectName": "team/app", "newProjectName": "team/shop"})
    until(lambda: Project.objects.get(pk=app.pk).repository == "team/shop")
    sha = gerrit_rig.gerrit.push("team/shop")
    until(lambda: pushed(app) == [sha])
    (entry,) = AuditEntry.objects.filter(verb="project.rebind")
    assert entry.actor == "system"


def test_a_rename_the_server_knows_nothing_of_is_only_told(
    gerrit_rig: Rig, connection: Connection, app: Project
) -> None:
    for new in ("team/elsewhere", "team/other"):
        naming.heed(connection, [RepositoryNews("team/app", renamed_to=new)])
        if new == "team/elsewhere":
            gerrit_rig.gerrit.create_project("team/other")
        app.refresh_from_db()
        assert app.repository == "team/app"
        assert app.source_error["params"]["new"] == new


def test_a_repository_with_another_history_is_never_bound_by_a_hint(
    gerrit_rig: Rig, connection: Connection, app: Project
) -> None:
    """Whoever may make or tell of repositories would choose what the project builds."""
    gerrit_rig.gerrit.push("team/app")
    assert pushes.compare(app) == 1
    gerrit_rig.gerrit.create_project("team/other")
    gerrit_rig.gerrit.push("team/other", commits=3)
    gerrit_rig.gerrit.delete_project("team/app")
    naming.heed(connection, [RepositoryNews("team/app", renamed_to="team/other")])
    app.refresh_from_db()
    assert app.repository == "team/app"
    assert app.source_error["params"]["new"] == "team/other"


def test_a_deleted_repository_is_told(gerrit_rig: Rig, connection: Connection, app: Project) -> None:
    naming.heed(connection, [RepositoryNews("team/app", gone=True), RepositoryNews("team/new")])
    app.refresh_from_db()
    assert "deleted" in app.source_error["msgid"]
