"""The kind `git` of the source family on real repositories: creating, reading, polling, and refusing what is malformed."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fangduoduo_release.common.errors import Conflict, Invalid, NotFound
from projects.drivers.source.base import ZERO, Person, Repository, Source
from projects.drivers.source.git import GitSource
from projects.drivers.source.git_leftovers import push_under_way, sweep
from tests.projects.git.conftest import CLIENT_ENV, commit, git, new_source

SHOP = Repository("shop")


@pytest.fixture
def work(source: GitSource, tmp_path: Path) -> Path:
    """A clone of the embedded repository `shop`, begun with the starter `blank`; pushes straight into the folder."""
    source.create_repository(SHOP, starter="blank")
    git("clone", "--quiet", str(source.path(SHOP)), "work", cwd=tmp_path)
    return tmp_path / "work"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> GitSource:
    """A source with the repository `shop` for tests that only look."""
    made = new_source(tmp_path_factory.mktemp("begun"))
    made.create_repository(SHOP, starter="blank")
    return made


def push(work: Path, *what: str) -> None:
    git("push", "--quiet", "--force", "origin", *(what or ("HEAD",)), cwd=work)


def test_it_is_a_source(source: GitSource) -> None:
    assert isinstance(source, Source)
    assert source.kind == "git"


def test_a_new_repository_begins_with_its_starter(source: GitSource, tmp_path: Path) -> None:
    sha = source.create_repository(SHOP, starter="python-http", author=Person("阿达 <ada>", "ada@example.org"))
    assert source.exists(SHOP)
    first = source.resolve(SHOP, "main")
    assert (first.sha, first.parents, first.author) == (sha, (), Person("阿达 ada", "ada@example.org"))
    assert first.subject == "Begin with the starter “python-http”"
    names = {entry.path for entry in source.list_files(SHOP, "main")}
    assert {"app.py", "Jenkinsfile", "README.md", ".gitignore"} <= names
    assert not any("__pycache__" in name for name in names)
    assert source.state(SHOP).default_branch == "main"
    assert not source.state(SHOP).empty
    assert not list(source.config.root.glob(".new-*"))


def test_a_repository_without_a_starter_is_empty_and_says_so(source: GitSource) -> None:
    assert source.create_repository(SHOP) == ""
    assert source.state(SHOP).empty
    assert source.branches(SHOP) == ()
    with pytest.raises(NotFound) as refused:
        source.resolve(SHOP, "main")
    assert refused.value.code == "empty_repository"


def test_the_same_name_twice_is_a_conflict_and_changes_nothing(source: GitSource) -> None:
    sha = source.create_repository(SHOP, starter="blank")
    with pytest.raises(Conflict):
        source.create_repository(SHOP, starter="python-http")
    assert source.resolve(SHOP, "main").sha == sha


def test_of_many_who_create_at_once_one_wins(source: GitSource) -> None:
    outcomes: list[str] = []

    def attempt() -> None:
        try:
            outcomes.append(source.create_repository(SHOP, starter="blank"))
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("conflict") == 3
    assert source.resolve(SHOP, "main").sha in outcomes


@pytest.mark.parametrize("starter", ["absent", "../starters/blank", "/etc", ".", "-x"])
def test_an_unknown_starter_leaves_no_repository(source: GitSource, starter: str) -> None:
    with pytest.raises(Invalid):
        source.create_repository(SHOP, starter=starter)
    assert not source.exists(SHOP)
    assert not list(source.config.root.iterdir())


def test_starters_describe_themselves(source: GitSource) -> None:
    starters = {starter.name: starter for starter in source.starters()}
    assert starters["python-http"].title == "Python web service"
    assert "needs only Python 3" in starters["python-http"].summary
    assert starters["blank"].summary


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "..",
        "../x",
        "a/b",
        ".hidden",
        "-rf",
        "a..b",
        "UPPER",
        "x.git",
        "x.lock",
        "a b",
        "a\0b",
        "a\n",
        "é",
        "x" * 101,
    ],
)
def test_a_bad_slug_never_reaches_the_disk(source: GitSource, slug: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: source.create_repository(Repository(slug)),
        lambda: source.exists(Repository(slug)),
        lambda: source.resolve(Repository(slug), "main"),
        lambda: source.clone_url(Repository(slug)),
    ]
    for call in calls:
        with pytest.raises(Invalid) as refused:
            call()
        assert refused.value.code == "bad_slug"
    assert not source.config.root.exists()


@pytest.mark.parametrize(
    "ref",
    [
        "", "@", "-x", "--output=/tmp/x", "main~1", "main^", "main^{tree}", "main@{1}", "a..b", "a b", "a:b", "*", "a?", "[a]",
        "/main", "main/", "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a.", "a\\b", "a\0", "a\nb", "a\x7f", "\udc80", "x" * 256,
        "`id` ",
    ],
)  # fmt: skip
def test_a_bad_ref_is_refused_before_git_sees_it(begun: GitSource, ref: str) -> None:
    for call in (
        lambda: begun.resolve(SHOP, ref),
        lambda: begun.log(SHOP, ref),
        lambda: begun.list_files(SHOP, ref),
    ):
        with pytest.raises(Invalid) as refused:
            call()
        assert refused.value.code == "bad_ref"


@pytest.mark.parametrize(
    "ref", ["absent", "refs/heads/absent", "deadbeef", "d" * 40, "$(id);", "main;id", "refs/heads"]
)
def test_an_unknown_ref_is_not_found(begun: GitSource, ref: str) -> None:
    with pytest.raises(NotFound) as refused:
        begun.resolve(SHOP, ref)
    assert refused.value.code == "unknown_ref"
    assert ref in str(refused.value)


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a/../b", "./a", "a//b", "a/", "a\0b", "a\nb", "\udc80", "x" * 5000]
)
def test_a_bad_path_is_refused(begun: GitSource, path: str) -> None:
    with pytest.raises(Invalid) as refused:
        begun.read_file(SHOP, "main", path)
    assert refused.value.code == "bad_path"


def test_every_way_to_name_a_commit(source: GitSource, work: Path) -> None:
    sha = commit(work, "a.txt", "a", "Ein Betreff: ü\n\nMit Text\n\nund mehr.")
    git("tag", "light", cwd=work)
    git("tag", "-a", "heavy", "-m", "x", cwd=work)
    push(work, "HEAD", "HEAD:refs/heads/feature/login#1", "light", "heavy")
    for ref in (
        "main",
        "refs/heads/main",
        "HEAD",
        "feature/login#1",
        "light",
        "heavy",
        "refs/tags/heavy",
        sha,
        sha[:8],
    ):
        assert source.resolve(SHOP, ref).sha == sha, ref
    found = source.resolve(SHOP, "main")
    assert (found.subject, found.message) == ("Ein Betreff: ü", "Ein Betreff: ü\n\nMit Text\n\nund mehr.")
    assert found.author == Person("Ada", "ada@example.org")
    assert found.committed_at.tzinfo is not None
    assert {ref.short: ref.sha for ref in source.tags(SHOP)} == {"light": sha, "heavy": sha}


def test_a_branch_wins_over_a_tag_and_over_a_sha(source: GitSource, work: Path) -> None:
    first = git("rev-parse", "HEAD", cwd=work).stdout.strip()
    second = commit(work, "a.txt", "a")
    push(work, "HEAD", f"{first}:refs/tags/main", f"{second}:refs/heads/{first[:8]}")
    assert source.resolve(SHOP, "main").sha == second
    assert source.resolve(SHOP, first[:8]).sha == second
    assert source.resolve(SHOP, first).sha == first


def test_commits_between_two_versions(source: GitSource, work: Path) -> None:
    shas = [commit(work, name, "x", f"Add {name}") for name in ("a", "b", "dir/c")]
    push(work)
    assert [c.sha for c in source.log(SHOP, "main", after=shas[0])] == [shas[2], shas[1]]
    assert [c.sha for c in source.log(SHOP, "main", path="dir/c")] == [shas[2]]
    assert [c.sha for c in source.log(SHOP, "main", limit=1)] == [shas[2]]
    assert source.log(SHOP, shas[0], after="main") == []
    assert len(source.log(SHOP, "main")) == 4
    for limit in (0, -1, 1001):
        with pytest.raises(Invalid):
            source.log(SHOP, "main", limit=limit)


def test_strange_commits_are_read_all_the_same(source: GitSource, work: Path) -> None:
    bare = source.path(SHOP)
    tree = git("rev-parse", "HEAD^{tree}", cwd=work).stdout.strip()
    raw = (
        f"tree {tree}\nauthor <> 99999999999999 +9900\ncommitter \x1f\x1e % <a@b> 1 -0000\n\n".encode()
        + b"\xff\xfe not utf-8 %H \x1b[31m\n"
    )
    sha = subprocess.run(
        ["git", "hash-object", "-w", "-t", "commit", "--literally", "--stdin"],
        cwd=bare, env=CLIENT_ENV, input=raw, capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    git("update-ref", "refs/heads/odd", sha, cwd=bare)
    found = source.resolve(SHOP, "odd")
    assert "%H" in found.subject
    assert found.author.name == ""
    assert {ref.short for ref in source.branches(SHOP)} == {"main", "odd"}


def test_files_are_read_as_they_are(source: GitSource, work: Path) -> None:
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "bytes").write_bytes(b"\0\xff\r\n")
    (work / "empty").touch()
    (work / "link").symlink_to("/etc/passwd")
    (work / "*.txt").write_text("star")
    commit(work, "ü/空 格:(x).txt", "named")
    push(work)
    kinds = {entry.path: (entry.kind, entry.size) for entry in source.list_files(SHOP, "main")}
    assert kinds["run.sh"] == ("executable", 10)
    assert kinds["link"] == ("link", 11)
    assert kinds["ü/空 格:(x).txt"] == ("file", 5)
    assert source.read_file(SHOP, "main", "bytes").data == b"\0\xff\r\n"
    assert source.read_file(SHOP, "main", "empty").data == b""
    assert source.read_file(SHOP, "main", "*.txt").data == b"star"
    assert source.read_file(SHOP, "main", "ü/空 格:(x).txt").data == b"named"
    assert [entry.path for entry in source.list_files(SHOP, "main", "ü")] == ["ü/空 格:(x).txt"]
    assert source.list_files(SHOP, "main", "absent") == []
    for path in ("link", "ü"):
        with pytest.raises(Invalid) as refused:
            source.read_file(SHOP, "main", path)
        assert refused.value.code == "not_a_file"
    for path in ("absent", ":(glob)**", "*", "bytes/x"):
        with pytest.raises(NotFound) as missing:
            source.read_file(SHOP, "main", path)
        assert missing.value.code == "unknown_path"


def test_large_files_and_long_lists_are_cut(source: GitSource, work: Path) -> None:
    for number in range(30):
        (work / f"n{number:02}").write_text(str(number))
    commit(work, "large", "x" * 2000)
    push(work)
    with pytest.raises(Invalid) as refused:
        source.read_file(SHOP, "main", "large", max_bytes=1999)
    assert refused.value.code == "file_too_large"
    assert len(source.read_file(SHOP, "main", "large", max_bytes=2000).data) == 2000
    assert len(source.list_files(SHOP, "main", limit=7)) == 7


def test_a_poll_reports_each_move_once(source: GitSource, work: Path) -> None:
    first = git("rev-parse", "HEAD", cwd=work).stdout.strip()
    start = source.poll(SHOP, None)
    assert start.events == ()
    assert source.poll(SHOP, {}).events[0].created
    second = commit(work, "a", "a")
    git("tag", "-a", "v1", "-m", "v1", cwd=work)
    tag = git("rev-parse", "v1", cwd=work).stdout.strip()
    push(work, "HEAD", "HEAD:side", "v1")
    moved = source.poll(SHOP, start.tips)
    assert {(e.ref, e.old, e.new, e.forced) for e in moved.events} == {
        ("refs/heads/main", first, second, False),
        ("refs/heads/side", ZERO, second, False),
        ("refs/tags/v1", ZERO, tag, False),
    }
    assert source.resolve(SHOP, tag).sha == second
    assert source.poll(SHOP, moved.tips).events == ()
    git("commit", "--quiet", "--amend", "-m", "other", cwd=work)
    push(work, "HEAD", ":side")
    last = source.poll(SHOP, moved.tips)
    assert [(e.ref, e.deleted, e.forced) for e in last.events] == [
        ("refs/heads/side", True, False),
        ("refs/heads/main", False, True),
    ]
    assert last.events[1].key == f"refs/heads/main:{second}:{source.resolve(SHOP, 'main').sha}"


def test_five_thousand_branches(source: GitSource, work: Path) -> None:
    bare = source.path(SHOP)
    head = git("rev-parse", "HEAD", cwd=work).stdout.strip()
    seen = source.poll(SHOP, None).tips
    updates = "".join(f"create refs/heads/b{n} {head}\n" for n in range(5000))
    subprocess.run(["git", "update-ref", "--stdin"], cwd=bare, env=CLIENT_ENV, input=updates, text=True, check=True)
    assert len(source.branches(SHOP)) == 5001
    assert len(source.branches(SHOP, limit=10)) == 10
    found: list[str] = []
    while True:
        poll = source.poll(SHOP, seen, limit=2000)
        assert len(poll.events) <= 2000
        found += [event.ref for event in poll.events]
        seen = poll.tips
        if not poll.more:
            break
    assert len(found) == len(set(found)) == 5000


def test_a_poll_with_a_missing_old_commit_calls_it_forced(source: GitSource, work: Path) -> None:
    (event,) = source.poll(SHOP, {"refs/heads/main": "1" * 40}).events
    assert event.forced


def test_a_checkout_is_that_commit_with_its_history(source: GitSource, work: Path, tmp_path: Path) -> None:
    first = git("rev-parse", "HEAD", cwd=work).stdout.strip()
    second = commit(work, "a.txt", "a")
    push(work)
    git("commit", "--quiet", "--amend", "-m", "forced away", cwd=work)
    push(work)
    source.checkout(SHOP, second, tmp_path / "build")
    assert (tmp_path / "build" / "a.txt").read_text() == "a"
    assert git("rev-list", "HEAD", cwd=tmp_path / "build").stdout.split() == [second, first]
    assert git("status", "--porcelain", cwd=tmp_path / "build").stdout == ""
    assert git("remote", "get-url", "origin", cwd=tmp_path / "build").stdout.strip() == "http://portal/git/shop.git"
    with pytest.raises(NotFound):
        source.checkout(SHOP, "1" * 40, tmp_path / "other")
    with pytest.raises(Invalid):
        source.checkout(SHOP, "main", tmp_path / "other")


def test_a_checkout_runs_nothing_that_was_pushed(source: GitSource, work: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trapped"
    (work / ".gitattributes").write_text("* filter=evil\n")
    (work / ".gitmodules").write_text(f'[submodule "x"]\n path = x\n url = "ext::touch {trap}"\n')
    sha = commit(work, "post-checkout", f"#!/bin/sh\ntouch {trap}\n")
    push(work)
    hook = source.path(SHOP) / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {trap}\n")
    hook.chmod(0o755)
    source.checkout(SHOP, sha, tmp_path / "build")
    assert not trap.exists()


def test_what_is_not_there_is_not_found(source: GitSource) -> None:
    assert not source.exists(SHOP)
    for call in (lambda: source.branches(SHOP), lambda: source.poll(SHOP, None), lambda: source.state(SHOP)):
        with pytest.raises(NotFound):
            call()


def test_settings_and_surroundings_do_not_reach_git(
    source: GitSource, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare=false'")
    monkeypatch.setenv("GIT_TRACE", "1")
    monkeypatch.setenv("SECRET_KEY", "x")
    assert source.resolve(SHOP, "main").sha == git("rev-parse", "HEAD", cwd=work).stdout.strip()


def test_leftovers_go_when_no_push_is_under_way(source: GitSource, work: Path) -> None:
    bare = source.path(SHOP)
    half = bare / "objects" / "tmp_objdir-incoming-abc"
    (half / "pack").mkdir(parents=True)
    stale, fresh = bare / "refs/heads/old.lock", bare / "refs/heads/new.lock"
    stale.touch()
    fresh.touch()
    os.utime(stale, (1, 1))
    with push_under_way(bare):
        assert not sweep(bare)
        assert half.exists()
    source.tidy(SHOP)
    assert not half.exists()
    assert not stale.exists()
    assert fresh.exists(), "a lock that may have an owner stays"


def test_tidying_packs_what_has_piled_up(source: GitSource, work: Path, tmp_path: Path) -> None:
    assert source.tidy(SHOP) is False
    git("init", "--quiet", "--bare", "many.git", cwd=tmp_path)
    many = tmp_path / "many.git"
    files = "".join(f"M 644 inline f{n}\ndata {len(str(n))}\n{n}\n" for n in range(2600))
    script = f"commit refs/heads/many\ncommitter A <a@x> 1 +0000\ndata 1\nx\n{files}\n"
    subprocess.run(["git", "fast-import", "--quiet"], cwd=many, env=CLIENT_ENV, input=script, text=True, check=True)
    (pack,) = (many / "objects" / "pack").glob("*.pack")
    bare = source.path(SHOP)
    subprocess.run(["git", "unpack-objects", "-q"], cwd=bare, env=CLIENT_ENV, stdin=pack.open("rb"), check=True)
    git("update-ref", "refs/heads/many", git("rev-parse", "many", cwd=many).stdout.strip(), cwd=bare)
    assert source.tidy(SHOP) is True
    assert source.tidy(SHOP) is False
    assert len(source.list_files(SHOP, "many")) == 2600


def test_it_says_which_files_a_push_changed(source: GitSource, work: Path) -> None:
    first = git("rev-parse", "HEAD", cwd=work).stdout.strip()
    commit(work, "docs/Ü b.md", "x")
    last = commit(work, "src/a.py", "x")
    push(work)
    assert source.changed_files(SHOP, first, last) == ["docs/Ü b.md", "src/a.py"]
    assert source.changed_files(SHOP, ZERO, last) == ["src/a.py"]  # what the commit itself brings
    assert "README.md" in (source.changed_files(SHOP, ZERO, first) or [])  # a first commit brings all it has
    assert source.changed_files(SHOP, first, last, limit=1) is None
    assert source.changed_files(SHOP, "1" * 40, last) is None
    with pytest.raises(NotFound):
        source.changed_files(SHOP, first, "2" * 40)
