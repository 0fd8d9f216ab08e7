"""Making and binding projects on a Gerrit from the wizard, the API and the settings: each refusal in one sentence at its
field, and nothing typed is lost."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from fangduoduo_release.common.models import Connection
from permissions.models import User
from projects.cloning import ways
from projects.models import Project
from tests import world
from tests.api.door import Door
from tests.require import need
from tests.simulators.gerrit.repository import environment
from tests.simulators.gerrit_rig import USER, Rig

pytestmark = pytest.mark.django_db
NEW = "/projects/new/"


@pytest.fixture
def server(gerrit_rig: Rig) -> Connection:
    config, secrets = gerrit_rig.connection_facts()
    return Connection.objects.create(name="review", kind="gerrit", config=config, secrets=secrets)


@pytest.fixture
def ann() -> User:
    return world.person("ann")


@pytest.fixture
def page(ann: User) -> Client:
    return signed_in(ann)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return client


def form(**more: str) -> dict[str, str]:
    return {"slug": "app", "origin": "gerrit_new", "there": "team/app", "starter": "blank", **more}


def head(folder: Path) -> str:
    return subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()


def html(answer: Any) -> str:
    return str(answer.content.decode())


def test_without_a_gerrit_there_is_no_word_of_it(page: Client) -> None:
    said = html(page.get(NEW))
    assert "Gerrit" not in said
    answer = page.post(NEW, form())
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == ["origin"]


def test_a_new_project_is_made_there_as_wished(page: Client, server: Connection, gerrit_rig: Rig) -> None:
    said = html(page.get(NEW))
    assert 'placeholder="All-Projects"' in said
    assert f'placeholder="{gerrit_rig.group}"' in said
    assert '<select name="connection"' not in said  # there is one only
    answer = page.post(NEW, form(branches="main develop", description="It greets"))
    assert answer.status_code == 302, html(answer)
    project = Project.objects.get()
    assert (project.source_kind, project.source_connection, project.repository) == ("gerrit", server, "team/app")
    assert project.default_branch == "main"
    heads = gerrit_rig.git("ls-remote", "--heads", gerrit_rig.git_url("team/app")).stdout
    assert "refs/heads/main" in heads
    assert "refs/heads/develop" in heads


def test_a_repository_elsewhere_is_read_with_the_credentials_of_its_server(page: Client, gerrit_rig: Rig) -> None:
    gerrit_rig.gerrit.create_project("team/app")
    wanted = {"slug": "app", "origin": "bound", "repository": f"{gerrit_rig.url}a/team/app"}
    assert 'name="reader"' not in html(page.get(NEW))
    secrets = {"password": gerrit_rig.password}
    config = {"url": f"{gerrit_rig.url}a/team/app", "username": USER}
    origin = Connection.objects.create(name="origin", kind="git", config=config, secrets=secrets)
    assert "Git server" in html(page.get(NEW))
    assert page.post(NEW, wanted).status_code == 422  # nobody may read it without
    assert page.post(NEW, {**wanted, "reader": "origin"}).status_code == 302
    assert Project.objects.get().source_connection == origin
    elsewhere = {**wanted, "slug": "other", "repository": "https://git.example/team/app", "reader": "origin"}
    answer = page.post(NEW, elsewhere)
    assert list(answer.context["form"].errors) == ["repository"]
    assert "is not on the server of the connection" in html(answer)


def test_its_name_there_is_the_short_name_unless_said(page: Client, server: Connection) -> None:
    assert page.post(NEW, form(there="")).status_code == 302
    assert Project.objects.get().repository == "app"


def test_its_pages_say_how_to_come_to_it(page: Client, ann: User, server: Connection, gerrit_rig: Rig) -> None:
    page.post(NEW, form(branches="main, release/1"))
    assert set(gerrit_rig.gerrit.project("team/app").repository.refs("refs/heads/")) == {
        "refs/heads/main",
        "refs/heads/release/1",
    }
    ssh = f"ssh://ann@127.0.0.1:{gerrit_rig.ssh_port}/team/app"
    for where in ("/projects/app/", "/projects/app/builds/", "/projects/app/triggers/"):
        said = html(page.get(where))
        for words in (
            ssh,
            f"{gerrit_rig.url}a/team/app",
            "tools/hooks/commit-msg",
            "git push origin HEAD:refs/for/main",
            "git push origin HEAD:refs/heads/main",
        ):
            assert words in said, (where, words)
    source = Door(ann).get("projects/app/").json()["source"]
    assert source["ssh_url"].endswith(f"127.0.0.1:{gerrit_rig.ssh_port}/team/app")
    assert source["clone_url"].endswith("/a/team/app")


def test_what_is_shown_works_as_it_stands(
    page: Client, ann: User, server: Connection, gerrit_rig: Rig, tmp_path: Path
) -> None:
    need("ssh", "curl")
    gerrit_rig.gerrit.accounts.add("ann", key=gerrit_rig.public_key)
    page.post(NEW, form())
    (tmp_path / "key").write_text(gerrit_rig.user_key)
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "hosts").write_text(gerrit_rig.known_hosts)
    ssh = f"ssh -F /dev/null -i {tmp_path}/key -o UserKnownHostsFile={tmp_path}/hosts -o BatchMode=yes"
    clone, cd, hook, runs, *pushes = ways(Project.objects.get(), "ann")["clone_command"].splitlines()
    commit = "echo 1 > NEWS; git add NEWS; git commit -qm 'Say something'"
    who = {f"GIT_{role}_{key}": "ann@example.com" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    script = "\n".join(["set -e", clone, cd, hook, runs, commit, *pushes])
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=environment(GIT_SSH_COMMAND=ssh, **who),
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert gerrit_rig.gerrit.changes.all[0].subject == "Say something"
    assert gerrit_rig.gerrit.project("team/app").repository.tip("refs/heads/master") == head(tmp_path / "app")


def test_a_name_cannot_slip_a_command_in(server: Connection) -> None:
    evil = world.bare_project(
        None, "evil", source_kind="gerrit", source_connection=server, repository="x;touch pwned", default_branch="a;b"
    )
    command = ways(evil, "ann")["clone_command"]
    assert "'" in command.splitlines()[0]
    assert "cd 'x;touch pwned'" in command
    assert "git push origin 'HEAD:refs/for/a;b'" in command


def test_a_connection_that_is_not_in_order_leaves_the_pages_standing(page: Client, ann: User) -> None:
    broken = Connection.objects.create(name="broken", kind="gerrit", config={})
    project = world.bare_project(ann, "app", source_kind="gerrit", source_connection=broken, repository="team/app")
    assert ways(project) == {"clone_url": "", "ssh_url": "", "clone_command": ""}
    for where in ("/projects/app/", "/projects/app/triggers/", "/projects/app/settings/", "/projects/"):
        assert page.get(where).status_code == 200, where


class TestRefusals:
    """Each stands at its field, and what was typed is still there."""

    @pytest.mark.parametrize(
        ("typed", "field", "words"),
        [
            ({"there": "team/taken"}, "there", "already"),
            ({"there": "team/../x"}, "there", "cannot be the name"),
            ({"there": "app.git"}, "there", "cannot be the name"),
            ({"parent": "No-Such"}, "parent", "No-Such"),
            ({"parent": "a//b"}, "parent", "cannot be the name"),
            ({"group": "No such group"}, "group", "No such group"),
            ({"slug": "new"}, "slug", "word of the portal"),
            ({"slug": "Not A Slug"}, "slug", ""),
            ({"origin": "gerrit", "there": "team/nothing"}, "there", ""),
            ({"connection": "elsewhere"}, "connection", ""),
        ],
    )
    def test_at_its_field(
        self, page: Client, server: Connection, gerrit_rig: Rig, typed: dict[str, str], field: str, words: str
    ) -> None:
        gerrit_rig.gerrit.create_project("team/taken")
        body = form(branches="main develop", **typed)
        answer = page.post(NEW, body)
        errors = answer.context["form"].errors
        assert answer.status_code == 422
        assert list(errors) == [field], errors
        assert words in str(errors[field])
        assert "main develop" in html(answer)
        assert not Project.objects.exists()

    def test_a_short_name_that_is_taken(self, page: Client, server: Connection) -> None:
        world.bare_project(None, "app")
        answer = page.post(NEW, form())
        assert list(answer.context["form"].errors) == ["slug"]

    def test_a_server_that_is_away(self, page: Client, server: Connection) -> None:
        server.config = {**server.config, "url": "http://127.0.0.1:9/"}
        server.save()
        answer = page.post(NEW, form())
        assert answer.status_code == 422
        assert list(answer.context["form"].errors) == ["__all__"]
        assert 'value="team/app"' in html(answer)


class TestBinding:
    def test_only_what_gerrit_lets_one_read(self, server: Connection, gerrit_rig: Rig) -> None:
        gerrit_rig.gerrit.create_project("team/old")
        nobody_there = signed_in(world.person("nobody-there"))
        answer = nobody_there.post(NEW, form(origin="gerrit", there="team/old"))
        assert list(answer.context["form"].errors) == ["there"]
        assert "Ops can bind it" in html(answer)
        assert signed_in(world.ops()).post(NEW, form(origin="gerrit", there="team/old")).status_code == 302
        assert Project.objects.get().repository == "team/old"

    def test_a_renamed_repository_is_followed_from_the_settings(
        self, page: Client, server: Connection, gerrit_rig: Rig
    ) -> None:
        page.post(NEW, form())
        settings = "/projects/app/settings/"
        assert 'name="form" value="rebind"' in html(page.get(settings))
        answer = page.post(settings, {"form": "rebind", "repository": "team/nothing"})
        assert answer.status_code == 422
        assert list(answer.context["rebind_form"].errors) == ["repository"]
        gerrit_rig.gerrit.accounts.add("ann", "x")
        gerrit_rig.gerrit.rename("team/app", "team/shop")
        answer = page.post(settings, {"form": "rebind", "repository": "team/shop"})
        assert answer.status_code == 302, answer.context["rebind_form"].errors
        assert Project.objects.get().repository == "team/shop"

    def test_what_lives_here_has_nothing_to_bind(self, page: Client, ann: User) -> None:
        world.bare_project(ann, "here")
        assert 'value="rebind"' not in html(page.get("/projects/here/settings/"))
        answer = page.post("/projects/here/settings/", {"form": "rebind", "repository": "x"})
        assert "kept by the portal" in html(answer)


def test_the_same_through_the_api(ann: User, server: Connection, gerrit_rig: Rig) -> None:
    source = {
        "kind": "gerrit", "connection": "review", "repository": "team/api", "create": True, "branches": ["trunk", "next"],
    }  # fmt: skip
    door = Door(ann)
    answer = door.post("projects/", {"slug": "api-app", "source": source})
    assert answer.status_code == 201, answer.content
    assert Project.objects.get().default_branch == "trunk"
    again = door.post("projects/", {"slug": "another", "source": source})
    assert (again.status_code, again.json()["code"]) == (409, "repository_exists")
    unknown = door.post("projects/", {"slug": "another", "source": {**source, "connection": "nowhere"}})
    assert unknown.status_code == 422
