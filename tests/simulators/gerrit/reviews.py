"""What people and programs say of a change: messages and votes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import events
from .accounts import Account
from .answers import Refused
from .changes import Change, Message, PatchSet, Vote

if TYPE_CHECKING:
    from .server import Gerrit


class Reviews:
    """`gerrit.reviews`."""

    def __init__(self, gerrit: Gerrit) -> None:
        self._gerrit = gerrit

    def post(self, change: Change, patch_set: PatchSet, by: Account, given: dict[str, Any]) -> dict[str, Any]:
        """ReviewInput in, ReviewResult out."""
        labels = self._checked(given.get("labels") or {})
        text = str(given.get("message") or "").strip()
        tag = str(given.get("tag") or "")
        if tag != tag.strip():
            tag = tag.strip()
        with self._gerrit.lock:
            before = {
                vote.label: vote.value for vote in change.votes if vote.by is by and vote.patch_set == patch_set.number
            }
            self._check_closed(change, labels, before)
            now = self._gerrit.clock.now()
            votes = []
            for label, value in labels.items():
                change.votes = [
                    vote
                    for vote in change.votes
                    if (vote.by, vote.label, vote.patch_set) != (by, label, patch_set.number)
                ]
                vote = Vote(label, value, by, now, patch_set.number, tag)
                if value:
                    change.votes.append(vote)
                votes.append((vote, before.get(label, 0)))
            self._say(change, patch_set, by, votes, text, tag, now)
        return {"labels": labels} if labels else {}

    def _say(
        self,
        change: Change,
        patch_set: PatchSet,
        by: Account,
        votes: list[tuple[Vote, int]],
        text: str,
        tag: str,
        now: float,
    ) -> None:
        changed = [vote for vote, before in votes if vote.value != before]
        if not text and not changed:
            return  # Gerrit, too, keeps nothing of a review that says nothing new
        said = f"Patch Set {patch_set.number}:"
        said += "".join(f" {vote.label}{vote.value:+d}" if vote.value else f" -{vote.label}" for vote in changed)
        whole = f"{said}\n\n{text}" if text else said
        change.messages.append(Message(whole, by, now, patch_set.number, tag))
        change.updated = now
        gerrit = self._gerrit
        gerrit.uploads.note(gerrit.project(change.project), change, f"Update patch set {patch_set.number}", by)
        gerrit.stream.publish(events.comment_added(change, patch_set, by, votes, whole, gerrit.url))

    def _checked(self, labels: dict[str, Any]) -> dict[str, int]:
        found = {}
        for name, value in labels.items():
            label = next((label for label in self._gerrit.labels.values() if label.name.lower() == name.lower()), None)
            if label is None:
                raise Refused(400, f'label "{name}" is not a configured label')
            try:
                number = int(value)
            except (TypeError, ValueError):
                raise Refused(400, "Invalid json in request") from None
            if number and number not in label.values:
                raise Refused(400, f'label "{name}": {number} is not a valid value')
            if (label.name, number) in self._gerrit.faults.restricted:
                raise Refused(403, f'Applying label "{label.name}": {number} is restricted')
            found[label.name] = number
        return found

    def _check_closed(self, change: Change, labels: dict[str, int], before: dict[str, int]) -> None:
        if not labels or change.status == "NEW":
            return
        if change.status == "ABANDONED":
            raise Refused(409, "change is closed")
        changed = {name: value for name, value in labels.items() if value != before.get(name, 0)}
        late = sorted(name for name in changed if not self._gerrit.labels[name].after_submit)
        if late:
            raise Refused(409, f"Voting on labels disallowed after submit: {', '.join(late)}")
        reduced = sorted(name for name, value in changed.items() if value < before.get(name, 0))
        if reduced:
            raise Refused(409, f"Cannot reduce vote on labels for closed change: {', '.join(reduced)}")
