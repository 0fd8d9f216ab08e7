"""With a Gerrit: a project is made in it, cloned over HTTP and SSH, pushed to; builds appear by themselves, and what was
pushed while nobody listened is found. (The change and its vote: `test_triggers`.)"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.portal import Portal
from tests.require import need
from tests.simulators.gerrit_rig import USER, Rig

from .test_main_path import wait_for_build
from .visitor import Visitor

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(1800)]
NAME, REPOSITORY = "Teamcode", "team/teamcode"
_texts = itertools.count(1)


@pytest.fixture(scope="module")
def rig(house: Portal) -> Iterator[Rig]:
    """A simulated Gerrit that ops have connected, and that the portal listens to."""
    with tempfile.TemporaryDirectory() as folder, Rig(Path(folder)) as running, house.api("ops") as ops:
        config, secrets = running.connection_facts()
        body = {"name": "teamcode", "kind": "gerrit", "config": config, "secrets": secrets}
        answer = ops.post("/api/connections/", json=body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["last_test"]["ok"], answer.text
        running.listening()
        yield running


def commit(rig: Rig, work: Path, message: str) -> None:
    (work / "NOTES").write_text(f"{next(_texts)}\n")
    rig.git("add", "-A", folder=work)
    rig.git("commit", "-qm", message, folder=work)


def test_a_project_is_made_in_gerrit_cloned_pushed_to_and_builds_also_what_nobody_heard(
    visit: Callable[..., Visitor], house: Portal, rig: Rig, tmp_path: Path
) -> None:
    """One story: a part of it that another worker was given would find no project."""
    visitor, work = visit(), tmp_path / "work"
    make_clone_and_push(visitor, rig, work)
    push_while_nobody_listens(visitor, house, rig, work)
    clone_over_ssh(rig, tmp_path)


def make_clone_and_push(visitor: Visitor, rig: Rig, work: Path) -> None:
    page = visitor.sign_in()
    visitor.open("/projects/new/")
    page.fill("[name=slug]", "teamcode")
    page.fill("[name=name]", NAME)
    page.check("[name=origin][value=gerrit_new]")
    page.fill("[name=there]", REPOSITORY)
    page.check("[name=starter][value=python-http]")
    page.click("form[data-wizard] button.btn-primary")
    page.wait_for_url("**/projects/teamcode/")
    assert rig.gerrit.project(REPOSITORY).name == REPOSITORY

    address = page.inner_text(".page-lead .repo-url >> nth=0").strip()
    assert address == f"{rig.url.rstrip('/')}/a/{REPOSITORY}"
    assert f"ssh://dev@127.0.0.1:{rig.ssh_port}/{REPOSITORY}" in page.content()  # as whoever reads it signs in there
    page.evaluate("window.sameDocument = true")
    rig.git("clone", "-q", rig.git_url(REPOSITORY), str(work))
    commit(rig, work, "Say something new")
    rig.git("push", "-q", "origin", "HEAD", folder=work)
    wait_for_build(visitor, 1)
    visitor.sees("Say something new", ".last-build")
    assert page.evaluate("window.sameDocument") is True, "live, without a click and without a reload"


def push_while_nobody_listens(visitor: Visitor, house: Portal, rig: Rig, work: Path) -> None:
    page = visitor.open("/projects/teamcode/")
    old = house.kill("watch")
    commit(rig, work, "Pushed into the dark")
    rig.git("push", "-q", "origin", "HEAD", folder=work)
    house.wait_for_new("watch", old)
    visitor.sees("Pushed into the dark", ".last-build")
    page.locator(".last-build .state-green").wait_for()
    visitor.open("/projects/teamcode/triggers/")
    visitor.sees("Pushed into the dark")


def clone_over_ssh(rig: Rig, tmp_path: Path) -> None:
    need("ssh")
    key, hosts = tmp_path / "key", tmp_path / "hosts"
    key.write_text(rig.user_key)
    key.chmod(0o600)
    hosts.write_text(rig.known_hosts)
    ssh = f"ssh -F /dev/null -i {key} -o UserKnownHostsFile={hosts} -o StrictHostKeyChecking=yes -o BatchMode=yes"
    address = f"ssh://{USER}@127.0.0.1:{rig.ssh_port}/{REPOSITORY}"
    rig.git("-c", f"core.sshCommand={ssh}", "clone", "-q", address, str(tmp_path / "over-ssh"))
    assert (tmp_path / "over-ssh" / "NOTES").is_file()
