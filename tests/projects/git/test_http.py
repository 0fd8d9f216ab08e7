"""Git over HTTP with real git clients on both servers: what people do every day, and what they may not."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from projects.drivers.source.base import ZERO, Repository
from tests.projects.git.conftest import CLIENT_ENV, Server, commit, git
from tests.projects.git.serve import PEOPLE


@pytest.fixture
def slug(server: Server, request: pytest.FixtureRequest) -> str:
    """A repository of the test's own, begun with the starter `blank`."""
    name = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:60].strip("-")
    server.create(name)
    return name


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """A client that is no git; one for all, as each reads every certificate of the system."""
    with httpx.Client(auth=("dev", PEOPLE["dev"]), timeout=60) as client:
        yield client


def tips(server: Server, slug: str) -> dict[str, str]:
    return dict(server.source.poll(Repository(slug), None).tips)


def test_clone_commit_push_is_heard_once(server: Server, slug: str, tmp_path: Path) -> None:
    work = server.clone(slug, tmp_path / "work")
    old = git("rev-parse", "HEAD", cwd=work).stdout.strip()
    new = commit(work, "hello.txt", "hello\n")
    pushed = git("push", "origin", "main", cwd=work)
    assert server.pushes(slug) == [{"slug": slug, "actor": "dev", "updates": [["refs/heads/main", old, new]]}]
    assert tips(server, slug)["refs/heads/main"] == new
    assert not server.notes()
    assert f"remote: Build of {new[:10]}: http://portal/projects/{slug}/builds/1/" in pushed.stderr
    assert "\x1b[31m" not in pushed.stderr


def test_a_push_of_nothing_is_not_heard(server: Server, slug: str, tmp_path: Path) -> None:
    work = server.clone(slug, tmp_path / "work")
    git("push", "origin", "main", cwd=work)
    assert server.pushes(slug) == []


def test_an_empty_repository_is_cloned_and_filled(server: Server, tmp_path: Path) -> None:
    server.create("hollow", starter="")
    work = server.clone("hollow", tmp_path / "work")
    assert git("symbolic-ref", "HEAD", cwd=work).stdout.strip() == "refs/heads/main"
    new = commit(work, "first.txt", "1\n")
    git("push", "--quiet", "origin", "HEAD", cwd=work)
    assert server.pushes("hollow")[0]["updates"] == [["refs/heads/main", ZERO, new]]


def test_shallow_and_partial_clones(server: Server, slug: str, tmp_path: Path) -> None:
    work = server.clone(slug, tmp_path / "work")
    for number in range(3):
        commit(work, "n.txt", str(number))
    git("push", "--quiet", "origin", "main", cwd=work)
    shallow = server.clone(slug, tmp_path / "shallow", "--depth", "1")
    assert git("rev-list", "--count", "HEAD", cwd=shallow).stdout.strip() == "1"
    git("fetch", "--quiet", "--unshallow", cwd=shallow)
    assert git("rev-list", "--count", "HEAD", cwd=shallow).stdout.strip() == "4"
    partial = server.clone(slug, tmp_path / "partial", "--filter=blob:none")
    assert (partial / "n.txt").read_text() == "2"


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_every_protocol_version(server: Server, version: str, tmp_path: Path) -> None:
    name = f"protocol-{version}"
    server.create(name)
    done = git(
        "-c", f"protocol.version={version}", "clone", server.url(name), str(tmp_path / "work"),
        cwd=tmp_path, GIT_TRACE_PACKET="1",
    )  # fmt: skip
    assert ("version 2" in done.stderr) == (version == "2")
    assert (tmp_path / "work" / "Jenkinsfile").is_file()


def test_tags_branches_and_their_deletion(server: Server, slug: str, tmp_path: Path) -> None:
    work = server.clone(slug, tmp_path / "work")
    head = git("rev-parse", "HEAD", cwd=work).stdout.strip()
    git("tag", "-a", "v1", "-m", "one", cwd=work)
    tag = git("rev-parse", "v1", cwd=work).stdout.strip()
    git("push", "--quiet", "origin", "v1", "main:feature/a", cwd=work)
    git("push", "--quiet", "origin", ":feature/a", cwd=work)
    first, second = (push["updates"] for push in server.pushes(slug))
    assert sorted(first) == [["refs/heads/feature/a", ZERO, head], ["refs/tags/v1", ZERO, tag]]
    assert second == [["refs/heads/feature/a", head, ZERO]]
    assert tips(server, slug) == {"refs/heads/main": head, "refs/tags/v1": tag}, "the poll sees what the push said"


def test_the_default_branch_cannot_be_deleted(server: Server, slug: str, tmp_path: Path) -> None:
    work = server.clone(slug, tmp_path / "work")
    refused = git("push", "origin", ":main", cwd=work, ok=False)
    assert refused.returncode != 0
    assert "deletion of the current branch" in refused.stderr
    assert server.pushes(slug) == []


def test_a_forced_push_is_taken_and_known_as_forced(server: Server, slug: str, tmp_path: Path) -> None:
    work = server.clone(slug, tmp_path / "work")
    commit(work, "a.txt", "a")
    git("push", "--quiet", "origin", "main", cwd=work)
    seen = tips(server, slug)
    git("commit", "--quiet", "--amend", "-m", "Rewritten", cwd=work)
    assert git("push", "origin", "main", cwd=work, ok=False).returncode != 0
    git("push", "--quiet", "--force", "origin", "main", cwd=work)
    (event,) = server.source.poll(Repository(slug), seen).events
    assert event.forced
    assert [event.ref, event.old, event.new] == server.pushes(slug)[-1]["updates"][0]
    assert server.source.resolve(Repository(slug), event.old).sha == event.old, "a build of it can still be made"


def test_a_wrong_password_is_refused(server: Server, slug: str, tmp_path: Path) -> None:
    refused = git("clone", server.url(slug, password="wrong"), str(tmp_path / "no"), cwd=tmp_path, ok=False)
    assert "Authentication failed" in refused.stderr
    answer = httpx.get(f"{server.url(slug, who='')}/info/refs?service=git-upload-pack", timeout=60)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_what_one_may_not_see_is_not_there(server: Server, slug: str, tmp_path: Path) -> None:
    unseen = git("ls-remote", server.url(slug, "stranger"), cwd=tmp_path, ok=False)
    absent = git("ls-remote", server.url("absent", "stranger"), cwd=tmp_path, ok=False)
    assert "not found" in unseen.stderr
    assert unseen.stderr.replace(slug, "absent") == absent.stderr


def test_what_one_may_see_but_not_push_is_refused_with_its_reason(server: Server, slug: str, tmp_path: Path) -> None:
    git("clone", "--quiet", server.url(slug, "guest"), "work", cwd=tmp_path)
    commit(tmp_path / "work", "x.txt", "x")
    refused = git("push", "origin", "main", cwd=tmp_path / "work", ok=False)
    assert "403" in refused.stderr
    assert f"remote: You may read {slug} but not push to it; ask an owner." in refused.stderr
    assert server.pushes(slug) == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/git/{slug}.git/info/refs", 403),
        ("GET", "/git/{slug}.git/info/refs?service=git-upload-archive", 403),
        ("GET", "/git/{slug}.git/HEAD", 404),
        ("GET", "/git/{slug}.git/objects/info/packs", 404),
        ("GET", "/git/{slug}.git/config", 404),
        ("GET", "/git/{slug}/info/refs?service=git-upload-pack", 404),
        ("GET", "/git/%2e%2e/{slug}.git/info/refs?service=git-upload-pack", 404),
        ("GET", "/git/..%2f{slug}.git/info/refs?service=git-upload-pack", 404),
        ("GET", "/git/{slug}.git%2f..%2f{slug}.git/info/refs?service=git-upload-pack", 404),
        ("GET", "/git/{slug}%00.git/info/refs?service=git-upload-pack", 404),
        ("GET", "/git/-x.git/info/refs?service=git-upload-pack", 404),
        ("GET", "/git/.new-x.git/info/refs?service=git-upload-pack", 404),
        ("GET", "/git/{slug}.git/git-upload-pack", 405),
        ("POST", "/git/{slug}.git/info/refs?service=git-upload-pack", 405),
        ("POST", "/git/{slug}.git/git-upload-pack", 415),
        ("POST", "/git/{slug}.git/git-receive-pack", 415),
    ],
)
def test_only_the_three_smart_endpoints_exist(
    server: Server, http: httpx.Client, method: str, path: str, status: int
) -> None:
    if not server.source.exists(Repository("doors")):
        server.create("doors")
    host = f"http://127.0.0.1:{server.port}"
    answer = http.request(method, host + path.format(slug="doors"))
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_gzipped_request_is_understood(server: Server, http: httpx.Client, slug: str) -> None:
    body = b"0014command=ls-refs\n0001" + b"0009peel\n" + b"0000"
    answers = [
        http.post(
            f"{server.url(slug, who='')}/git-upload-pack",
            content=content,
            headers={"content-type": "application/x-git-upload-pack-request", "git-protocol": "version=2", **headers},
        )
        for content, headers in ((body, {}), (gzip.compress(body), {"content-encoding": "gzip"}))
    ]
    assert b"refs/heads/main" in answers[0].content
    assert answers[1].content == answers[0].content
    assert answers[1].headers["content-type"] == "application/x-git-upload-pack-result"


def test_many_known_branches_make_git_gzip_by_itself(server: Server, slug: str, tmp_path: Path) -> None:
    work = server.clone(slug, tmp_path / "work")
    script = "".join(
        f"commit refs/heads/b{n}\ncommitter A <a@x> {n} +0000\ndata 1\n{n % 10}\nfrom refs/heads/main^0\n\n"
        for n in range(300)
    )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=work, env=CLIENT_ENV, input=script, text=True, check=True)
    git("push", "--quiet", "origin", "--all", cwd=work)
    traced = git("fetch", "origin", "--refetch", cwd=work, ok=False, GIT_TRACE_CURL="1")
    assert traced.returncode == 0
    clone = git("clone", server.url(slug), str(tmp_path / "all"), cwd=tmp_path, GIT_TRACE_CURL="1")
    assert "Content-Encoding: gzip" in clone.stderr
    assert len(server.pushes(slug)[0]["updates"]) == 300


def test_a_chunked_push_without_a_length(server: Server, slug: str, tmp_path: Path) -> None:
    work = server.clone(slug, tmp_path / "work")
    new = commit(work, "big.bin", "x" * 300_000)
    pushed = git(
        "-c",
        "http.postBuffer=65536",
        "-c",
        "core.compression=0",
        "push",
        "origin",
        "main",
        cwd=work,
        GIT_TRACE_CURL="1",
    )
    assert "Transfer-Encoding: chunked" in pushed.stderr
    assert tips(server, slug)["refs/heads/main"] == new
    assert len(server.pushes(slug)) == 1


def test_pushes_at_the_same_time_all_arrive(server: Server, slug: str, tmp_path: Path) -> None:
    works = [server.clone(slug, tmp_path / f"w{n}") for n in range(6)]
    heads = [commit(work, f"{n}.txt", str(n)) for n, work in enumerate(works)]
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda n: git("push", "origin", f"main:side{n}", cwd=works[n]), range(6)))
    for n, (head, one) in enumerate(zip(heads, done, strict=True)):
        assert f"Build of {head[:10]}" in one.stderr, "each hears of its own build"
        assert [f"refs/heads/side{n}", ZERO, head] in [p["updates"][0] for p in server.pushes(slug)]
    assert len(server.pushes(slug)) == 6


def test_two_pushes_to_one_branch_have_one_winner(server: Server, slug: str, tmp_path: Path) -> None:
    works = [server.clone(slug, tmp_path / f"w{n}") for n in range(2)]
    heads = [commit(work, "same.txt", str(n)) for n, work in enumerate(works)]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda work: git("push", "origin", "main", cwd=work, ok=False), works))
    assert sorted(one.returncode for one in done) == [0, 1]
    winner = heads[[one.returncode for one in done].index(0)]
    assert [push["updates"][0][2] for push in server.pushes(slug)] == [winner]


def test_hooks_and_settings_inside_a_repository_do_nothing(server: Server, slug: str, tmp_path: Path) -> None:
    bare = server.source.path(Repository(slug))
    trap = tmp_path / "trapped"
    (bare / "hooks").mkdir(exist_ok=True)
    for name in ("pre-receive", "update", "post-receive", "post-update", "reference-transaction"):
        (bare / "hooks" / name).write_text(f"#!/bin/sh\ntouch {trap}\n")
        (bare / "hooks" / name).chmod(0o755)
    for key, value in (
        ("core.hooksPath", str(bare / "hooks")),
        ("core.fsmonitor", f"touch {trap}"),
        ("http.receivepack", "false"),
    ):
        git("config", key, value, cwd=bare)
    work = server.clone(slug, tmp_path / "work")
    commit(work, "a.txt", "a")
    git("push", "--quiet", "origin", "main", cwd=work)
    assert not trap.exists()
    assert len(server.pushes(slug)) == 1


def test_hidden_refs_are_neither_shown_nor_taken(server: Server, slug: str, tmp_path: Path) -> None:
    bare = server.source.path(Repository(slug))
    git("update-ref", "refs/fdd/keep", "refs/heads/main", cwd=bare)
    work = server.clone(slug, tmp_path / "work")
    assert "refs/fdd" not in git("ls-remote", "origin", cwd=work).stdout
    assert git("push", "origin", "main:refs/fdd/mine", cwd=work, ok=False).returncode != 0


def test_a_broken_object_is_refused(server: Server, slug: str, tmp_path: Path) -> None:
    work = server.clone(slug, tmp_path / "work")
    blob = git("hash-object", "-w", "Jenkinsfile", cwd=work).stdout.strip()
    entry = b"100644 .git\0" + bytes.fromhex(blob)
    tree = subprocess.run(
        ["git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"],
        cwd=work, env=CLIENT_ENV, input=entry, capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    bad = git("commit-tree", tree, "-m", "evil", cwd=work).stdout.strip()
    refused = git("push", "origin", f"{bad}:refs/heads/evil", cwd=work, ok=False)
    assert refused.returncode != 0
    assert "hasDotgit" in refused.stderr
    assert "refs/heads/evil" not in tips(server, slug)


def test_the_reflog_says_who_pushed(server: Server, slug: str, tmp_path: Path) -> None:
    work = server.clone(slug, tmp_path / "work")
    commit(work, "a.txt", "a")
    git("push", "--quiet", "origin", "main", cwd=work)
    last = (server.source.path(Repository(slug)) / "logs/refs/heads/main").read_text().splitlines()[-1]
    assert " dev <dev@http.127.0.0.1>" in last
    assert json.dumps(last).isascii()
