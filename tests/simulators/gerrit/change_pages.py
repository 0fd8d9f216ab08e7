"""`/changes/…`: found, told in as much detail as is asked for, reviewed, submitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .accounts import Account
from .answers import Answer, Refused, Request, entity, not_found, page_of, stamp
from .changes import Change, PatchSet, files_of
from .project_pages import points
from .query import matching
from .ref_pages import commit_info

if TYPE_CHECKING:
    from .server import Gerrit


def answer(gerrit: Gerrit, request: Request, rest: list[str]) -> Answer:
    if not rest or not rest[0]:
        return _query(gerrit, request)
    change = _found(gerrit, request, rest[0])
    options = set(request.query.get("o", []))
    if len(rest) == 1:
        return entity(info(gerrit, change, options))
    if rest[1] == "detail":
        return entity(info(gerrit, change, options | {"DETAILED_LABELS", "DETAILED_ACCOUNTS", "MESSAGES", "LABELS"}))
    if rest[1] == "messages":
        return entity(_messages(change, {"DETAILED_ACCOUNTS"}))
    if rest[1] in ("submit", "abandon") and request.method == "POST":
        done = gerrit.uploads.submit if rest[1] == "submit" else gerrit.uploads.abandon
        return entity(info(gerrit, done(change, request.who()), options))
    if rest[1] != "revisions" or len(rest) < 3:
        raise not_found(rest[1])
    patch_set = change.patch_set(rest[2])
    if patch_set is None:
        raise not_found(rest[2])
    return _revision(gerrit, request, change, patch_set, rest[3:])


def _found(gerrit: Gerrit, request: Request, name: str) -> Change:
    username = request.account.username if request.account else ""
    found = [one for one in gerrit.changes.identified(name) if gerrit.projects.named(one.project, username)]
    if len(found) > 1:
        raise Refused(404, f"Multiple changes found for {name}")
    if not found:
        raise not_found(name)
    return found[0]


def _query(gerrit: Gerrit, request: Request) -> Answer:
    username = request.account.username if request.account else ""
    visible = [one for one in gerrit.changes.all if gerrit.projects.named(one.project, username)]
    visible.sort(key=lambda change: (change.updated, change.number), reverse=True)
    options = set(request.query.get("o", []))
    pages = []
    for text in request.query.get("q") or [""]:
        hits = [change for change in visible if matching(change, text, request.account)]
        shown, more = page_of(hits, request, limit=gerrit.query_limit)
        data = [info(gerrit, change, options) for change in shown]
        if more and data:
            data[-1]["_more_changes"] = True
        pages.append(data)
    return entity(pages if len(pages) > 1 else pages[0])


def _revision(gerrit: Gerrit, request: Request, change: Change, patch_set: PatchSet, rest: list[str]) -> Answer:
    repository = gerrit.project(change.project).repository
    what = rest[0] if rest else ""
    if what == "files" and len(rest) == 1:
        message = patch_set.message.count("\n") + 6
        own = {
            "status": "A",
            "lines_inserted": message,
            "size_delta": len(patch_set.message),
            "size": len(patch_set.message),
        }
        return entity({"/COMMIT_MSG": own, **files_of(repository, patch_set)})
    if what == "commit":
        return entity(commit_info(repository, patch_set.revision))
    if what == "review" and request.method == "POST":
        return entity(gerrit.reviews.post(change, patch_set, request.who(), request.json()))
    if what == "review":
        return entity(info(gerrit, change, {"CURRENT_REVISION", "DETAILED_LABELS", "DETAILED_ACCOUNTS", "MESSAGES"}))
    if what == "submit" and request.method == "POST":
        return entity(info(gerrit, gerrit.uploads.submit(change, request.who()), set()))
    raise not_found(what)


# -- ChangeInfo ---------------------------------------------------------------------------------------------------------


def _account(account: Account, options: set[str]) -> dict[str, Any]:
    return account.info() if "DETAILED_ACCOUNTS" in options else {"_account_id": account.number}


def info(gerrit: Gerrit, change: Change, options: set[str]) -> dict[str, Any]:
    project = quote(change.project, safe="")
    data: dict[str, Any] = {
        "id": f"{project}~{change.number}",
        "triplet_id": f"{project}~{quote(change.branch, safe='')}~{change.change_id}",
        "project": change.project,
        "branch": change.branch,
        "attention_set": {},
        "removed_from_attention_set": {},
        "hashtags": [],
        "change_id": change.change_id,
        "subject": change.subject,
        "status": change.status,
        "created": stamp(change.created),
        "updated": stamp(change.updated),
        "submit_type": "MERGE_IF_NECESSARY",
        "insertions": change.current.insertions,
        "deletions": change.current.deletions,
        "total_comment_count": 0,
        "unresolved_comment_count": 0,
        "has_review_started": True,
        "meta_rev_id": change.meta,
        "virtual_id_number": change.number,
        "_number": change.number,
        "owner": _account(change.owner, options),
        "requirements": [],
        "submit_records": [],
    }
    if change.topic:
        data["topic"] = change.topic
    if change.submitter is not None:
        data |= {"submitted": stamp(change.submitted), "submitter": _account(change.submitter, options)}
    if options & {"LABELS", "DETAILED_LABELS"}:
        data["labels"] = _labels(gerrit, change, options)
    if "DETAILED_LABELS" in options:
        data["permitted_labels"] = _permitted(gerrit, change)
        voters = {vote.by.number: _account(vote.by, options) for vote in change.votes}
        data["reviewers"] = {"REVIEWER": list(voters.values())} if voters else {}
    if options & {"MESSAGES"}:
        data["messages"] = _messages(change, options)
    if options & {"CURRENT_REVISION", "CURRENT_COMMIT", "CURRENT_FILES", "ALL_REVISIONS", "ALL_COMMITS", "ALL_FILES"}:
        every = bool(options & {"ALL_REVISIONS", "ALL_COMMITS", "ALL_FILES"})
        shown = change.patch_sets if every else [change.current]
        data["current_revision"] = change.current.revision
        data["revisions"] = {one.revision: _revision_info(gerrit, change, one, options) for one in shown}
    return data


def _revision_info(gerrit: Gerrit, change: Change, patch_set: PatchSet, options: set[str]) -> dict[str, Any]:
    ref = change.ref(patch_set.number)
    host = f"ssh://{gerrit.admin.username}@127.0.0.1:{gerrit.ssh_port}/{change.project}"
    repository = gerrit.project(change.project).repository
    data: dict[str, Any] = {
        "kind": patch_set.kind,
        "_number": patch_set.number,
        "created": stamp(patch_set.created),
        "uploader": _account(patch_set.uploader, options),
        "ref": ref,
        "fetch": {
            "http": {"url": f"{gerrit.url}a/{change.project}", "ref": ref},
            "ssh": {"url": host, "ref": ref},
        },
        "branch": f"refs/heads/{change.branch}",
    }
    if options & {"CURRENT_COMMIT", "ALL_COMMITS"}:
        commit = commit_info(repository, patch_set.revision)
        data["commit"] = {key: value for key, value in commit.items() if key != "commit"}
    if options & {"CURRENT_FILES", "ALL_FILES"}:
        data["files"] = files_of(repository, patch_set)
    return data


def _labels(gerrit: Gerrit, change: Change, options: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for label in gerrit.labels.values():
        votes = [one for one in change.votes if one.label == label.name and one.patch_set == change.current.number]
        best, worst = max(label.values), min(label.values)
        data: dict[str, Any] = {}
        for vote in votes:
            word = {best: "approved", worst: "rejected"}.get(
                vote.value, "recommended" if vote.value > 0 else "disliked"
            )
            data[word] = _account(vote.by, options)
            if word in ("recommended", "disliked"):
                data["value"] = vote.value
        if "DETAILED_LABELS" in options:
            data["all"] = [
                {"value": vote.value, "date": stamp(vote.date), **_account(vote.by, options),
                 **({"tag": vote.tag} if vote.tag else {})}
                for vote in votes
            ]  # fmt: skip
            data["values"] = {points(value): text for value, text in label.values.items()}
            data["default_value"] = 0
        found[label.name] = data
    return found


def _permitted(gerrit: Gerrit, change: Change) -> dict[str, list[str]]:
    """What the asker may vote; nobody votes on what is closed."""
    found = {}
    for label in gerrit.labels.values():
        values = [value for value in sorted(label.values) if (label.name, value) not in gerrit.faults.restricted]
        if change.status == "NEW" or (change.status == "MERGED" and label.after_submit):
            found[label.name] = [points(value) for value in values]
    return found


def _messages(change: Change, options: set[str]) -> list[dict[str, Any]]:
    found = []
    for message in change.messages:
        data: dict[str, Any] = {"id": message.id}
        if message.tag:
            data["tag"] = message.tag
        author = _account(message.by, options)
        data |= {"author": author, "real_author": author, "date": stamp(message.date), "message": message.text}
        data |= {"accounts_in_message": [], "_revision_number": message.patch_set}
        found.append(data)
    return found
