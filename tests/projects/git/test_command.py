"""Git as a process: stopped when it hangs or says too much, missed when it is not there, understood when it complains."""

from __future__ import annotations

from pathlib import Path

import pytest

from fangduoduo_release.common.errors import AppError, Unavailable
from projects.drivers.source.base import Repository
from projects.drivers.source.git_command import Git, explain
from tests.projects.git.conftest import new_source

SHOP = Repository("shop")


def test_git_that_hangs_is_stopped_as_a_whole(tmp_path: Path) -> None:
    script = tmp_path / "git"
    pid = tmp_path / "pid"
    script.write_text(f"#!/bin/sh\nsleep 60 & echo $! > {pid}\nwait\n")
    script.chmod(0o755)
    with pytest.raises(Unavailable) as refused:
        Git(str(script), timeout=0.5).run("status")
    assert refused.value.code == "git_timeout"
    child = Path(f"/proc/{pid.read_text().strip()}/stat")
    assert not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z"


def test_git_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as refused:
        new_source(tmp_path, program=str(tmp_path / "absent")).create_repository(SHOP)
    assert refused.value.code == "git_missing"


def test_git_that_says_too_much_is_cut_off(tmp_path: Path) -> None:
    script = tmp_path / "git"
    script.write_text("#!/bin/sh\nexec yes\n")
    script.chmod(0o755)
    answer = Git(str(script)).ask("log", max_output=100_000)
    assert answer.truncated
    assert len(answer.out) == 100_000


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        ("fatal: Authentication failed for 'https://x/'", "authentication_failed"),
        ("fatal: could not read Username for 'https://x': terminal prompts disabled", "authentication_failed"),
        (
            "git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "authentication_failed",
        ),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 403", "authentication_failed"),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", "host_unreachable"),
        (
            "fatal: unable to access 'https://x/': Failed to connect to x port 443: Connection refused",
            "host_unreachable",
        ),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 502", "host_unreachable"),
        ("ssh: connect to host x port 22: No route to host\nfatal: Could not read from remote", "host_unreachable"),
        ("fatal: repository 'https://x/y/' not found", "not_a_repository"),
        ("fatal: https://x/info/refs not valid: is this a git repository?", "not_a_repository"),
        ("fatal: unable to access 'https://x/': SSL certificate problem: self-signed certificate", "bad_certificate"),
        ("Host key verification failed.\nfatal: Could not read from remote repository.", "host_key"),
        ("fatal: unable to update url base from redirection:\n asked for: x\n redirect: y", "redirected"),
        ("fatal: couldn't find remote ref refs/heads/x", "unknown_ref"),
        ("fatal: write error: No space left on device", "disk_full"),
        ("error: index-pack died of signal 25", "repository_too_large"),
        ("fatal: something new", "rejected"),
        ("", "rejected"),
    ],
)
def test_every_complaint_becomes_a_sentence(stderr: str, code: str) -> None:
    error = explain(stderr, code=128)
    assert isinstance(error, AppError)
    assert error.code == code
    assert str(error).endswith((".", "something new", "exit 128"))
