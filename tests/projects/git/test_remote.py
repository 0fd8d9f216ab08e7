"""Repositories bound by URL: which addresses are refused, how we sign in, and how a mirror follows its server."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from fangduoduo_release.common.errors import AppError, Invalid, Rejected, Unavailable
from projects.drivers.source import git_mirror
from projects.drivers.source.base import Credentials, Repository
from projects.drivers.source.git import GitSource
from projects.drivers.source.git_command import Git
from projects.drivers.source.git_remote import judge_url, parse_url, signed_in
from tests.projects.git.conftest import Server, commit, git, new_source
from tests.projects.git.serve import PEOPLE

DEV = Credentials("dev", PEOPLE["dev"])


@pytest.fixture
def here(tmp_path: Path) -> GitSource:
    """Our side, which may reach private networks."""
    return new_source(tmp_path / "here", allow_private=True)


@pytest.fixture
def bound(remote: Server, request: pytest.FixtureRequest) -> Repository:
    slug = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:60].strip("-")
    if not remote.source.exists(Repository(slug)):
        remote.create(slug)
    return Repository("mine", remote.url(slug, who=""), DEV)


def clone(remote: Server, bound: Repository, tmp_path: Path) -> Path:
    slug = bound.url.rpartition("/")[2].removesuffix(".git")
    return remote.clone(slug, tmp_path / "work")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("file:///etc", "bad_url_scheme"),
        ("/srv/git/x.git", "bad_url_scheme"),
        ("../x.git", "bad_url_scheme"),
        ("ext::sh -c id", "bad_url_form"),
        ("ext::id", "bad_url_scheme"),
        ("git://example.org/x", "bad_url_scheme"),
        ("ftp://example.org/x", "bad_url_scheme"),
        ("-oProxyCommand=id", "bad_url_scheme"),
        ("--upload-pack=id", "bad_url_scheme"),
        ("ssh://-oProxyCommand=id/x", "bad_url_host"),
        ("ssh://-l@example.org/x", "bad_url_user"),
        ("https://user:secret@example.org/x", "bad_url_credentials"),
        ("https://user@example.org/x", "bad_url_credentials"),
        ("https://example.org", "bad_url_path"),
        ("https://example.org/", "bad_url_path"),
        ("https://example.org/a/../b", "bad_url_path"),
        ("https://example.org/a/%2e%2e/b", "bad_url_path"),
        ("https://example.org/x?y", "bad_url_path"),
        ("https://example.org/x#y", "bad_url_path"),
        ("https:///x", "bad_url_host"),
        ("https://exa_mple.org$(id)/x", "bad_url_host"),
        ("https://example.org:99999/x", "bad_url_form"),
        ("https://[::1/x", "bad_url_form"),
        ("https://example.org/x\n", "bad_url_form"),
        ("https://example.org/x y", "bad_url_form"),
        ("https://bücher.example/x", "bad_url_form"),
        ("https://example.org/" + "x" * 2000, "bad_url_form"),
        ("", "bad_url_scheme"),
    ],
)
def test_an_address_that_is_no_plain_repository_is_refused(url: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_url(url)
    assert refused.value.code == code
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://example.org/a/b.git", "https://example.org/a/b.git"),
        ("HTTPS://Example.ORG:443/a", "https://example.org/a"),
        ("http://example.org:8080/a", "http://example.org:8080/a"),
        ("ssh://git@example.org:2222/a", "ssh://git@example.org:2222/a"),
        ("git@example.org:group/a.git", "ssh://git@example.org/group/a.git"),
        ("https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443/a"),
    ],
)
def test_addresses_are_written_one_way(url: str, text: str) -> None:
    assert parse_url(url).text == text


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254", "[fe80::1]", "100.100.100.200", "168.63.129.16", "[fd00:ec2::254]", "224.0.0.1", "0.0.0.0", "[::]",
        "[::ffff:169.254.169.254]", "[2002:a9fe:a9fe::]", "255.255.255.255", "2852039166", "0xa9fea9fe",
    ],
)  # fmt: skip
@pytest.mark.parametrize("allow_private", [False, True])
def test_metadata_and_link_local_are_never_reached(host: str, allow_private: bool) -> None:
    with pytest.raises(Invalid) as refused:
        judge_url(f"http://{host}/latest/meta-data", allow_private=allow_private)
    assert refused.value.code == "bad_url_address"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.1.2.3", "192.168.1.1", "172.16.0.1", "[::1]", "100.64.0.1", "127.1"]
)
def test_private_networks_only_where_the_portal_says_so(host: str) -> None:
    with pytest.raises(Invalid) as refused:
        judge_url(f"https://{host}/x", allow_private=False)
    assert refused.value.code == "bad_url_private"
    assert judge_url(f"https://{host}/x", allow_private=True).address


def test_a_public_address_is_taken() -> None:
    assert judge_url("https://93.184.216.34/x", allow_private=False).address == "93.184.216.34"


def test_a_host_that_does_not_exist_may_be_tried_again() -> None:
    with pytest.raises(Unavailable) as refused:
        judge_url("https://no-such-host.invalid/x", allow_private=True)
    assert refused.value.code == "unknown_host"


def test_a_bound_repository_is_read_like_one_of_ours(
    remote: Server, here: GitSource, bound: Repository, tmp_path: Path
) -> None:
    state = here.state(bound)
    assert (state.default_branch, state.empty) == ("main", False)
    assert [ref.short for ref in here.branches(bound)] == ["main"]
    assert b"pipeline" in here.read_file(bound, "main", "Jenkinsfile").data
    assert here.clone_url(bound) == bound.url
    head = here.resolve(bound, "main").sha
    here.checkout(bound, head, tmp_path / "build")
    assert (tmp_path / "build" / "Jenkinsfile").is_file()
    with pytest.raises(Invalid):
        here.create_repository(bound)


def test_a_poll_follows_its_server(remote: Server, here: GitSource, bound: Repository, tmp_path: Path) -> None:
    work = clone(remote, bound, tmp_path)
    seen = here.poll(bound, None)
    assert seen.events == ()
    new = commit(work, "a", "a")
    git("tag", "-a", "v1", "-m", "one", cwd=work)
    git("push", "--quiet", "origin", "main", "main:side", "v1", cwd=work)
    moved = here.poll(bound, seen.tips)
    assert {event.ref for event in moved.events} == {"refs/heads/main", "refs/heads/side", "refs/tags/v1"}
    assert here.resolve(bound, "v1").sha == new
    assert here.poll(bound, moved.tips).events == ()
    git("commit", "--quiet", "--amend", "-m", "other", cwd=work)
    git("push", "--quiet", "--force", "origin", "main", ":side", cwd=work)
    last = here.poll(bound, moved.tips)
    assert [(e.ref, e.deleted, e.forced) for e in last.events] == [
        ("refs/heads/side", True, False),
        ("refs/heads/main", False, True),
    ]
    assert [ref.short for ref in here.branches(bound)] == ["main"]


def test_a_mirror_that_was_lost_is_made_again(remote: Server, here: GitSource, bound: Repository) -> None:
    seen = here.poll(bound, None)
    shutil.rmtree(here.path(bound))
    assert here.resolve(bound, "main").sha == seen.tips["refs/heads/main"]


def test_the_default_branch_is_the_servers(
    remote: Server, here: GitSource, bound: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_mirror, "_DEFAULT_S", 60.0)  # who has no time for the answer goes on without it
    slug = bound.url.rpartition("/")[2].removesuffix(".git")
    bare = remote.source.path(Repository(slug))
    git("branch", "trunk", "main", cwd=bare)
    git("symbolic-ref", "HEAD", "refs/heads/trunk", cwd=bare)
    here.refresh(bound)
    assert here.state(bound).default_branch == "trunk"
    assert git("symbolic-ref", "HEAD", cwd=here.path(bound)).stdout.strip() == "refs/heads/trunk"


@pytest.mark.parametrize("credentials", [Credentials(), Credentials("dev", "wrong"), Credentials("", "token")])
def test_a_refused_sign_in_is_said(
    remote: Server, here: GitSource, bound: Repository, credentials: Credentials
) -> None:
    with pytest.raises(Rejected) as refused:
        here.state(replace(bound, credentials=credentials))
    assert refused.value.code == "authentication_failed"
    assert "wrong" not in refused.value.evidence


def test_what_is_no_repository_is_said(remote: Server, here: GitSource) -> None:
    for slug in ("absent", "no/such/place"):
        with pytest.raises(Rejected) as refused:
            here.state(Repository("x", f"http://127.0.0.1:{remote.port}/git/{slug}.git", DEV))
        assert refused.value.code == "not_a_repository"


def test_a_server_that_is_away_may_be_tried_again(here: GitSource) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        for url in (f"http://127.0.0.1:{port}/x.git", f"ssh://git@127.0.0.1:{port}/x.git"):
            with pytest.raises(Unavailable) as refused:
                here.refresh(Repository("x", url, DEV))
            assert refused.value.code == "host_unreachable"


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    source = new_source(tmp_path, allow_private=True, look_timeout=0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(Unavailable) as refused:
            source.state(Repository("x", f"http://127.0.0.1:{silent.getsockname()[1]}/x.git"))
    assert refused.value.code == "git_timeout"


def test_a_redirect_leads_nowhere(here: GitSource) -> None:
    visited: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            visited.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/inner")  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, *values: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with pytest.raises(AppError):
            here.state(Repository("x", f"http://127.0.0.1:{server.server_port}/x.git"))
        server.shutdown()
        thread.join()
    assert [path.partition("?")[0] for path in visited] == ["/x.git/info/refs"]


def test_a_repository_that_is_too_large_is_stopped(remote: Server, bound: Repository, tmp_path: Path) -> None:
    work = clone(remote, bound, tmp_path)
    (work / "big").write_bytes(os.urandom(3 << 20))
    commit(work, "a", "a")
    git("push", "--quiet", "origin", "main", cwd=work)
    small = new_source(tmp_path / "small", allow_private=True, max_pack=1 << 20)
    with pytest.raises(Rejected) as refused:
        small.refresh(bound)
    assert refused.value.code == "repository_too_large"
    assert sum(f.stat().st_size for f in small.config.mirrors.rglob("*") if f.is_file()) < 2 << 20


def test_many_who_refresh_at_once_do_not_hurt_each_other(here: GitSource, bound: Repository) -> None:
    failures: list[Exception] = []

    def refresh() -> None:
        try:
            here.refresh(bound)
        except AppError as error:
            failures.append(error)

    threads = [threading.Thread(target=refresh) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert here.resolve(bound, "main")


def test_secrets_show_neither_in_arguments_nor_in_words(here: GitSource, bound: Repository, tmp_path: Path) -> None:
    spy = tmp_path / "git"
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {tmp_path}/argv\nexec {shutil.which("git")} "$@"\n')
    spy.chmod(0o755)
    source = new_source(tmp_path / "spied", allow_private=True, program=str(spy))
    source.refresh(bound)
    said = (tmp_path / "argv").read_text()
    assert "ls-remote" in said
    assert "fetch" in said
    assert PEOPLE["dev"] not in said
    assert "Authorization" not in said
    assert PEOPLE["dev"] not in repr(bound)
    for file in source.path(bound).rglob("*"):
        assert not file.is_file() or PEOPLE["dev"].encode() not in file.read_bytes()


def test_a_key_lives_only_as_long_as_its_call(tmp_path: Path) -> None:
    url = judge_url("git@127.0.0.1:x.git", allow_private=True)
    with signed_in(url, Credentials(ssh_key="-----BEGIN\r\nkey"), tmp_path / "hosts") as env:
        words = shlex.split(env["GIT_SSH_COMMAND"])
        key = Path(next(word for word in words if word.startswith("IdentityFile=")).partition("=")[2])
        assert key.read_text() == "-----BEGIN\nkey\n"
        assert key.stat().st_mode & 0o077 == 0
        assert "HostName=127.0.0.1" in words
        assert "HostKeyAlias=127.0.0.1" in words
        assert env["GIT_ALLOW_PROTOCOL"] == "ssh"
    assert not key.exists()


def test_git_itself_refuses_transports_nobody_asked_for(tmp_path: Path) -> None:
    trap = tmp_path / "trapped"
    for url in (f"ext::touch {trap}", str(tmp_path), f"file://{tmp_path}"):
        answer = Git().ask("ls-remote", "--", url)
        assert answer.code != 0
        assert "not allowed" in answer.err
    assert not trap.exists()
