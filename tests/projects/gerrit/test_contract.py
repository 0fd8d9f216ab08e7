"""What every kind of source promises: tried on kind `git`, on kind `gerrit`, and (marker `live`) on a real Gerrit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fangduoduo_release.common.errors import Conflict, Invalid, NotFound
from projects.drivers.source.base import ZERO, Repository, Source
from tests.projects.gerrit.grounds import GROUNDS, LIVE, Ground

not_live = pytest.mark.skipif(any(not os.environ.get(name) for name in LIVE), reason=f"needs {', '.join(LIVE)}")


@pytest.fixture(params=["git", "gerrit", pytest.param("live", marks=[pytest.mark.live, not_live])])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    with GROUNDS[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def begun(ground: Ground) -> Ground:
    ground.create()
    return ground


def test_it_is_a_source(ground: Ground) -> None:
    assert isinstance(ground.source, Source)
    assert ground.source.starters()


def test_what_is_not_there_is_said_not_to_be(ground: Ground) -> None:
    assert not ground.source.exists(ground.repository)
    with pytest.raises(NotFound) as refused:
        ground.source.state(ground.repository)
    assert refused.value.code == "no_repository"


def test_a_new_repository_begins_with_its_starter(ground: Ground) -> None:
    sha = ground.create()
    assert ground.source.exists(ground.repository)
    state = ground.source.state(ground.repository)
    assert (state.empty, bool(state.default_branch)) == (False, True)
    newest = ground.source.resolve(ground.repository, state.default_branch)
    assert (newest.sha, newest.subject) == (sha, "Begin with the starter “blank”")
    assert "README.md" in {entry.path for entry in ground.source.list_files(ground.repository, state.default_branch)}


def test_the_same_name_twice_is_a_conflict_and_changes_nothing(begun: Ground) -> None:
    sha = begun.source.resolve(begun.repository, begun.branch).sha
    with pytest.raises(Conflict):
        begun.create()
    assert begun.source.resolve(begun.repository, begun.branch).sha == sha


def test_an_unknown_starter_makes_no_repository(ground: Ground) -> None:
    with pytest.raises(Invalid):
        ground.source.create_repository(ground.repository, starter="absent")
    assert not ground.source.exists(ground.repository)


@pytest.mark.parametrize("name", ["", "..", "../x", "a//b", "x.git", "a\0b", "-rf"])
def test_a_bad_name_is_refused(ground: Ground, name: str) -> None:
    with pytest.raises(Invalid):
        ground.source.state(Repository(name))
    with pytest.raises(Invalid):
        ground.source.create_repository(Repository(name))


def test_every_way_to_name_a_commit(begun: Ground) -> None:
    work = begun.clone()
    sha = work.commit(message="Ein Betreff: ü\n\nMit Text\n\nund mehr.")
    work.git("tag", "light")
    work.git("tag", "-a", "heavy", "-m", "x")
    work.push(f"HEAD:refs/heads/{begun.branch}", "HEAD:refs/heads/feature/login#1", "light", "heavy")
    heavy = work.git("rev-parse", "refs/tags/heavy")
    names = [begun.branch, f"refs/heads/{begun.branch}", "HEAD", "feature/login#1", "light", "heavy", "refs/tags/heavy",
             sha, sha[:8], heavy]  # fmt: skip
    for ref in names:
        assert begun.source.resolve(begun.repository, ref).sha == sha, ref
    found = begun.source.resolve(begun.repository, sha)
    assert (found.subject, found.message) == ("Ein Betreff: ü", "Ein Betreff: ü\n\nMit Text\n\nund mehr.")
    assert (found.author.name, found.author.email) == ("Ada", "ada@example.org")
    assert found.parents == (work.git("rev-parse", "HEAD~1"),)
    assert abs(found.authored_at.timestamp() - int(work.git("log", "-1", "--format=%at"))) < 1


def test_a_branch_wins_over_a_tag(begun: Ground) -> None:
    work = begun.clone()
    work.git("tag", "same")
    sha = work.commit()
    work.push("refs/tags/same", "HEAD:refs/heads/same")
    assert begun.source.resolve(begun.repository, "same").sha == sha
    assert begun.source.resolve(begun.repository, "refs/tags/same").sha != sha


@pytest.mark.parametrize("ref", ["absent", "refs/heads/absent", "refs/tags/absent", "deadbeef", "d" * 40])
def test_an_unknown_ref_is_not_found(begun: Ground, ref: str) -> None:
    with pytest.raises(NotFound) as refused:
        begun.source.resolve(begun.repository, ref)
    assert refused.value.code == "unknown_ref"


@pytest.mark.parametrize("ref", ["", "@", "-x", "main~1", "a..b", "a b", "a:b", "*", "\udc80", "x" * 256])
def test_a_bad_ref_is_refused(begun: Ground, ref: str) -> None:
    with pytest.raises(Invalid) as refused:
        begun.source.resolve(begun.repository, ref)
    assert refused.value.code == "bad_ref"


def test_branches_and_tags_are_listed_with_the_commits_they_lead_to(begun: Ground) -> None:
    work = begun.clone()
    sha = work.commit()
    work.git("tag", "-a", "v1", "-m", "One\n\nmore")
    work.push(f"HEAD:refs/heads/{begun.branch}", "HEAD:refs/heads/b", "HEAD~1:refs/heads/c/d", "v1")
    branches = {ref.short: ref.sha for ref in begun.source.branches(begun.repository)}
    assert branches == {begun.branch: sha, "b": sha, "c/d": work.git("rev-parse", "HEAD~1")}
    [tag] = begun.source.tags(begun.repository)
    assert (tag.name, tag.sha, tag.subject) == ("refs/tags/v1", sha, "One")
    assert len(begun.source.branches(begun.repository, limit=2)) == 2


def test_files_are_read_as_they_are(begun: Ground) -> None:
    work = begun.clone()
    binary = bytes(range(256)) * 4
    (work.path / "bin").write_bytes(binary)
    (work.path / "empty").write_bytes(b"")
    sha = work.commit("dir/mit leer+zeichen%2F?.txt", "ü\r\n")
    work.push()
    repository = begun.repository
    found = begun.source.read_file(repository, begun.branch, "dir/mit leer+zeichen%2F?.txt")
    assert found.data == "ü\r\n".encode()
    assert found.sha == work.git("rev-parse", "HEAD:dir/mit leer+zeichen%2F?.txt")
    assert begun.source.read_file(repository, sha, "bin").data == binary
    assert begun.source.read_file(repository, sha, "empty").data == b""
    with pytest.raises(Invalid) as refused:
        begun.source.read_file(repository, sha, "bin", max_bytes=1023)
    assert refused.value.code == "file_too_large"
    assert begun.source.read_file(repository, sha, "bin", max_bytes=1024).data == binary
    with pytest.raises(NotFound) as absent:
        begun.source.read_file(repository, sha, "absent")
    assert absent.value.code == "unknown_path"
    with pytest.raises((NotFound, Invalid)):
        begun.source.read_file(repository, sha, "dir")


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a\0b", "\udc80"])
def test_a_bad_path_is_refused(begun: Ground, path: str) -> None:
    with pytest.raises(Invalid) as refused:
        begun.source.read_file(begun.repository, begun.branch, path)
    assert refused.value.code == "bad_path"


def test_history_files_and_differences(begun: Ground) -> None:
    work = begun.clone()
    first = work.git("rev-parse", "HEAD")
    shas = [work.commit(f"{n}.txt", str(n)) for n in range(3)]
    work.push()
    repository, source = begun.repository, begun.source
    assert [one.sha for one in source.log(repository, begun.branch, after=first)] == shas[::-1]
    assert [one.sha for one in source.log(repository, begun.branch, limit=1)] == shas[-1:]
    assert [one.sha for one in source.log(repository, begun.branch, path="1.txt")] == [shas[1]]
    assert source.changed_files(repository, first, shas[-1]) == ["0.txt", "1.txt", "2.txt"]
    assert source.changed_files(repository, ZERO, shas[-1]) == ["2.txt"]
    assert source.changed_files(repository, "d" * 40, shas[-1]) is None
    assert source.changed_files(repository, first, shas[-1], limit=2) is None


def test_a_commit_is_checked_out_with_its_history(begun: Ground, tmp_path: Path) -> None:
    work = begun.clone()
    sha = work.commit("a.txt", "one")
    work.commit("a.txt", "two")
    work.push()
    begun.source.checkout(begun.repository, sha, tmp_path / "tree")
    assert (tmp_path / "tree" / "a.txt").read_text() == "one"
    assert (tmp_path / "tree" / ".git").is_dir()


class TestPoll:
    def test_the_first_look_takes_tips_as_they_are(self, begun: Ground) -> None:
        poll = begun.source.poll(begun.repository, None)
        sha = begun.source.resolve(begun.repository, begun.branch).sha
        assert (poll.events, dict(poll.tips), poll.more) == ((), {f"refs/heads/{begun.branch}": sha}, False)
        assert begun.source.poll(begun.repository, poll.tips).events == ()

    def test_moves_new_refs_and_deletions(self, begun: Ground) -> None:
        work = begun.clone()
        work.push("HEAD:refs/heads/old")
        seen = begun.source.poll(begun.repository, None).tips
        before = work.git("rev-parse", "HEAD")
        sha = work.commit()
        work.git("tag", "-a", "v1", "-m", "x")
        work.push(f"HEAD:refs/heads/{begun.branch}", "v1", ":refs/heads/old")
        tag = work.git("rev-parse", "refs/tags/v1")
        poll = begun.source.poll(begun.repository, seen)
        assert next((e.ref, e.old, e.new, e.forced) for e in poll.events) == ("refs/heads/old", before, ZERO, False)
        assert {(e.ref, e.old, e.new, e.forced) for e in poll.events[1:]} == {
            (f"refs/heads/{begun.branch}", before, sha, False),
            ("refs/tags/v1", ZERO, tag, False),
        }
        assert dict(poll.tips) == {f"refs/heads/{begun.branch}": sha, "refs/tags/v1": tag}

    def test_rewritten_history_is_one_forced_move(self, begun: Ground) -> None:
        work = begun.clone()
        work.commit("a.txt", "one")
        work.push()
        seen = begun.source.poll(begun.repository, None).tips
        work.git("reset", "--quiet", "--hard", "HEAD~1")
        sha = work.commit("a.txt", "other")
        work.push()
        [event] = begun.source.poll(begun.repository, seen).events
        assert (event.new, event.forced) == (sha, True)

    def test_what_exceeds_the_limit_comes_next(self, begun: Ground) -> None:
        seen = begun.source.poll(begun.repository, None).tips
        work = begun.clone()
        work.push(*(f"HEAD:refs/heads/b{n}" for n in range(5)))
        found: list[str] = []
        for _ in range(9):
            poll = begun.source.poll(begun.repository, seen, limit=2)
            assert len(poll.events) <= 2
            found += [event.ref for event in poll.events]
            seen = poll.tips
            if not poll.more:
                break
        assert sorted(found) == [f"refs/heads/b{n}" for n in range(5)]


def test_the_clone_address_holds_no_secret(begun: Ground) -> None:
    assert "@" not in begun.source.clone_url(begun.repository)
