"""Git as a process: stopped when it hangs or says too much, missed when it is not there, understood when it complains."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil
import pytest

from fangduoduo_release.common.errors import AppError, Rejected, Unavailable
from projects.drivers.source.base import Repository
from projects.drivers.source.git_command import Git, clean_env
from projects.drivers.source.git_complaints import explain
from tests.projects.git.conftest import new_source
from tests.waiting import until

SHOP = Repository("shop")


def living(mark: str) -> list[int]:
    """The processes with this in their environment; one that ended, but that nobody has collected yet, has none."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            if mark.encode() in Path(f"/proc/{process.pid}/environ").read_bytes():
                found.append(process.pid)
    return found


def test_git_that_hangs_is_stopped_as_a_whole(tmp_path: Path) -> None:
    """Git and its child are found by a mark: on a slow machine the child may not have been begun when the time is up."""
    script = tmp_path / "git"
    script.write_text("#!/bin/sh\nsleep 3600 &\nwait\n")
    script.chmod(0o755)
    env = clean_env(extra={"MARK": str(tmp_path)})
    with pytest.raises(Unavailable) as refused:
        Git(str(script), timeout=0.5).run("status", env=env)
    assert refused.value.code == "git_timeout"
    until(lambda: not living(str(tmp_path)), what="git and its child to be gone")


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


_SSH_END = (
    "fatal: Could not read from remote repository.\n\n"
    "Please make sure you have the correct access rights\nand the repository exists."
)


@pytest.mark.parametrize(
    "stderr",
    [
        "error: RPC failed; curl 18 transfer closed with outstanding read data remaining\nerror: 6687 bytes of body are "
        "still expected\nfetch-pack: unexpected disconnect while reading sideband packet\nfatal: early EOF\n"
        "fatal: fetch-pack: invalid index-pack output",
        "error: RPC failed; curl 92 HTTP/2 stream 5 was not closed cleanly: PROTOCOL_ERROR (err 1)\n"
        "fatal: the remote end hung up unexpectedly",
        "error: RPC failed; curl 56 GnuTLS recv error (-9): Error decoding the received TLS packet.",
        "error: RPC failed; HTTP 408 curl 22 The requested URL returned error: 408\n"
        "fatal: the remote end hung up unexpectedly",
        "fatal: protocol error: bad pack header",
        "fatal: unable to access 'https://x/': OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to x:443",
        "fatal: unable to access 'https://x/': OpenSSL SSL_read: error:0A000126:SSL routines::unexpected eof while reading",
        "fatal: unable to access 'https://x/': gnutls_handshake() failed: The TLS connection was non-properly terminated.",
        "fatal: unable to access 'https://x/': gnutls_handshake() failed: Error in the pull function.",
        "fatal: unable to access 'https://x/': Recv failure: Connection was reset",
        f"client_loop: send disconnect: Broken pipe\n{_SSH_END}",
        f"Timeout, server x not responding.\n{_SSH_END}",
        f"Connection to x closed by remote host.\n{_SSH_END}",
    ],
)
def test_a_connection_that_broke_off_may_be_tried_again(stderr: str) -> None:
    error = explain(stderr, code=128)
    assert isinstance(error, Unavailable)
    assert error.code == "connection_lost"
    assert error.evidence


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        (_SSH_END, "not_a_repository"),
        (f"ERROR: Repository not found.\nConnection to x closed by remote host.\n{_SSH_END}", "not_a_repository"),
        (f"fatal: 'x.git' does not appear to be a git repository\n{_SSH_END}", "not_a_repository"),
        (f"git@x: Permission denied (publickey).\n{_SSH_END}", "authentication_failed"),
        (f"Host key verification failed.\n{_SSH_END}", "host_key"),
        (
            "error: RPC failed; HTTP 403 curl 22 The requested URL returned error: 403\n"
            "fatal: the remote end hung up unexpectedly",
            "authentication_failed",
        ),
        (
            "error: RPC failed; HTTP 404 curl 22 The requested URL returned error: 404\n"
            "fatal: the remote end hung up unexpectedly",
            "not_a_repository",
        ),
        ("error: index-pack died of signal 25\nfatal: early EOF", "repository_too_large"),
        ("fatal: remote error: upload-pack: not our ref 12\nfatal: the remote end hung up unexpectedly", "unknown_ref"),
        (
            "fatal: unable to access 'https://x/': server certificate verification failed. CAfile: none CRLfile: none",
            "bad_certificate",
        ),
        ("fatal: unable to access 'https://x/': gnutls_handshake() failed: Handshake failed", "rejected"),
        ("fatal: protocol error: bad line length character: Welc", "rejected"),
    ],
)
def test_a_refusal_stays_one_however_the_connection_ended(stderr: str, code: str) -> None:
    error = explain(stderr, code=128)
    assert not isinstance(error, Unavailable)
    assert error.code == code


def test_what_an_address_is_called_says_nothing() -> None:
    for name in ("certificates", "redirect", "early-eof"):
        error = explain(f"fatal: unable to access 'https://x/{name}.git/': Failed to connect to x port 443: refused")
        assert isinstance(error, Unavailable)
        assert error.code == "host_unreachable"
        refused = explain(f"fatal: repository 'https://x/{name}.git/' not found")
        assert isinstance(refused, Rejected)
        assert refused.code == "not_a_repository"
