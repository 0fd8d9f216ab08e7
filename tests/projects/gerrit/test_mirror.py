"""What kind `gerrit` needed of the mirrors of kind `git`: refs besides branches and tags, and a CA of one's own."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from fangduoduo_release.common.errors import Invalid, Rejected
from projects.drivers.source import git_mirror
from projects.drivers.source.base import Repository
from projects.drivers.source.git import GitSource
from tests.projects.gerrit.conftest import git_config
from tests.projects.gerrit.test_rest import Stub, http, self_signed
from tests.projects.git.conftest import git
from tests.simulators.gerrit_rig import Rig


@pytest.fixture
def bound(gerrit_rig: Rig, tmp_path: Path) -> tuple[GitSource, Repository]:
    """A project on the Gerrit, bound by its address as kind `git` does it."""
    gerrit_rig.gerrit.create_project("app")
    source = GitSource(replace(git_config(tmp_path), allow_private=True))
    made = Repository("app", f"{gerrit_rig.url}a/app")
    return source, replace(made, credentials=replace(made.credentials, username="portal", secret=gerrit_rig.password))


def test_a_ref_of_a_change_is_brought_and_stays(gerrit_rig: Rig, bound: tuple[GitSource, Repository]) -> None:
    source, repository = bound
    first, second = gerrit_rig.gerrit.upload("app"), gerrit_rig.gerrit.upload("app")
    source.refresh(repository, ref=first.ref(1))
    source.refresh(repository, ref=second.ref(1))
    source.refresh(repository)
    held = git("for-each-ref", "--format=%(refname)", "refs/changes", cwd=source.path(repository)).stdout.split()
    assert held == [first.ref(1), second.ref(1)]
    assert source.resolve(repository, first.current.revision).subject == "Add file"
    assert set(source.poll(repository, None).tips) == {"refs/heads/master"}, "and it is nobody's push"


def test_a_branch_that_is_gone_goes_and_changes_stay(gerrit_rig: Rig, bound: tuple[GitSource, Repository]) -> None:
    source, repository = bound
    gerrit_rig.gerrit.push("app", "topic")
    change = gerrit_rig.gerrit.upload("app")
    source.refresh(repository, ref=change.ref(1))
    gerrit_rig.gerrit.delete_branch("app", "topic")
    source.refresh(repository)
    held = git("for-each-ref", "--format=%(refname)", cwd=source.path(repository)).stdout.split()
    assert held == [change.ref(1), "refs/heads/master"]


@pytest.mark.parametrize(
    "ref", ["refs/changes/../x", "refs/changes/*", "refs/changes/01/1/1:refs/heads/master", "refs/x y"]
)
def test_a_ref_that_is_none_never_reaches_git(bound: tuple[GitSource, Repository], ref: str) -> None:
    source, repository = bound
    with pytest.raises(Invalid):
        source.refresh(repository, ref=ref)


def test_a_server_whose_ca_was_given_is_trusted_by_git_too(tmp_path: Path) -> None:
    key, pem = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, key)
    server = Stub(http("404 Not Found"), tls=context)
    config = replace(git_config(tmp_path), allow_private=True)
    place = Repository("app", f"https://localhost:{server.port}/app.git")
    codes = []
    for ca in ("", pem.read_text()):
        source = GitSource(replace(config, ca=ca))
        with pytest.raises(Rejected) as refused:
            git_mirror.look(source.git, source.config, place)
        codes.append(refused.value.code)
    server.close()
    assert codes == ["bad_certificate", "not_a_repository"]
