"""Projects of the portal on a Gerrit: made there, bound to what is there, bound anew after a rename, and who may."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from clusters import connecting
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.errors import AppError, Conflict, Denied, Invalid, NotFound, Rejected, Unavailable
from fangduoduo_release.common.models import Connection, InboxItem
from permissions.audit_words import SENTENCES
from permissions.models import User
from projects import actions, cloning, pushes, repositories, sources
from projects.drivers.source.base import NewRepository
from projects.drivers.source.gerrit import GerritSource
from projects.hooks.dialects.gerrit import Gerrit
from projects.hooks.hearing import hear
from projects.models import BranchTip, Project
from projects.repositories import ensure_repository
from projects.trigger import tips
from tests import world
from tests.simulators.gerrit_rig import Rig

pytestmark = pytest.mark.django_db


@pytest.fixture
def rig(tmp_path: Path, settings: Any) -> Iterator[Rig]:
    settings.MIRRORS_ROOT = tmp_path / "mirrors"
    with Rig(tmp_path / "gerrit") as made:
        yield made


@pytest.fixture
def connection(rig: Rig) -> Connection:
    config, secrets = rig.connection_facts()
    return Connection.objects.create(name="review", kind="gerrit", config=config, secrets=secrets)


@pytest.fixture
def ann(rig: Rig) -> User:
    """She has an account in Gerrit too."""
    rig.gerrit.accounts.add("ann")
    return world.person("ann")


def made(actor: Any, connection: Connection, name: str = "team/app", **more: Any) -> Project:
    told = {"slug": "app", "create": True, **more}
    return actions.create_project(actor=actor, source_kind="gerrit", connection=connection, repository=name, **told)


def bound(actor: Any, connection: Connection, name: str = "team/app", slug: str = "app") -> Project:
    return made(actor, connection, name, slug=slug, create=False)


class TestMaking:
    def test_the_project_is_made_in_gerrit_with_its_starter(self, rig: Rig, connection: Connection, ann: User) -> None:
        wishes = NewRepository(description="Sells things", group="Service Users")
        project = made(ann, connection, starter="python-http", wishes=wishes)
        there = rig.gerrit.project("team/app")
        assert (there.description, there.owners) == ("Sells things", ["Service Users"])
        assert project.default_branch == "master"
        source, repository = sources.source_of(project)
        assert isinstance(source, GerritSource)
        newest = source.resolve(repository, "master")
        assert newest.author.name == ann.label
        assert BranchTip.objects.get(project=project).sha == newest.sha
        assert not InboxItem.objects.exists(), "nothing counts as a push yet"

    def test_a_push_after_it_is_noticed(self, rig: Rig, connection: Connection, ann: User) -> None:
        project = made(ann, connection)
        sha = rig.gerrit.push("team/app")
        assert pushes.compare(project) == 1
        assert InboxItem.objects.get().payload["new"] == sha

    def test_one_that_is_there_is_somebody_elses(self, rig: Rig, connection: Connection, ann: User) -> None:
        rig.gerrit.create_project("team/app")
        for who in (ann, world.ops()):
            with pytest.raises(Conflict) as refused:
                made(who, connection)
            assert refused.value.code == "repository_exists"
        assert not Project.objects.exists()

    @pytest.mark.parametrize("name", ["", "a//b", "../x", "x.git", "a\nb"])
    def test_a_bad_name_leaves_nothing(self, connection: Connection, ann: User, name: str) -> None:
        with pytest.raises(Invalid) as refused:
            made(ann, connection, name)
        assert "repository" in refused.value.fields
        assert not Project.objects.exists()

    def test_without_a_connection_there_is_nowhere_to_make_it(self, ann: User) -> None:
        with pytest.raises(Invalid) as refused:
            made(ann, None)  # type: ignore[arg-type]
        assert refused.value.code == "no_connection"

    def test_a_connection_of_another_kind_is_none(self, ann: User) -> None:
        other = Connection.objects.create(name="git", kind="git", config={"url": "https://git.example/x.git"})
        with pytest.raises(Invalid):
            made(ann, other)

    def test_what_gerrit_refuses_leaves_no_project(self, rig: Rig, connection: Connection, ann: User) -> None:
        rig.gerrit.faults.forbid("portal", "createProject")
        with pytest.raises(Rejected) as refused:
            made(ann, connection)
        assert "Create Project" in str(refused.value)
        assert not Project.objects.exists()

    def test_a_server_that_is_away_leaves_no_project(self, rig: Rig, connection: Connection, ann: User) -> None:
        rig.gerrit.faults.restart()
        with pytest.raises(Unavailable):
            made(ann, connection)
        assert not Project.objects.exists()

    def test_a_short_name_that_is_taken_makes_nothing_in_gerrit(
        self, rig: Rig, connection: Connection, ann: User
    ) -> None:
        world.project(slug="app")
        with pytest.raises(Conflict) as refused:
            made(ann, connection)
        assert refused.value.code == "slug_taken"
        assert rig.gerrit.projects.named("team/app") is None

    def test_tips_that_cannot_be_had_are_left_to_the_comparison(
        self, rig: Rig, connection: Connection, ann: User
    ) -> None:
        with rig.gerrit.faults.status(500, r"branches/\?n=5000"):
            project = made(ann, connection)
        assert not BranchTip.objects.exists()
        assert pushes.compare(project) == 0
        assert BranchTip.objects.filter(project=project).exists()


class TestBinding:
    def test_whom_gerrit_lets_read_it_may_bind_it(self, rig: Rig, connection: Connection, ann: User) -> None:
        rig.gerrit.create_project("team/app")
        project = bound(ann, connection)
        assert (project.default_branch, project.repository) == ("master", "team/app")
        assert BranchTip.objects.filter(project=project, ref="refs/heads/master").exists()

    def test_whom_gerrit_keeps_out_stays_out(self, rig: Rig, connection: Connection, ann: User) -> None:
        rig.gerrit.create_project("team/app")
        rig.gerrit.faults.hide("team/app", "ann")
        with pytest.raises(Denied) as refused:
            bound(ann, connection)
        assert (refused.value.rule, refused.value.granted_by) == ("repository_reader", ["ops"])
        assert "ann" in str(refused.value)

    def test_who_is_nobody_in_gerrit_stays_out(self, rig: Rig, connection: Connection) -> None:
        rig.gerrit.create_project("team/app")
        for name in ("ben", "self", str(rig.account.number), "portal@example.com"):
            with pytest.raises(Denied):
                bound(world.person(name), connection)

    def test_where_gerrit_may_not_be_asked_ops_decide(self, rig: Rig, connection: Connection, ann: User) -> None:
        rig.gerrit.create_project("team/app")
        with rig.gerrit.faults.status(403, "check.access"):
            with pytest.raises(Denied) as refused:
                bound(ann, connection)
            assert "View Access" in str(refused.value)
            assert bound(world.ops(), connection).repository == "team/app"

    def test_several_projects_may_share_one(self, rig: Rig, connection: Connection) -> None:
        rig.gerrit.create_project("team/app")
        olga = world.ops()
        one, two = bound(olga, connection), bound(olga, connection, slug="app-two")
        first, second = (sources.source_of(project) for project in (one, two))
        assert first[0].path(first[1]) == second[0].path(second[1])  # type: ignore[attr-defined]

    def test_one_that_is_not_there(self, connection: Connection) -> None:
        with pytest.raises(NotFound) as refused:
            bound(world.ops(), connection)
        assert refused.value.code == "no_repository"
        assert not Project.objects.exists()


class TestCrashes:
    def old(self, project: Project, **age: int) -> Project:
        project.created_at = timezone.now() - timedelta(**age)
        project.save(update_fields=["created_at"])
        return project

    def cut_off(self, connection: Connection) -> Project:
        """The row of a project whose making was killed before Gerrit was asked."""
        return Project.objects.create(
            slug="app", name="app", source_kind="gerrit", source_connection=connection, repository="team/app"
        )

    def test_a_creation_that_was_cut_off_is_ended_later(self, rig: Rig, connection: Connection) -> None:
        project = self.old(self.cut_off(connection), minutes=5)
        ensure_repository(project)
        assert rig.gerrit.project("team/app")
        assert pushes.compare(project) == 0
        ensure_repository(project)

    def test_one_that_is_being_made_right_now_is_left_alone(self, rig: Rig, connection: Connection) -> None:
        ensure_repository(self.cut_off(connection))
        assert rig.gerrit.projects.named("team/app") is None

    @pytest.mark.parametrize("how", ["delete_project", "rename"])
    def test_what_was_taken_away_in_gerrit_is_never_made_anew(
        self, rig: Rig, connection: Connection, ann: User, how: str
    ) -> None:
        project = self.old(made(ann, connection), minutes=5)
        getattr(rig.gerrit, how)("team/app", *(["team/shop"] if how == "rename" else []))
        ensure_repository(project)
        with pytest.raises(NotFound):
            pushes.compare(project)
        assert rig.gerrit.projects.named("team/app") is None
        project.refresh_from_db()
        assert "renamed" in str(project.source_error), "and the project's pages say what to do"

    def test_an_old_one_without_branches_is_never_made_anew(self, rig: Rig, connection: Connection) -> None:
        ensure_repository(self.old(self.cut_off(connection), days=2))
        assert rig.gerrit.projects.named("team/app") is None


class TestRenaming:
    def test_a_maintainer_gives_the_new_name_and_nothing_is_missed(
        self, rig: Rig, connection: Connection, ann: User
    ) -> None:
        project = made(ann, connection)
        sha = rig.gerrit.push("team/app")
        rig.gerrit.rename("team/app", "team/shop")
        with pytest.raises(NotFound):
            pushes.compare(project)
        other = rig.gerrit.push("team/shop", "other")
        actions.rebind_repository(actor=ann, project=project, repository=" team/shop ")
        project.refresh_from_db()
        assert (project.repository, project.source_error) == ("team/shop", None)
        assert pushes.compare(project) == 2
        assert {item.payload["new"] for item in InboxItem.objects.all()} == {sha, other}
        entry = AuditEntry.objects.filter(verb="project.rebind").get()
        assert (entry.before, entry.after) == ({"repository": "team/app"}, {"repository": "team/shop"})
        assert "project.rebind" in SENTENCES

    def test_pushes_while_it_had_no_name_here_become_builds(self, rig: Rig, connection: Connection, ann: User) -> None:
        rig.gerrit.create_project("team/app")
        rig.gerrit.push("team/app", "stays")
        project = bound(ann, connection)
        rig.gerrit.rename("team/app", "team/shop")
        shas = [rig.gerrit.push("team/shop") for _ in range(3)]
        actions.rebind_repository(actor=ann, project=project, repository="team/shop")
        assert pushes.compare(project) == 3
        assert [item.payload["new"] for item in InboxItem.objects.order_by("id")] == shas

    def test_what_a_trigger_missed_is_built_push_by_push(self, rig: Rig, connection: Connection, ann: User) -> None:
        """It tells of the whole way as one move; the push that it then heard itself follows in the same letter."""
        project = made(ann, connection)
        begin = project.tips.get(ref="refs/heads/master").sha
        shas = [rig.gerrit.push("team/app") for _ in range(4)]
        missed = tips.event("team/app", ("refs/heads/master", begin, shas[2]), time.time())
        heard = json.loads(tips.event("team/app", ("refs/heads/master", *shas[2:]), time.time()))
        del heard["missed"]
        told = Gerrit().news("stream-events", missed + b"\n" + json.dumps(heard).encode())
        assert hear(connection, told, pushes.Heard.now(pushes.Via.HOOK)).found == 4
        assert [item.payload["new"] for item in InboxItem.objects.order_by("id")] == shas
        assert hear(connection, told, pushes.Heard.now(pushes.Via.HOOK)).found == 0

    def test_another_repository_brings_no_flood(self, rig: Rig, connection: Connection, ann: User) -> None:
        project = made(ann, connection)
        rig.gerrit.create_project("other", branches=("refs/heads/trunk",))
        for number in range(5):
            rig.gerrit.push("other", f"b{number}")
        actions.rebind_repository(actor=ann, project=project, repository="other")
        project.refresh_from_db()
        assert project.default_branch == "trunk"
        assert pushes.compare(project) == 0
        assert {tip.ref for tip in project.tips.all()} == {"refs/heads/trunk", *(f"refs/heads/b{n}" for n in range(5))}

    def test_another_repository_brings_no_flood_either_when_its_tips_could_not_be_taken_at_once(
        self, rig: Rig, connection: Connection, ann: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        project = made(ann, connection)
        rig.gerrit.create_project("other", branches=("refs/heads/trunk",))
        rig.gerrit.push("other", "topic")

        def killed(_: Project) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(repositories, "remember_tips", killed)
        with pytest.raises(KeyboardInterrupt):
            actions.rebind_repository(actor=ann, project=project, repository="other")
        project = Project.objects.get(pk=project.pk)
        assert project.repository == "other"
        assert pushes.compare(project) == 0
        rig.gerrit.push("other", "topic")
        assert pushes.compare(project) == 1

    def test_only_maintainers_who_may_read_it(self, rig: Rig, connection: Connection, ann: User) -> None:
        project = made(ann, connection)
        rig.gerrit.create_project("secret")
        rig.gerrit.faults.hide("secret", "ann")
        with pytest.raises(Denied):
            actions.rebind_repository(actor=ann, project=project, repository="secret")
        with pytest.raises(Denied):
            actions.rebind_repository(actor=world.member(project, "developer"), project=project, repository="team/app")
        project.refresh_from_db()
        assert project.repository == "team/app"

    @pytest.mark.parametrize(
        ("name", "kind"), [("", Invalid), ("x" * 501, Invalid), ("a//b", Invalid), ("absent", AppError)]
    )
    def test_what_cannot_be_changes_nothing(
        self, connection: Connection, ann: User, name: str, kind: type[AppError]
    ) -> None:
        project = made(ann, connection)
        for who in (ann, world.ops()):
            with pytest.raises(kind):
                actions.rebind_repository(actor=who, project=project, repository=name)
        assert (project.repository, project.default_branch) == ("team/app", "master")
        assert not AuditEntry.objects.filter(verb="project.rebind").exists()

    def test_a_repository_that_lives_here_has_no_other_name(self) -> None:
        owner = world.person()
        with pytest.raises(Invalid) as refused:
            actions.rebind_repository(actor=owner, project=world.project(owner), repository="x")
        assert refused.value.code == "embedded_repository"


class TestConnections:
    def test_a_good_one_says_who_it_is(self, connection: Connection) -> None:
        found = connecting.look(connection)
        assert found["ok"], found
        assert found["version"] == "3.10.2"
        assert "HTTP and SSH" in str(found["sentence"])

    def test_it_tells_of_missing_rights(self, rig: Rig, connection: Connection) -> None:
        rig.gerrit.faults.forbid("portal", "createProject")
        found = connecting.look(connection)
        assert (found["ok"], found["missing"]) == (False, ["createProject"])
        assert "createProject" in str(found["sentence"])

    def test_it_tells_of_a_clock_that_is_wrong(self, rig: Rig, connection: Connection) -> None:
        rig.gerrit.faults.skew(120)
        assert "clock" in str(connecting.look(connection)["sentence"])

    def test_without_ssh_it_says_that_nobody_listens(self, rig: Rig) -> None:
        config, secrets = rig.connection_facts(ssh=False)
        quiet = Connection.objects.create(name="quiet", kind="gerrit", config=config, secrets=secrets)
        found = connecting.look(quiet)
        assert found["ok"]
        assert "does not listen" in str(found["sentence"])

    @pytest.mark.parametrize("fault", ["change_host_key", "refuse_ssh"])
    def test_it_tells_of_ssh_that_does_not_work(self, rig: Rig, connection: Connection, fault: str) -> None:
        getattr(rig.gerrit.faults, fault)()
        found = connecting.look(connection)
        assert not found["ok"]
        assert str(found["sentence"])

    def test_a_revoked_key_is_told(self, rig: Rig, connection: Connection) -> None:
        rig.gerrit.faults.revoke_keys("portal")
        assert not connecting.look(connection)["ok"]

    def test_wrong_fields_are_named_before_it_is_saved(self, connection: Connection) -> None:
        connection.config = {**connection.config, "url": "ftp://x", "label": "a b"}
        with pytest.raises(Invalid) as refused:
            connecting.check(connection)
        assert set(refused.value.fields) == {"url", "label"}

    def test_a_broken_one_breaks_no_list_of_projects(self, connection: Connection, ann: User) -> None:
        project = made(ann, connection)
        assert cloning.ways(project)["clone_url"].endswith("/a/team/app")
        connection.config = {}
        connection.save()
        assert cloning.ways(Project.objects.get(pk=project.pk))["clone_url"] == ""


@pytest.mark.django_db(transaction=True)
def test_of_many_who_make_the_same_at_once_one_wins(rig: Rig, connection: Connection) -> None:
    from django.db import connection as database

    people = [world.person(f"person-{number}") for number in range(3)]
    outcomes: list[str] = []

    def attempt(number: int) -> None:
        try:
            made(people[number], connection, slug=f"app-{number}")
            outcomes.append("made")
        except Conflict:
            outcomes.append("conflict")
        finally:
            database.close()

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict", "conflict", "made"]
    assert Project.objects.count() == 1
