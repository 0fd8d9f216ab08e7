"""The events of a Gerrit, field by field as its own classes write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .accounts import Account

if TYPE_CHECKING:
    from .changes import Change, PatchSet, Vote

Event = dict[str, Any]
Move = tuple[str, str, str]  # ref, old, new


def _update(project: str, move: Move) -> dict[str, str]:
    ref, old, new = move
    return {"oldRev": old, "newRev": new, "refName": ref, "project": project}


def ref_updated(project: str, move: Move, by: Account) -> Event:
    return {"submitter": by.attribute(), "refUpdate": _update(project, move), "type": "ref-updated"}


def batch_ref_updated(project: str, moves: list[Move], by: Account) -> Event:
    return {
        "submitter": by.attribute(),
        "refUpdates": [_update(project, move) for move in moves],
        "projectName": project,  # so its class has it, though the documentation says «project»
        "type": "batch-ref-updated",
    }


def project_created(project: str, head: str) -> Event:
    return {"projectName": project, "headName": head, "type": "project-created"}


def project_head_updated(project: str, old: str, new: str) -> Event:
    return {"projectName": project, "oldHead": old, "newHead": new, "type": "project-head-updated"}


def dropped_output() -> Event:
    """What a listener too slow for its events is told."""
    return {"type": "dropped-output"}


def patch_set_created(change: Change, url: str) -> Event:
    patch_set = change.current
    return {
        "uploader": patch_set.uploader.attribute(),
        **_of_change(change, patch_set, url),
        "type": "patchset-created",
    }


def change_merged(change: Change, by: Account, new: str, url: str) -> Event:
    return {
        "submitter": by.attribute(),
        "newRev": new,
        **_of_change(change, change.current, url),
        "type": "change-merged",
    }


def change_abandoned(change: Change, by: Account, url: str) -> Event:
    return {"abandoner": by.attribute(), **_of_change(change, change.current, url), "type": "change-abandoned"}


def comment_added(
    change: Change, patch_set: PatchSet, by: Account, votes: list[tuple[Vote, int]], text: str, url: str
) -> Event:
    """`votes` with what each was before."""
    approvals = []
    for vote, before in votes:
        approval = {"type": vote.label, "description": vote.label, "value": str(vote.value)}
        if before != vote.value:
            approval["oldValue"] = str(before)
        approvals.append(approval)
    return {
        "author": by.attribute(),
        "approvals": approvals,
        "comment": text,
        **_of_change(change, patch_set, url),
        "type": "comment-added",
    }


def _of_change(change: Change, patch_set: PatchSet, url: str) -> Event:
    return {
        "patchSet": {
            "number": patch_set.number,
            "revision": patch_set.revision,
            "parents": patch_set.parents,
            "ref": change.ref(patch_set.number),
            "uploader": patch_set.uploader.attribute(),
            "createdOn": int(patch_set.created),
            "author": patch_set.author,
            "kind": patch_set.kind,
            "sizeInsertions": patch_set.insertions,
            "sizeDeletions": -patch_set.deletions,
        },
        "change": {
            "project": change.project,
            "branch": change.branch,
            "id": change.change_id,
            "number": change.number,
            "subject": change.subject,
            "owner": change.owner.attribute(),
            "url": f"{url}c/{change.project}/+/{change.number}",
            "commitMessage": change.current.message,
            "createdOn": int(change.created),
            "status": change.status,
        },
        "project": change.project,
        "refName": f"refs/heads/{change.branch}",
        "changeKey": {"id": change.change_id},
    }
