"""Changes on the simulated Gerrit: pushed by git, found, told of, voted on, submitted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulators.gerrit_ground import Asker, commit, data_of, work_tree

ONE, TWO = f"I{'1' * 40}", f"I{'2' * 40}"
REVIEW = "changes/1/revisions/current/review"


def push(asker: Asker, tree: Path, to: str = "refs/for/master") -> str:
    """What git says; it begins with `refused` when it was."""
    done = asker.rig.git("push", "origin", f"HEAD:{to}", folder=tree, check=False)
    return f"refused {done.stderr}" if done.returncode else done.stderr


# -- pushed for review --------------------------------------------------------------------------------------------------


def test_a_push_for_review_makes_a_change_and_the_next_one_its_next_patch_set(asker: Asker, tmp_path: Path) -> None:
    tree = work_tree(asker.rig, "team/app", tmp_path / "tree")
    first = commit(asker.rig, tree, {"a": "1\n"}, f"Add a\n\nChange-Id: {ONE}")
    assert "SUCCESS" in push(asker, tree)
    asker.rig.git("commit", "-q", "--amend", "-m", f"Add a file\n\nChange-Id: {ONE}", folder=tree)
    second = asker.rig.git("rev-parse", "HEAD", folder=tree).stdout.strip()
    assert "Add a file" in push(asker, tree, "refs/for/refs/heads/master%topic=x")
    change = asker.get("changes/1?o=ALL_REVISIONS&o=CURRENT_COMMIT")
    assert (change["id"], change["change_id"], change["_number"]) == ("team%2Fapp~1", ONE, 1)
    assert (change["subject"], change["status"], change["branch"]) == ("Add a file", "NEW", "master")
    assert change["current_revision"] == second
    assert {sha: one["_number"] for sha, one in change["revisions"].items()} == {first: 1, second: 2}
    assert change["revisions"][second]["ref"] == "refs/changes/01/1/2"
    assert change["revisions"][second]["kind"] == "NO_CODE_CHANGE"
    assert change["revisions"][second]["commit"]["message"] == f"Add a file\n\nChange-Id: {ONE}\n"
    assert second in asker.rig.git("ls-remote", asker.rig.git_url("team/app"), "refs/changes/01/1/2").stdout
    events = asker.gerrit.stream.of("patchset-created")
    assert [(one["patchSet"]["number"], one["patchSet"]["revision"]) for one in events] == [(1, first), (2, second)]


def test_each_commit_of_a_push_is_a_change_of_its_own(asker: Asker, tmp_path: Path) -> None:
    tree = work_tree(asker.rig, "team/app", tmp_path / "tree")
    commit(asker.rig, tree, {"a": "1"}, f"One\n\nChange-Id: {ONE}")
    commit(asker.rig, tree, {"b": "1"}, f"Two\n\nChange-Id: {TWO}")
    push(asker, tree)
    assert [one["subject"] for one in asker.get("changes/?q=status:open")] == ["Two", "One"]
    assert [one["subject"] for one in asker.get("changes/?q=branch:master&n=1&S=1")] == ["One"]


@pytest.mark.parametrize(
    ("message", "to", "reason"),
    [
        ("No id", "refs/for/master", "missing Change-Id in message footer"),
        (f"x\n\nChange-Id: {ONE}", "refs/for/none", "branch none not found"),
        (f"x\n\nChange-Id: {ONE}", "refs/changes/01/1/1", "hidden ref"),
    ],
)
def test_a_push_that_cannot_be_reviewed_is_refused(
    asker: Asker, tmp_path: Path, message: str, to: str, reason: str
) -> None:
    tree = work_tree(asker.rig, "team/app", tmp_path / "tree")
    commit(asker.rig, tree, {"a": "1"}, message)
    said = push(asker, tree, to)
    assert said.startswith("refused")
    assert reason in said
    assert not asker.gerrit.changes.all


def test_the_same_commit_again_is_no_new_change(asker: Asker, tmp_path: Path) -> None:
    tree = work_tree(asker.rig, "team/app", tmp_path / "tree")
    commit(asker.rig, tree, {"a": "1"}, f"One\n\nChange-Id: {ONE}")
    push(asker, tree)
    assert "no new changes" in push(asker, tree)


# -- found --------------------------------------------------------------------------------------------------------------


def test_changes_are_found_by_what_is_asked(asker: Asker) -> None:
    asker.gerrit.create_project("other")
    one, two = asker.gerrit.upload("team/app"), asker.gerrit.upload("team/app")
    asker.gerrit.upload("other")
    asker.gerrit.submit(2)

    def numbers(query: str) -> list[int]:
        return sorted(change["_number"] for change in asker.get(f"changes/?q={query}"))

    assert numbers("project:team/app") == [1, 2]
    assert numbers("project:team/app+status:open") == [1]
    assert numbers("project:^team/.*+status:merged") == [2]
    assert numbers(f"commit:{two.current.revision}") == [2]
    assert numbers(f"change:{one.change_id}") == [1]
    assert numbers("change:3") == numbers("change:other~3") == [3]
    assert numbers("change:team/app~3") == []
    assert numbers('-project:"team/app"+branch:master') == [3]
    assert numbers("project:none") == []
    assert asker.refusal("GET", "changes/?q=frob:1") == (400, "Unsupported operator frob:1")
    lists = asker.get("changes/?q=change:1&q=change:3")
    assert [[change["_number"] for change in each] for each in lists] == [[1], [3]]


def test_changes_come_in_pages(asker: Asker) -> None:
    for _ in range(3):
        asker.gerrit.upload("team/app")
    page = asker.get("changes/?q=status:open&n=2")
    assert [change["_number"] for change in page] == [3, 2]
    assert page[-1]["_more_changes"] is True
    rest = asker.get("changes/?q=status:open&n=2&S=2")
    assert ["_more_changes" in change for change in rest] == [False]
    asker.gerrit.query_limit = 1
    assert len(asker.get("changes/?q=status:open")) == 1


def test_a_change_has_several_names(asker: Asker) -> None:
    change = asker.gerrit.upload("team/app")
    for name in ("1", "team%2Fapp~1", f"team%2Fapp~master~{change.change_id}", change.change_id):
        assert asker.get(f"changes/{name}")["_number"] == 1
    assert asker.refusal("GET", "changes/2") == (404, "Not found: 2")
    assert asker.refusal("GET", "changes/1/revisions/7/commit") == (404, "Not found: 7")


def test_a_patch_set_has_its_files_and_its_commit(asker: Asker) -> None:
    asker.gerrit.push("team/app", files={"keep": "1\n", "gone": "1\n"})
    change = asker.gerrit.upload("team/app", files={"keep": "1\n2\n", "gone": None, "new/file": "a\nb\n"})
    files = asker.get("changes/1/revisions/1/files/")
    assert set(files) == {"/COMMIT_MSG", "keep", "gone", "new/file"}
    assert files["new/file"] == {"status": "A", "lines_inserted": 2, "size_delta": 2}
    assert files["gone"]["status"] == "D"
    assert "status" not in files["keep"]
    found = asker.get(f"changes/1/revisions/{change.current.revision[:8]}/commit")
    assert (found["commit"], found["subject"]) == (change.current.revision, "Add file")


# -- voted on -----------------------------------------------------------------------------------------------------------


def test_a_review_leaves_a_vote_and_a_message(asker: Asker) -> None:
    asker.gerrit.upload("team/app")
    wish = {"message": "Build 7 passed.", "labels": {"Verified": 1}, "tag": "autogenerated:portal", "notify": "NONE"}
    assert data_of(asker.send("POST", REVIEW, wish)) == {"labels": {"Verified": 1}}
    detail = asker.get("changes/1/detail")
    (vote,) = detail["labels"]["Verified"]["all"]
    assert (vote["value"], vote["username"], vote["tag"]) == (1, "portal", "autogenerated:portal")
    assert detail["labels"]["Verified"]["approved"]["username"] == "portal"
    last = detail["messages"][-1]
    assert last["message"] == "Patch Set 1: Verified+1\n\nBuild 7 passed."
    assert (last["_revision_number"], last["tag"]) == (1, "autogenerated:portal")
    assert (last["author"]["username"], last["date"][-10:]) == ("portal", ".000000000")
    (heard,) = asker.gerrit.stream.of("comment-added")
    assert heard["approvals"] == [{"type": "Verified", "description": "Verified", "value": "1", "oldValue": "0"}]
    assert (heard["comment"], heard["author"]["username"]) == (last["message"], "portal")


def test_a_vote_replaces_the_one_before_and_is_gone_with_the_next_patch_set(asker: Asker) -> None:
    change = asker.gerrit.upload("team/app")
    for value in (1, -1):
        asker.send("POST", REVIEW, {"labels": {"Verified": value}})
    (vote,) = asker.get("changes/1/detail")["labels"]["Verified"]["all"]
    assert vote["value"] == -1
    asker.gerrit.upload("team/app", change=change)
    assert asker.get("changes/1/detail")["labels"]["Verified"]["all"] == []
    asker.send("POST", "changes/1/revisions/1/review", {"message": "Late."})
    last = asker.get("changes/1/messages")[-1]
    assert (last["message"], last["_revision_number"]) == ("Patch Set 1:\n\nLate.", 1)


@pytest.mark.parametrize(
    ("labels", "status", "reason"),
    [
        ({"Frob": 1}, 400, 'label "Frob" is not a configured label'),
        ({"Verified": 2}, 400, 'label "Verified": 2 is not a valid value'),
        ({"Code-Review": 2}, 403, 'Applying label "Code-Review": 2 is restricted'),
    ],
)
def test_a_vote_is_refused_with_a_reason(asker: Asker, labels: object, status: int, reason: str) -> None:
    asker.gerrit.upload("team/app")
    asker.gerrit.faults.restrict("Code-Review", 2)
    assert asker.refusal("POST", REVIEW, {"message": "x", "labels": labels}) == (status, reason)
    assert len(asker.get("changes/1/messages")) == 1


def test_a_closed_change_takes_messages_but_no_votes(asker: Asker) -> None:
    asker.gerrit.upload("team/app")
    asker.gerrit.submit(1)
    late = asker.refusal("POST", REVIEW, {"labels": {"Verified": 1}})
    assert late == (409, "Voting on labels disallowed after submit: Verified")
    assert asker.send("POST", REVIEW, {"message": "Built."}).status_code == 200
    asker.gerrit.upload("team/app")
    asker.gerrit.abandon(2)
    again = asker.refusal("POST", "changes/2/revisions/1/review", {"labels": {"Verified": 1}})
    assert again == (409, "change is closed")


def test_a_change_says_who_voted_and_what_may_be_voted(asker: Asker) -> None:
    asker.gerrit.upload("team/app")
    asker.gerrit.faults.restrict("Code-Review", -2, 2)
    asker.send("POST", REVIEW, {"labels": {"Verified": -1}})
    detail = asker.get("changes/1/detail")
    assert detail["permitted_labels"] == {"Code-Review": ["-1", " 0", "+1"], "Verified": ["-1", " 0", "+1"]}
    assert [one["username"] for one in detail["reviewers"]["REVIEWER"]] == ["portal"]
    asker.gerrit.submit(1)
    assert asker.get("changes/1/detail")["permitted_labels"] == {}


def test_labels_are_defined_in_one_project_and_hold_in_all(asker: Asker) -> None:
    assert asker.get("projects/All-Projects/labels/Verified")["values"]["-1"] == "Fails"
    assert asker.get("projects/team%2Fapp/labels/") == []
    names = [one["name"] for one in asker.get("projects/team%2Fapp/labels/?inherited")]
    assert names == list(asker.get("projects/team%2Fapp")["labels"]) == ["Code-Review", "Verified"]
    assert asker.refusal("GET", "projects/All-Projects/labels/Frob") == (404, "Not found: Frob")


# -- submitted ----------------------------------------------------------------------------------------------------------


def test_a_submit_moves_the_branch_forward(asker: Asker) -> None:
    change = asker.gerrit.upload("team/app")
    done = data_of(asker.send("POST", "changes/1/submit"))
    assert (done["status"], done["submitter"]["_account_id"]) == ("MERGED", asker.rig.account.number)
    assert asker.get("projects/team%2Fapp/branches/master")["revision"] == change.current.revision
    assert asker.refusal("POST", "changes/1/submit") == (409, "change is merged")


def test_a_change_pushed_straight_to_its_branch_is_merged_by_that(asker: Asker, tmp_path: Path) -> None:
    tree = work_tree(asker.rig, "team/app", tmp_path / "tree")
    tip = commit(asker.rig, tree, {"a": "1"}, f"One\n\nChange-Id: {ONE}")
    push(asker, tree)
    asker.gerrit.push("team/app", "topic")
    assert asker.get("changes/1")["status"] == "NEW"
    push(asker, tree, "master")
    assert asker.get("changes/1")["status"] == "MERGED"
    assert asker.gerrit.stream.of("change-merged")[0]["newRev"] == tip


def test_a_submit_merges_where_the_branch_went_on(asker: Asker) -> None:
    change = asker.gerrit.upload("team/app", files={"a": "1\n"})
    before = asker.gerrit.push("team/app", files={"b": "1\n"})
    asker.gerrit.submit(1)
    tip = asker.get("projects/team%2Fapp/branches/master")["revision"]
    merged = asker.get(f"projects/team%2Fapp/commits/{tip}")
    assert [parent["commit"] for parent in merged["parents"]] == [before, change.current.revision]
    assert asker.gerrit.stream.of("change-merged")[0]["newRev"] == tip


def test_a_submit_that_does_not_merge_is_refused(asker: Asker) -> None:
    asker.gerrit.upload("team/app", files={"a": "1\n"})
    asker.gerrit.push("team/app", files={"a": "2\n"})
    status, reason = asker.refusal("POST", "changes/1/submit")
    assert status == 409
    assert "path conflict" in reason
