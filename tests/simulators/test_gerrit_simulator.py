"""The simulated Gerrit as its clients see it: REST as documented, git over HTTP and SSH, events, changes."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import httpx
import pytest

from tests.simulators.gerrit_ground import Asker, commit, data_of, work_tree
from tests.simulators.gerrit_rig import USER, Rig

NAMED = {"name": "Release Portal", "email": "portal@example.com"}

# -- doors --------------------------------------------------------------------------------------------------------------


def test_a_wrong_password_or_none_is_not_let_in(asker: Asker) -> None:
    for auth in (None, (USER, "wrong"), ("nobody", "x")):
        answer = httpx.get(f"{asker.rig.url}a/projects/", auth=auth, timeout=60)
        assert (answer.status_code, answer.text) == (401, "Unauthorized")
        assert answer.headers["www-authenticate"] == 'Basic realm="Gerrit Code Review"'


def test_a_changed_password_holds_at_once(asker: Asker) -> None:
    asker.gerrit.faults.change_password(USER, "new")
    assert asker.send("GET", "projects/").status_code == 401
    assert httpx.get(f"{asker.rig.url}a/projects/", auth=(USER, "new"), timeout=60).status_code == 200


def test_only_the_version_is_for_everybody(asker: Asker) -> None:
    assert data_of(httpx.get(f"{asker.rig.url}config/server/version", timeout=60)) == "3.10.2"
    answer = httpx.get(f"{asker.rig.url}projects/team%2Fapp", auth=(USER, asker.rig.password), timeout=60)
    assert (answer.status_code, answer.text) == (404, "Not found: team/app")


def test_an_account_knows_itself_and_what_it_may(asker: Asker) -> None:
    assert asker.get("accounts/self") == {"_account_id": 1000001, **NAMED, "username": USER}
    may = asker.get("accounts/self/capabilities")
    assert (may["createProject"], may["streamEvents"], may["queryLimit"]["max"]) == (True, True, 500)
    asker.gerrit.faults.forbid(USER, "createProject")
    assert "createProject" not in asker.get("accounts/self/capabilities")
    assert asker.refusal("PUT", "projects/new", {}) == (403, "create project not permitted")


def test_a_group_is_found_by_its_name(asker: Asker) -> None:
    assert asker.get("groups/Release%20Team")["name"] == "Release Team"
    assert asker.refusal("GET", "groups/Nobody") == (404, "Not found: Nobody")


def test_a_context_path_is_before_everything(tmp_path: Path) -> None:
    with Rig(tmp_path / "server", prefix="/r") as rig:
        rig.gerrit.create_project("app")
        assert rig.url.endswith("/r/")
        answer = httpx.get(f"{rig.url}a/projects/app", auth=(USER, rig.password), timeout=60)
        assert data_of(answer)["name"] == "app"
        assert "refs/heads/master" in rig.git("ls-remote", rig.git_url("app")).stdout


def test_it_speaks_tls(tmp_path: Path) -> None:
    with Rig(tmp_path / "server", tls=True) as rig:
        rig.gerrit.create_project("app")
        config, secrets = rig.connection_facts()
        (tmp_path / "ca.pem").write_text(config["ca"])
        where, login = f"{config['url']}a/projects/app", (USER, secrets["password"])
        trusted = ssl.create_default_context(cadata=config["ca"])
        assert httpx.get(where, auth=login, verify=trusted, timeout=60).status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(where, auth=login, timeout=60)
        trusting = ("-c", f"http.sslCAInfo={tmp_path / 'ca.pem'}")
        tree = tmp_path / "tree"
        rig.git(*trusting, "clone", "-q", rig.git_url("app"), str(tree))
        tip = commit(rig, tree, {"a": "1"}, "One")
        rig.git(*trusting, "push", "-q", "origin", "HEAD:master", folder=tree)
        assert rig.gerrit.stream.past[-1]["refUpdate"]["newRev"] == tip


def test_the_facts_of_a_connection_are_all_there(gerrit_rig: Rig) -> None:
    config, secrets = gerrit_rig.connection_facts()
    assert (config["url"], config["ssh_port"], config["known_hosts"]) == (
        gerrit_rig.url, gerrit_rig.ssh_port, gerrit_rig.known_hosts,
    )  # fmt: skip
    assert secrets["ssh_key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert gerrit_rig.connection_facts(ssh=False)[0]["ssh_host"] == ""


# -- projects -----------------------------------------------------------------------------------------------------------


def test_a_project_is_made_with_what_is_asked_for(asker: Asker) -> None:
    wish = {"description": "A shop", "parent": "All-Projects", "create_empty_commit": True, "owners": ["Release Team"],
            "branches": ["main", "stable"]}  # fmt: skip
    answer = asker.send("PUT", "projects/team%2Fshop", wish)
    assert answer.status_code == 201
    made = data_of(answer)
    assert (made["id"], made["name"], made["parent"], made["state"]) == (
        "team%2Fshop",
        "team/shop",
        "All-Projects",
        "ACTIVE",
    )
    assert made["description"] == "A shop"
    branches = asker.get("projects/team%2Fshop/branches/")
    assert [one["ref"] for one in branches] == ["HEAD", "refs/meta/config", "refs/heads/main", "refs/heads/stable"]
    assert branches[0] == {"ref": "HEAD", "revision": "main"}
    assert branches[2]["revision"] == branches[3]["revision"]
    assert asker.get("projects/team%2Fshop/HEAD") == "refs/heads/main"
    access = asker.get("projects/team%2Fshop/access")
    (owner,) = access["local"]["refs/*"]["permissions"]["owner"]["rules"]
    assert access["groups"][owner]["name"] == "Release Team"
    assert access["inherits_from"]["name"] == "All-Projects"


def test_a_project_without_a_commit_has_only_its_head(asker: Asker) -> None:
    asker.send("PUT", "projects/empty", {})
    assert [one["ref"] for one in asker.get("projects/empty/branches/")] == ["HEAD", "refs/meta/config"]
    assert asker.refusal("GET", "projects/empty/branches/master")[0] == 404


@pytest.mark.parametrize(
    ("name", "wish", "status", "reason"),
    [
        ("team%2Fapp", {}, 409, 'Project "team/app" already exists'),
        ("x", {"name": "y"}, 400, "name must match URL"),
        ("x", {"parent": "missing"}, 422, "Project Not Found: missing"),
        ("x", {"owners": ["Nobody"]}, 422, "Group Not Found: Nobody"),
        ("x", {"branches": ["a..b"]}, 400, 'Branch "refs/heads/a..b" is not a valid name.'),
        ("..%2Fx", {}, 400, "invalid project name: ../x"),
        ("x", {"parent": "All-Users"}, 409, "Cannot inherit from 'All-Users' project"),
    ],
)
def test_a_project_is_refused_with_a_reason(asker: Asker, name: str, wish: object, status: int, reason: str) -> None:
    assert asker.refusal("PUT", f"projects/{name}", wish) == (status, reason)


def test_a_name_taken_in_another_case_is_a_conflict(asker: Asker) -> None:
    status, reason = asker.refusal("PUT", "projects/Team%2FApp", {})
    assert status == 409
    assert "only spelled in a different case" in reason


def test_a_body_that_is_no_json_is_refused(asker: Asker) -> None:
    answer = asker.client.put("projects/x", content=b"{", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.text) == (400, "Expected JSON object")
    assert asker.client.put("projects/x", content=b"{}").status_code == 400
    there = asker.client.put("projects/team%2Fapp", json={}, headers={"If-None-Match": "*"})
    assert there.status_code == 412


def test_names_are_quoted_whole_and_may_end_in_a_slash(asker: Asker) -> None:
    assert asker.get("projects/team%2Fapp")["name"] == "team/app"
    assert asker.get("projects/team%2Fapp%2F")["name"] == "team/app"
    assert asker.refusal("GET", "projects/team/app")[0] == 404
    assert asker.refusal("GET", "projects/team%2Fnone") == (404, "Not found: team/none")


def test_projects_are_listed_page_by_page(asker: Asker) -> None:
    for name in ("team/b", "team/c", "other"):
        asker.gerrit.create_project(name)
    first = asker.get("projects/?p=team%2F&n=2")
    assert list(first) == ["team/app", "team/b"]
    assert "_more_projects" not in first["team/app"]
    assert first["team/b"]["_more_projects"] is True
    second = asker.get("projects/?p=team%2F&n=2&S=2")
    assert list(second) == ["team/c"]
    assert "_more_projects" not in second["team/c"]


def test_a_renamed_project_is_not_found_under_its_old_name(asker: Asker) -> None:
    tip = asker.gerrit.push("team/app")
    asker.gerrit.rename("team/app", "team/shop")
    assert asker.refusal("GET", "projects/team%2Fapp") == (404, "Not found: team/app")
    assert asker.get("projects/team%2Fshop/branches/master")["revision"] == tip
    assert asker.rig.git("ls-remote", asker.rig.git_url("team/app"), check=False).returncode == 128


def test_head_goes_where_it_is_put(asker: Asker) -> None:
    asker.gerrit.push("team/app", "main")
    assert data_of(asker.send("PUT", "projects/team%2Fapp/HEAD", {"ref": "main"})) == "refs/heads/main"
    assert asker.get("projects/team%2Fapp/HEAD") == "refs/heads/main"
    assert asker.refusal("PUT", "projects/team%2Fapp/HEAD", {"ref": "refs/heads/none"})[0] == 422
    assert asker.gerrit.stream.of("project-head-updated")[0]["newHead"] == "refs/heads/main"


def test_access_is_checked_for_an_account(asker: Asker) -> None:
    path = "projects/team%2Fapp/check.access?ref=refs%2Fheads%2Fmaster&account="
    assert asker.get(f"{path}{USER}")["status"] == 200
    asker.gerrit.accounts.add("guest", "guest")
    asker.gerrit.faults.hide("team/app", "guest")
    refused = asker.get(f"{path}guest")
    assert refused["status"] == 403
    assert "cannot see project team/app" in refused["message"]
    assert asker.refusal("GET", f"{path}nobody") == (422, "Account 'nobody' not found")
    asker.gerrit.faults.forbid(USER, "viewAccess")
    assert asker.refusal("GET", f"{path}guest") == (403, "view access not permitted")
    with httpx.Client(base_url=f"{asker.rig.url}a/", auth=("guest", "guest"), timeout=60) as guest:
        assert guest.get("projects/team%2Fapp").status_code == 404


# -- refs, commits, files -----------------------------------------------------------------------------------------------


def test_branches_are_listed_from_a_place_and_by_a_part_of_their_name(asker: Asker) -> None:
    for name in ("release/1", "release/2", "topic"):
        asker.gerrit.push("team/app", name)
    where = "projects/team%2Fapp/branches/"
    assert [one["ref"] for one in asker.get(f"{where}?m=release")] == ["refs/heads/release/1", "refs/heads/release/2"]
    pages = [[one["ref"] for one in asker.get(f"{where}?n=4&S={start}")] for start in (0, 4, 8)]
    assert pages[0] == ["HEAD", "refs/meta/config", "refs/heads/master", "refs/heads/release/1"]
    assert pages[1:] == [["refs/heads/release/2", "refs/heads/topic"], []]


def test_a_branch_is_made_from_a_revision(asker: Asker) -> None:
    tip = asker.gerrit.push("team/app")
    answer = asker.send("PUT", "projects/team%2Fapp/branches/release%2F1", {"revision": "master"})
    assert answer.status_code == 201
    assert data_of(answer) == {"ref": "refs/heads/release/1", "revision": tip, "can_delete": True}
    where = "projects/team%2Fapp/branches/"
    assert asker.get(f"{where}release%2F1")["revision"] == tip
    assert asker.get(f"{where}refs%2Fheads%2Frelease%2F1")["ref"] == "refs/heads/release/1"
    assert asker.refusal("PUT", f"{where}release%2F1", {}) == (409, 'Branch "refs/heads/release/1" already exists')
    assert asker.refusal("PUT", f"{where}x", {"revision": "none"}) == (422, 'base revision "none" not found')
    assert asker.refusal("PUT", f"{where}release", {})[0] == 409
    assert asker.refusal("PUT", f"{where}a..b", {})[0] == 400
    assert asker.send("DELETE", f"{where}release%2F1").status_code == 204
    assert asker.refusal("GET", f"{where}release%2F1") == (404, "Not found: release/1")


def test_the_reflog_says_who_moved_a_branch_newest_first(asker: Asker) -> None:
    one = asker.gerrit.push("team/app")
    two = asker.gerrit.push("team/app", by=asker.rig.account)
    entries = asker.get("projects/team%2Fapp/branches/master/reflog?n=2")
    assert (entries[0]["old_id"], entries[0]["new_id"]) == (one, two)
    assert entries[1]["new_id"] == one
    who = entries[0]["who"]
    assert {key: who[key] for key in NAMED} == NAMED
    assert who["tz"] == 0
    assert who["date"].endswith(".000000000")
    asker.gerrit.delete_branch("team/app", "master")
    asker.gerrit.push("team/app", "master")
    assert len(asker.get("projects/team%2Fapp/branches/master/reflog")) == 1


def test_a_push_by_git_is_in_the_reflog_too(asker: Asker, tmp_path: Path) -> None:
    tree = work_tree(asker.rig, "team/app", tmp_path / "tree")
    tip = commit(asker.rig, tree, {"a": "1"}, "One")
    asker.rig.git("push", "-q", "origin", "HEAD:master", folder=tree)
    (entry, *_) = asker.get("projects/team%2Fapp/branches/master/reflog")
    assert (entry["new_id"], entry["who"]["email"]) == (tip, NAMED["email"])


def test_a_file_comes_in_base64(asker: Asker) -> None:
    tip = asker.gerrit.push("team/app", files={"deploy/app.yaml": "größe: 1\n", "bin": b"\x00\xff"})
    for where in ("branches/master", f"commits/{tip}"):
        answer = asker.client.get(f"projects/team%2Fapp/{where}/files/deploy%2Fapp.yaml/content")
        assert answer.headers["content-type"] == "text/plain;charset=ISO-8859-1"
        assert answer.headers["x-fyi-content-encoding"] == "base64"
        assert base64.b64decode(answer.content).decode() == "größe: 1\n"
    raw = asker.client.get("projects/team%2Fapp/branches/master/files/bin/content")
    assert base64.b64decode(raw.content) == b"\x00\xff"
    where = f"projects/team%2Fapp/commits/{tip}/files"
    assert asker.refusal("GET", f"{where}/none/content") == (404, "Not found: none")
    assert asker.refusal("GET", f"{where}/deploy/content") == (400, "cannot retrieve content of directories")


def test_a_commit_is_found_by_its_whole_name_while_a_ref_leads_to_it(asker: Asker) -> None:
    first = asker.gerrit.push("team/app", message="First\n\nWhy it is so.")
    found = asker.get(f"projects/team%2Fapp/commits/{first}")
    assert (found["commit"], found["subject"], found["message"]) == (first, "First", "First\n\nWhy it is so.\n")
    assert found["parents"][0]["subject"] == "Initial empty repository"
    assert found["author"]["name"] == "Administrator"
    asker.gerrit.force_push("team/app")
    assert asker.refusal("GET", f"projects/team%2Fapp/commits/{first}") == (404, f"Not found: {first}")
    assert asker.refusal("GET", f"projects/team%2Fapp/commits/{first[:12]}")[0] == 404


def test_an_annotated_tag_has_an_object_and_a_revision(asker: Asker) -> None:
    tip = asker.gerrit.push("team/app")
    asker.gerrit.tag("team/app", "light")
    noted = asker.gerrit.tag("team/app", "v1.0", message="The first")
    tags = asker.get("projects/team%2Fapp/tags/")
    assert [tag["ref"] for tag in tags] == ["refs/tags/light", "refs/tags/v1.0"]
    assert (tags[0]["revision"], "object" in tags[0]) == (tip, False)
    one = asker.get("projects/team%2Fapp/tags/v1.0")
    assert (one["object"], one["revision"], one["message"]) == (tip, noted, "The first")
    assert one["tagger"]["email"] == "admin@example.com"
    assert [tag["ref"] for tag in asker.get("projects/team%2Fapp/tags/?n=1&S=1")] == ["refs/tags/v1.0"]
    assert asker.refusal("GET", "projects/team%2Fapp/tags/v2") == (404, "Not found: v2")
