"""Which SSH host keys are believed: by real servers on several ports of one host, and the real ssh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fangduoduo_release.common.errors import Rejected
from projects.drivers.source.base import Credentials, Repository
from projects.drivers.source.git import GitSource
from projects.drivers.source.git_remote import carry_pins, parse_url
from tests.projects.git.conftest import new_source
from tests.simulators.gerrit_rig import USER, Rig


@pytest.fixture
def here(tmp_path: Path) -> GitSource:
    """Our side, which may reach private networks."""
    return new_source(tmp_path / "here", allow_private=True)


@pytest.fixture
def rigs(tmp_path: Path) -> Iterator[tuple[Rig, Rig]]:
    """Two SSH servers on one host, each with a key of its own and a repository `app`."""
    with Rig(tmp_path / "one") as one, Rig(tmp_path / "two") as two:
        for rig in (one, two):
            rig.gerrit.create_project("app")
            rig.gerrit.push("app")
        yield one, two


def bound(rig: Rig, name: str) -> Repository:
    return Repository(name, f"ssh://{USER}@127.0.0.1:{rig.ssh_port}/app", Credentials(ssh_key=rig.user_key))


def known(source: GitSource) -> Path:
    return source.config.mirrors / "known_hosts"


def key_of(rig: Rig) -> str:
    return rig.known_hosts.partition(" ")[2].strip()


def as_before_ports_counted(source: GitSource, repository: Repository, key: str) -> None:
    """What an older portal left: the key under the host alone, and a mirror that says nothing of ports."""
    known(source).write_text(f"127.0.0.1 {key}\n")
    (source.path(repository) / "fdd-ports-count").unlink()


def test_two_servers_of_one_host_have_a_key_each(here: GitSource, rigs: tuple[Rig, Rig]) -> None:
    for number, rig in enumerate(rigs):
        here.refresh(bound(rig, f"app-{number}"))
    for number, rig in enumerate(rigs):
        assert here.poll(bound(rig, f"app-{number}"), None).tips
        assert f"[127.0.0.1]:{rig.ssh_port} {key_of(rig)}" in known(here).read_text()


def test_a_changed_key_is_refused_whatever_the_port(here: GitSource, rigs: tuple[Rig, Rig]) -> None:
    one, _ = rigs
    here.refresh(bound(one, "app"))
    one.gerrit.faults.change_host_key()
    with pytest.raises(Rejected) as refused:
        here.refresh(bound(one, "app"))
    assert refused.value.code == "host_key"


def test_a_key_that_ops_pinned_as_openssh_writes_it_is_believed(here: GitSource, rigs: tuple[Rig, Rig]) -> None:
    one, two = rigs
    here.config.mirrors.mkdir(parents=True)
    known(here).write_text(f"{one.known_hosts}\n[127.0.0.1]:{two.ssh_port} {key_of(one)}\n")
    here.refresh(bound(one, "one"))
    with pytest.raises(Rejected) as refused:
        here.refresh(bound(two, "two"))
    assert refused.value.code == "host_key"


def test_a_pin_from_before_ports_counted_still_holds(here: GitSource, rigs: tuple[Rig, Rig]) -> None:
    one, two = rigs
    repository = bound(one, "app")
    here.refresh(repository)
    as_before_ports_counted(here, repository, key_of(one))
    here.refresh(repository)
    assert f"[127.0.0.1]:{one.ssh_port} {key_of(one)}" in known(here).read_text()
    as_before_ports_counted(here, repository, key_of(two))
    with pytest.raises(Rejected) as refused:
        here.refresh(repository)
    assert refused.value.code == "host_key", "another key than the pinned one is not taken over by way of the port"


def test_a_pin_from_before_ports_counted_binds_no_server_that_never_answered_to_it(
    here: GitSource, rigs: tuple[Rig, Rig]
) -> None:
    one, two = rigs
    here.config.mirrors.mkdir(parents=True)
    known(here).write_text(f"127.0.0.1 {key_of(one)}\n")
    here.refresh(bound(two, "new"))  # it could never be reached, since the other's key stood under the host
    here.refresh(bound(two, "new"))
    here.refresh(bound(one, "moved"))
    here.refresh(bound(two, "moved"))  # bound to another address since
    assert known(here).read_text().count(f"[127.0.0.1]:{two.ssh_port} ") == 1


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("git@git.example:x.git", "git.example"),
        ("ssh://git@git.example:22/x", "git.example"),
        ("ssh://git@git.example:2222/x", "[git.example]:2222"),
        ("ssh://git@[2001:db8::1]:2222/x", "[2001:db8::1]:2222"),
    ],
)
def test_a_server_is_called_what_openssh_calls_it(url: str, name: str) -> None:
    assert parse_url(url).known_as == name


def test_pins_are_carried_over_once_and_only_those_of_the_host(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    old = "git.example,10.0.0.1 ssh-ed25519 AAAA\ngit.example ssh-rsa BBBB\nother.example ssh-rsa CCCC\n\n# a word\n"
    path.write_text(old)
    url = parse_url("ssh://git@git.example:2222/x")
    for _ in range(2):
        carry_pins(url, path)
        assert path.read_text() == f"{old}[git.example]:2222 ssh-ed25519 AAAA\n[git.example]:2222 ssh-rsa BBBB\n"
    carry_pins(parse_url("git@git.example:x"), path)
    carry_pins(parse_url("ssh://git@third.example:2222/x"), path)
    assert path.read_text().count("\n") == 7
    carry_pins(url, tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
