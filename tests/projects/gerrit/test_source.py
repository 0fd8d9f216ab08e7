"""What a Gerrit adds: projects made with wishes, changes, votes, gaps replayed push by push, and who may read."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from fangduoduo_release.common.errors import Conflict, Invalid, NotFound, Rejected
from projects.drivers.source.base import NewRepository, Person, PushEvent, Repository, Reviewing
from projects.drivers.source.gerrit import GerritSource
from projects.drivers.source.gerrit.changes import TAG
from tests.projects.gerrit.conftest import source_of
from tests.projects.git.conftest import commit, git
from tests.simulators.gerrit.changes import Label
from tests.simulators.gerrit_rig import Rig

MASTER = "refs/heads/master"


def chain_of(events: tuple[PushEvent, ...]) -> list[str]:
    """The shas a branch went through; asserts that each push follows on from the one before."""
    for before, after in pairwise(events):
        assert before.new == after.old
    return [event.new for event in events]


class TestCreating:
    def test_wishes_reach_gerrit(self, source: GerritSource, gerrit_rig: Rig) -> None:
        gerrit_rig.gerrit.create_project("base")
        wishes = NewRepository("What it does", parent="base", group="Service Users", branches=("main", "release"))
        sha = source.create_repository(Repository("a/b/c"), wishes=wishes)
        made = gerrit_rig.gerrit.project("a/b/c")
        assert (made.description, made.parent, made.owners) == ("What it does", "base", ["Service Users"])
        assert source.state(Repository("a/b/c")).default_branch == "main"
        assert {ref.short: ref.sha for ref in source.branches(Repository("a/b/c"))} == {"main": sha, "release": sha}

    def test_without_wishes_the_connection_says(self, source: GerritSource, gerrit_rig: Rig) -> None:
        source.create_repository(Repository("team/app"))
        made = gerrit_rig.gerrit.project("team/app")
        assert (made.parent, made.owners) == ("All-Projects", [gerrit_rig.group])

    def test_the_starter_comes_on_top_of_what_gerrit_began(self, source: GerritSource, gerrit_rig: Rig) -> None:
        app = Repository("team/app")
        sha = source.create_repository(app, starter="python-http", author=Person("阿达", "ada@example.org"))
        newest, first = source.log(app, "master")
        assert (newest.sha, newest.author, newest.parents) == (sha, Person("阿达", "ada@example.org"), (first.sha,))
        committer = gerrit_rig.gerrit.project("team/app").repository.text("log", "-1", "--format=%ce", sha)
        assert committer == gerrit_rig.account.email, "Gerrit takes commits only from committers that it knows"
        assert b"Python" in source.read_file(app, "master", "README.md").data

    def test_a_starter_that_cannot_be_pushed_leaves_the_project_and_says_so(
        self, source: GerritSource, gerrit_rig: Rig
    ) -> None:
        with gerrit_rig.gerrit.faults.status(403, "git-receive-pack"), pytest.raises(Rejected) as refused:
            source.create_repository(Repository("team/app"), starter="blank")
        assert refused.value.code == "starter_refused"
        assert "was made" in str(refused.value)
        assert source.exists(Repository("team/app"))
        assert not source.state(Repository("team/app")).empty

    def test_an_answer_that_was_lost_does_not_lose_the_project(self, source: GerritSource, gerrit_rig: Rig) -> None:
        gerrit_rig.gerrit.faults.reset("PUT", times=1, after_effect=True)
        assert source.create_repository(Repository("team/app"), starter="blank")

    def test_one_that_is_there_is_a_conflict(self, source: GerritSource, app: Repository) -> None:
        for name in ("team/app",):
            with pytest.raises(Conflict) as refused:
                source.create_repository(Repository(name))
            assert refused.value.code == "repository_exists"

    def test_what_the_account_may_not_is_named(self, source: GerritSource, gerrit_rig: Rig) -> None:
        gerrit_rig.gerrit.faults.forbid("portal", "createProject")
        with pytest.raises(Rejected) as refused:
            source.create_repository(Repository("team/app"))
        assert refused.value.code == "no_permission"
        assert "Create Project" in str(refused.value)

    @pytest.mark.parametrize("wishes", [NewRepository(group="Nobody"), NewRepository(parent="absent")])
    def test_a_wish_that_cannot_be_is_refused_in_gerrits_words(
        self, source: GerritSource, wishes: NewRepository
    ) -> None:
        with pytest.raises(Rejected) as refused:
            source.create_repository(Repository("team/app"), wishes=wishes)
        assert "Not Found" in str(refused.value)
        assert not source.exists(Repository("team/app"))

    def test_a_parent_that_is_no_name_is_refused_here(self, source: GerritSource) -> None:
        with pytest.raises(Invalid):
            source.create_repository(Repository("team/app"), wishes=NewRepository(parent="a//b"))


class TestChanges:
    def test_it_reviews(self, source: GerritSource) -> None:
        assert isinstance(source, Reviewing)

    def test_it_knows_what_is_only_under_review(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        gerrit = gerrit_rig.gerrit
        change = gerrit.upload(app.name)
        sha = change.current.revision
        assert not source.held(app, sha)
        assert source.held(app, gerrit.push(app.name, "topic"))
        gerrit.submit(change.number)
        source.refresh(app)
        assert source.held(app, source.resolve(app, "master").sha)
        with pytest.raises(NotFound):
            source.held(app, "1" * 40)

    def test_open_changes_are_told_with_their_newest_text(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        gerrit = gerrit_rig.gerrit
        gerrit.create_project("other")
        gerrit.upload("other")
        gone, merged = gerrit.upload(app.name), gerrit.upload(app.name)
        gerrit.abandon(gone.number)
        gerrit.submit(merged.number)
        change = gerrit.upload(app.name, message="First text")
        gerrit.upload(app.name, change=change, message="Second text")
        [found] = source.open_changes(app)
        assert (found.number, found.patch_set, found.sha) == (change.number, 2, change.current.revision)
        assert (found.branch, found.subject, found.status) == ("master", "Second text", "NEW")
        assert found.ref == f"refs/changes/{change.number:02}/{change.number}/2"
        assert found.change_id in found.message
        assert found.actor == "admin"
        assert found.url == f"{gerrit_rig.url}c/team/app/+/{change.number}"
        assert found == source.patch_set(app, change.number)

    def test_it_tells_of_a_change_what_its_event_told(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        from projects.drivers.source.base import ChangeMoved
        from projects.drivers.source.gerrit.events import parse
        from tests.simulators.gerrit.stream import encode

        gerrit_rig.gerrit.upload(app.name, message="A subject")
        told = [parse(encode(event)) for event in gerrit_rig.gerrit.stream.past if event["type"] == "patchset-created"]
        [[news]] = told
        assert isinstance(news, ChangeMoved)
        [asked] = source.open_changes(app)
        same = ("number", "patch_set", "sha", "ref", "branch", "change_id", "subject", "author", "actor", "url", "kind")
        assert {name: getattr(news.patch_set, name) for name in same} == {name: getattr(asked, name) for name in same}

    def test_changes_that_nobody_touched_for_days_are_left_out(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        old = gerrit_rig.gerrit.upload(app.name)
        new = gerrit_rig.gerrit.upload(app.name)
        old.updated -= 3 * 86_400
        assert [one.number for one in source.open_changes(app)] == [new.number]

    def test_many_changes_come_page_by_page(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        gerrit_rig.gerrit.query_limit = 2
        numbers = [gerrit_rig.gerrit.upload(app.name).number for _ in range(5)]
        assert sorted(one.number for one in source.open_changes(app)) == numbers
        assert len(source.open_changes(app, limit=3)) == 3

    def test_an_unknown_change_is_not_found(self, source: GerritSource, app: Repository) -> None:
        with pytest.raises(NotFound) as refused:
            source.patch_set(app, 99)
        assert refused.value.code == "unknown_change"

    def test_a_change_of_another_project_is_not_found(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        gerrit_rig.gerrit.create_project("other")
        change = gerrit_rig.gerrit.upload("other")
        with pytest.raises(NotFound):
            source.patch_set(app, change.number)

    def test_a_commit_that_only_a_change_has_is_resolved_read_and_checked_out(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository, tmp_path: Path
    ) -> None:
        change = gerrit_rig.gerrit.upload(app.name, files={"new.txt": "text"})
        sha, ref = change.current.revision, change.ref(1)
        assert source.resolve(app, sha).sha == source.resolve(app, ref).sha == sha
        assert source.read_file(app, sha, "new.txt").data == b"text"
        source.refresh(app, ref=ref)
        assert git("cat-file", "-t", sha, cwd=source.path(app)).stdout.strip() == "commit"
        source.refresh(app)  # which prunes what is gone
        assert git("rev-parse", ref, cwd=source.path(app)).stdout.strip() == sha
        shutil.rmtree(source.path(app))  # a mirror is only a cache
        source.checkout(app, sha, tmp_path / "tree")
        assert (tmp_path / "tree" / "new.txt").read_text() == "text"

    def test_a_ref_that_is_not_there_is_not_found(self, source: GerritSource, app: Repository) -> None:
        with pytest.raises(NotFound):
            source.refresh(app, ref="refs/changes/09/9/1")
        with pytest.raises(NotFound):
            source.resolve(app, "refs/changes/09/9/1")


class TestReviews:
    def test_a_vote_and_its_words_stand_at_the_text(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        change = gerrit_rig.gerrit.upload(app.name)
        sha = change.current.revision
        source.review(app, change.number, sha, message="Build 7 passed: http://portal/7", value=1)
        vote = change.vote_of(gerrit_rig.account, "Verified")
        assert vote is not None
        assert (vote.value, vote.tag) == (1, TAG)
        assert source.reviewed(app, change.number, sha, "http://portal/7")
        assert not source.reviewed(app, change.number, sha, "http://portal/8")

    def test_a_comment_may_come_without_a_vote(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        change = gerrit_rig.gerrit.upload(app.name)
        source.review(app, change.number, change.current.revision, message="Building", tag="autogenerated:other")
        assert change.vote_of(gerrit_rig.account, "Verified") is None
        assert change.messages[-1].tag == "autogenerated:other"

    def test_words_at_another_text_do_not_count(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        change = gerrit_rig.gerrit.upload(app.name)
        first = change.current.revision
        source.review(app, change.number, first, message="link", value=1)
        gerrit_rig.gerrit.upload(app.name, change=change)
        assert source.reviewed(app, change.number, first, "link")
        assert not source.reviewed(app, change.number, change.current.revision, "link")

    def test_an_older_text_may_still_be_voted_on(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        change = gerrit_rig.gerrit.upload(app.name)
        first = change.current.revision
        gerrit_rig.gerrit.upload(app.name, change=change)
        source.review(app, change.number, first, message="late", value=-1)
        assert source.reviewed(app, change.number, first, "late")

    def test_a_label_that_is_not_there(self, gerrit_rig: Rig, app: Repository, tmp_path: Path) -> None:
        change = gerrit_rig.gerrit.upload(app.name)
        source = source_of(gerrit_rig, tmp_path, label="Tested")
        with pytest.raises(Rejected) as refused:
            source.review(app, change.number, change.current.revision, message="x", value=1)
        assert refused.value.code == "no_label"
        gerrit_rig.gerrit.labels["Tested"] = Label("Tested")
        source.review(app, change.number, change.current.revision, message="x", value=1)

    def test_a_vote_that_the_label_has_not(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        change = gerrit_rig.gerrit.upload(app.name)
        with pytest.raises(Rejected) as refused:
            source.review(app, change.number, change.current.revision, message="x", value=2)
        assert refused.value.code == "bad_vote"

    def test_a_vote_that_we_may_not_give(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        change = gerrit_rig.gerrit.upload(app.name)
        gerrit_rig.gerrit.faults.restrict("Verified", 1)
        with pytest.raises(Rejected) as refused:
            source.review(app, change.number, change.current.revision, message="x", value=1)
        assert refused.value.code == "no_permission"
        assert "Label Verified" in str(refused.value)

    @pytest.mark.parametrize("how", ["submit", "abandon"])
    def test_a_change_that_is_closed(self, source: GerritSource, gerrit_rig: Rig, app: Repository, how: str) -> None:
        change = gerrit_rig.gerrit.upload(app.name)
        getattr(gerrit_rig.gerrit, how)(change.number)
        with pytest.raises(Rejected) as refused:
            source.review(app, change.number, change.current.revision, message="x", value=1)
        assert refused.value.code == "closed"

    def test_a_change_or_a_text_that_is_not_there(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        change = gerrit_rig.gerrit.upload(app.name)
        for number, sha in ((99, change.current.revision), (change.number, "d" * 40)):
            with pytest.raises(NotFound):
                source.review(app, number, sha, message="x", value=1)


class TestGaps:
    def test_each_push_is_told_with_who_and_when(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        seen = source.poll(app, None).tips
        shas = [gerrit_rig.gerrit.push(app.name, commits=3) for _ in range(4)]
        events = source.poll(app, seen).events
        assert chain_of(events) == shas, "a push of three commits is one move"
        assert {event.actor for event in events} == {"admin@example.com"}
        assert all(event.happened_at > 1e9 for event in events)
        assert not any(event.forced for event in events)

    def test_a_branch_that_was_made_meanwhile_is_told_from_its_beginning(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        seen = source.poll(app, None).tips
        shas = [gerrit_rig.gerrit.push(app.name, "new") for _ in range(3)]
        events = source.poll(app, seen).events
        assert chain_of(events) == shas
        assert events[0].created

    @pytest.mark.parametrize("status", [403, 404, 405])
    def test_without_a_reflog_every_first_parent_is_a_push(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository, status: int
    ) -> None:
        gerrit_rig.gerrit.faults.reflog_off(status)
        seen = source.poll(app, None).tips
        gerrit_rig.gerrit.push(app.name, commits=3)
        gerrit_rig.gerrit.push(app.name, "new", commits=3)
        told = source.poll(app, seen).events
        line = gerrit_rig.gerrit.project(app.name).repository.text("rev-list", "--reverse", f"{seen[MASTER]}..master")
        assert chain_of(tuple(e for e in told if e.ref == MASTER)) == line.split()
        assert [event.created for event in told if event.ref == "refs/heads/new"] == [True], "and a new branch is one"

    def test_merged_side_branches_are_one_push(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        gerrit_rig.gerrit.faults.reflog_off()
        seen = source.poll(app, None).tips
        change = gerrit_rig.gerrit.upload(app.name, files={"side.txt": "x"})
        pushed = gerrit_rig.gerrit.push(app.name)
        gerrit_rig.gerrit.submit(change.number)
        events = source.poll(app, seen).events
        assert chain_of(events)[0] == pushed
        assert len(events) == 2, "the merge, not what it brought"

    def test_too_many_commits_are_one_push(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository, tmp_path: Path
    ) -> None:
        gerrit_rig.gerrit.faults.reflog_off()
        seen = source.poll(app, None).tips
        gerrit_rig.gerrit.push(app.name, commits=100)
        assert len(source.poll(app, seen).events) == 100
        new = gerrit_rig.gerrit.push(app.name)
        [event] = source.poll(app, seen).events
        assert (event.old, event.new, event.forced) == (seen[MASTER], new, False)

    @pytest.mark.parametrize("reflog", [True, False])
    def test_rewritten_history_is_one_forced_move(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository, reflog: bool
    ) -> None:
        if not reflog:
            gerrit_rig.gerrit.faults.reflog_off()
        gerrit_rig.gerrit.push(app.name)
        seen = source.poll(app, None).tips
        gerrit_rig.gerrit.force_push(app.name)
        new = gerrit_rig.gerrit.push(app.name)
        [event] = source.poll(app, seen).events
        assert (event.old, event.new, event.forced) == (seen[MASTER], new, True)

    def test_pushes_that_were_taken_back_are_left_out(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        seen = source.poll(app, None).tips
        kept = gerrit_rig.gerrit.push(app.name)
        gerrit_rig.gerrit.push(app.name)
        gerrit_rig.gerrit.force_push(app.name)
        new = gerrit_rig.gerrit.push(app.name)
        shas = chain_of(source.poll(app, seen).events)
        assert shas[0] == kept
        assert shas[-1] == new
        for sha in shas:
            assert source.resolve(app, sha).sha == sha, "each can be built"

    def test_a_hole_in_the_reflog_is_not_guessed_over(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        seen = source.poll(app, None).tips
        shas = [gerrit_rig.gerrit.push(app.name) for _ in range(4)]
        log = gerrit_rig.gerrit.project(app.name).repository.path / "logs" / MASTER
        lines = log.read_text().splitlines(keepends=True)
        log.write_text("".join([*lines[:-2], lines[-1]]))
        assert chain_of(source.poll(app, seen).events) == shas, "by its first parents"

    def test_a_long_gap_comes_in_pieces_that_fit_together(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        seen = source.poll(app, None).tips
        shas = [gerrit_rig.gerrit.push(app.name) for _ in range(7)]
        found: list[PushEvent] = []
        for _ in range(9):
            poll = source.poll(app, seen, limit=3)
            found += poll.events
            seen = poll.tips
            if not poll.more:
                break
        assert chain_of(tuple(found)) == shas
        assert source.poll(app, seen).events == ()

    def test_a_tag_that_moved_is_one_move(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        gerrit_rig.gerrit.tag(app.name, "v1", message="one")
        seen = source.poll(app, None).tips
        gerrit_rig.gerrit.push(app.name)
        new = gerrit_rig.gerrit.tag(app.name, "v1", message="two")
        [event] = [one for one in source.poll(app, seen).events if one.ref == "refs/tags/v1"]
        assert event.new == new

    def test_many_branches_take_few_questions(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        gerrit_rig.gerrit.faults.many_refs(app.name, 6_000)
        before = len(gerrit_rig.gerrit.requests.lines(""))
        assert len(source.poll(app, None).tips) == 6_001
        assert len(gerrit_rig.gerrit.requests.lines("")) - before <= 3

    def test_other_refs_are_nobodys_push(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        gerrit_rig.gerrit.upload(app.name)
        assert all(ref.startswith(("refs/heads/", "refs/tags/")) for ref in source.poll(app, None).tips)


class TestReaders:
    def test_who_may_read_is_gerrits_to_say(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        gerrit_rig.gerrit.accounts.add("ann")
        gerrit_rig.gerrit.accounts.add("ben")
        gerrit_rig.gerrit.faults.hide(app.name, "ben")
        assert source.may_read(app, "ann") is True
        assert source.may_read(app, "ben") is False
        assert source.may_read(app, "nobody") is False

    def test_only_a_user_name_names_somebody(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        ann = gerrit_rig.gerrit.accounts.add("ann", name="Ann Ash", email="ann@example.org")
        for word in ("self", "", str(ann.number), "Ann Ash", "ann@example.org", "a/../ann", "ann/detail"):
            assert source.may_read(app, word) is False, word

    def test_where_we_may_not_ask_nobody_knows(self, source: GerritSource, gerrit_rig: Rig, app: Repository) -> None:
        gerrit_rig.gerrit.accounts.add("ann")
        with gerrit_rig.gerrit.faults.status(403, "check.access"):
            assert source.may_read(app, "ann") is None


class TestAddresses:
    def test_names_are_written_whole(self, source: GerritSource, gerrit_rig: Rig) -> None:
        odd = Repository("Team Ä/app+x&y=z;1")
        gerrit_rig.gerrit.create_project(odd.name)
        sha = gerrit_rig.gerrit.push(odd.name, "feature/a#b&c", files={"ä b/c+d.txt": "x"})
        assert source.resolve(odd, "feature/a#b&c").sha == sha
        assert source.read_file(odd, sha, "ä b/c+d.txt").data == b"x"
        assert [entry.path for entry in source.list_files(odd, sha) if "/" in entry.path] == ["ä b/c+d.txt"]

    def test_where_people_clone(self, source: GerritSource, gerrit_rig: Rig, tmp_path: Path) -> None:
        app = Repository("team/app")
        assert source.clone_url(app) == f"{gerrit_rig.url}a/team/app"
        assert source.ssh_url(app) == f"ssh://portal@127.0.0.1:{gerrit_rig.ssh_port}/team/app"
        assert source.ssh_url(app, "ann").startswith("ssh://ann@")
        assert source_of(gerrit_rig, tmp_path, ssh_host="").ssh_url(app) == ""

    def test_a_server_below_a_path(self, tmp_path: Path) -> None:
        with Rig(tmp_path / "gerrit", prefix="/review") as rig:
            below = source_of(rig, tmp_path)
            app = Repository("team/app")
            sha = below.create_repository(app, starter="blank")
            assert below.log(app, "master")[0].sha == sha
            assert below.clone_url(app).endswith("/review/a/team/app")

    def test_the_newest_commit_of_a_branch_is_at_hand_without_a_poll(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository
    ) -> None:
        source.refresh(app)
        sha = gerrit_rig.gerrit.push(app.name)
        assert source.log(app, "master", limit=1)[0].sha == sha
        assert source.resolve(app, sha[:9]).sha == sha

    def test_an_empty_project_says_so(self, source: GerritSource, gerrit_rig: Rig) -> None:
        empty = Repository("empty")
        gerrit_rig.gerrit.create_project("empty", empty_commit=False)
        assert source.state(empty).empty
        with pytest.raises(NotFound) as refused:
            source.resolve(empty, "master")
        assert refused.value.code == "empty_repository"
        assert source.poll(empty, None).tips == {}

    def test_people_push_with_git_over_http(
        self, source: GerritSource, gerrit_rig: Rig, app: Repository, tmp_path: Path
    ) -> None:
        seen = source.poll(app, None).tips
        git("clone", "--quiet", gerrit_rig.git_url(app.name), "work", cwd=tmp_path)
        sha = commit(tmp_path / "work", "a.txt", "a")
        git("push", "--quiet", "origin", "HEAD", cwd=tmp_path / "work")
        assert chain_of(source.poll(app, seen).events) == [sha]
