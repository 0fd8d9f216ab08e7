"""The simulated Gerrit as git and SSH clients see it: clones, pushes, commands, events."""

from __future__ import annotations

import json
from pathlib import Path

import asyncssh
import pytest

from tests.require import need
from tests.simulators.gerrit_ground import Asker, commit, connected, event, listening, work_tree
from tests.simulators.gerrit_rig import USER, Rig

# -- git ----------------------------------------------------------------------------------------------------------------


def test_git_pushes_and_fetches_over_http(asker: Asker, tmp_path: Path) -> None:
    tree = work_tree(asker.rig, "team/app", tmp_path / "tree")
    big = "".join(f"{number} {number * 7919 % 100003:x}\n" for number in range(300_000))
    tip = commit(asker.rig, tree, {"big.txt": big}, "Big")
    asker.rig.git("push", "-q", "origin", "HEAD:master", folder=tree)
    assert asker.get("projects/team%2Fapp/branches/master")["revision"] == tip
    again = work_tree(asker.rig, "team/app", tmp_path / "again")
    assert (again / "big.txt").read_text() == big
    assert asker.gerrit.stream.past[-1]["refUpdate"]["newRev"] == tip
    assert asker.gerrit.stream.past[-1]["submitter"]["username"] == USER


def test_git_without_a_password_is_let_in_only_where_everybody_reads(asker: Asker) -> None:
    bare = f"{asker.rig.url}team/app"
    assert asker.rig.git("ls-remote", bare, check=False).returncode == 128
    asker.gerrit.anonymous = True
    assert "refs/heads/master" in asker.rig.git("ls-remote", bare).stdout
    assert asker.rig.git("ls-remote", f"{asker.rig.url}a/team/app", check=False).returncode == 128


async def test_git_speaks_its_second_protocol_over_ssh(asker: Asker) -> None:
    async with connected(asker.rig) as connection:
        process = await connection.create_process(
            "git-upload-pack '/team/app'", env={"GIT_PROTOCOL": "version=2"}, encoding=None
        )
        first = await process.stdout.readexactly(14)
        assert first == b"000eversion 2\n"
    async with connected(asker.rig) as connection:
        refused = await connection.run("git-upload-pack 'team/none'")
        assert (refused.exit_status, refused.stderr) == (128, "fatal: Project not found: team/none\n")


def test_people_push_over_ssh(asker: Asker, tmp_path: Path) -> None:
    need("ssh")
    key, hosts = tmp_path / "key", tmp_path / "hosts"
    key.write_text(asker.rig.user_key)
    key.chmod(0o600)
    hosts.write_text(f"{asker.rig.known_hosts}\n")
    ssh = f"ssh -F none -i {key} -o IdentitiesOnly=yes -o UserKnownHostsFile={hosts} -o StrictHostKeyChecking=yes"
    git = ("-c", f"core.sshCommand={ssh}")
    url = f"ssh://{USER}@127.0.0.1:{asker.rig.ssh_port}/team/app"
    tree = tmp_path / "tree"
    asker.rig.git(*git, "clone", "-q", url, str(tree))
    tip = commit(asker.rig, tree, {"a": "1"}, f"One\n\nChange-Id: I{'1' * 40}")
    asker.rig.git(*git, "push", "-q", "origin", "HEAD:refs/for/master", folder=tree)
    asker.rig.git(*git, "push", "-q", "origin", "HEAD:master", folder=tree)
    assert asker.gerrit.changes.all[0].current.revision == tip
    assert asker.get("projects/team%2Fapp/branches/master")["revision"] == tip


# -- SSH ----------------------------------------------------------------------------------------------------------------


async def test_commands_of_gerrit_are_answered(asker: Asker) -> None:
    async with connected(asker.rig) as connection:
        assert (await connection.run("gerrit version")).stdout == "gerrit version 3.10.2\n"
        assert str((await connection.run("gerrit ls-projects")).stdout).split() == [
            "All-Projects",
            "All-Users",
            "team/app",
        ]
        assert '"team%2Fapp"' in str((await connection.run("gerrit ls-projects --format json")).stdout)
        assert (await connection.run("gerrit frobnicate")).exit_status == 127
        shell = await connection.run("")
        assert "interactive shells are disabled" in str(shell.stderr)


async def test_only_a_known_key_comes_in(asker: Asker) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    for options in ({"client_keys": [other]}, {"username": "nobody"}):
        with pytest.raises(asyncssh.PermissionDenied):
            async with connected(asker.rig, **options):
                pass


async def test_every_listener_hears_what_it_wants(asker: Asker) -> None:
    async with listening(asker.rig) as all_of_it, listening(asker.rig, "patchset-created", "change-merged") as some:
        asker.gerrit.push("team/app")
        asker.gerrit.upload("team/app")
        assert (await event(all_of_it))["refUpdate"]["refName"] == "refs/heads/master"
        assert (await event(some))["type"] == "patchset-created"


async def test_nobody_hears_of_a_project_that_is_hidden_from_them(asker: Asker) -> None:
    asker.gerrit.create_project("secret")
    asker.gerrit.faults.hide("secret", USER)
    async with listening(asker.rig) as process:
        asker.gerrit.push("secret")
        asker.gerrit.push("team/app")
        assert (await event(process))["refUpdate"]["project"] == "team/app"


async def test_what_looks_like_html_is_escaped_in_events(asker: Asker) -> None:
    async with connected(asker.rig) as connection:
        process = await connection.create_process("gerrit stream-events -s patchset-created", stdin=asyncssh.DEVNULL)
        asker.rig.listening()
        asker.gerrit.upload("team/app", message="Don't <b> & é")
        line = await process.stdout.readline()
        assert "Don\\u0027t \\u003cb\\u003e \\u0026 é" in line
        assert json.loads(line)["change"]["subject"] == "Don't <b> & é"


async def test_who_may_not_listen_is_told_so(asker: Asker) -> None:
    asker.gerrit.faults.forbid(USER, "streamEvents")
    async with connected(asker.rig) as connection:
        refused = await connection.run("gerrit stream-events")
        assert (refused.exit_status, refused.stderr) == (1, "fatal: stream events not permitted\n")


async def test_moves_come_in_one_event_when_that_is_switched_on(asker: Asker) -> None:
    asker.gerrit.batch, asker.gerrit.single = True, False
    asker.gerrit.upload("team/app")
    (batch,) = asker.gerrit.stream.of("batch-ref-updated")
    assert (batch["projectName"], batch["submitter"]["username"]) == ("team/app", "admin")
    assert [one["refName"] for one in batch["refUpdates"]] == ["refs/changes/01/1/meta", "refs/changes/01/1/1"]
    assert all(one["project"] == "team/app" for one in batch["refUpdates"])


def test_a_flood_is_as_fast_as_it_is_wished(gerrit_rig: Rig) -> None:
    sent = gerrit_rig.flood(rate=2000, seconds=0.5, projects=("a", "b"))
    assert sent == 1000
