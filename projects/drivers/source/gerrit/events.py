"""What a line of Gerrit's event stream tells: pure, and the same for the stream, the trigger elsewhere and webhooks.

Gerrit leaves out empty fields, versions differ, and some senders write numbers as text: whatever is absent or of another
type is nothing, and what does not suffice to act on is no news. It must not know who listens, nor whether it is true.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from fangduoduo_release.common.storable import storable

from ..base import HEADS, TAGS, ZERO, ChangeMoved, Moved, News, PatchSet, Person, PushEvent, RepositoryNews
from ..git_names import is_sha

_MAX_NAME, _MAX_TEXT = 500, 64 * 1024
_LARGEST = 2**31 - 1
_LATEST = 1e11  # seconds; what is larger counts something else
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?", re.ASCII)
CHANGE_REF = re.compile(r"refs/changes/[0-9]{2}/([0-9]{1,10})/([0-9]{1,10})", re.ASCII)
Fields = Mapping[str, Any]


class Unreadable(ValueError):
    """This is no JSON object at all: half a line, or something that is no event stream."""


def parse(line: bytes | str) -> list[News]:
    """The news in a line; nothing for an empty line and for events that are of no interest. Raises Unreadable."""
    text = line.decode(errors="replace") if isinstance(line, bytes | bytearray) else line
    if not text.strip():
        return []
    try:
        event = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable("not a JSON object") from error
    if not isinstance(event, dict):
        raise Unreadable("not a JSON object")
    read = _READERS.get(_text(event, "type"))
    return read(event) if read else []


def _ref_updated(event: Fields) -> list[News]:
    return _moves(event, [event.get("refUpdate")])


def _batch_ref_updated(event: Fields) -> list[News]:
    updates = event.get("refUpdates")
    return _moves(event, updates if isinstance(updates, list) else [])


def _moves(event: Fields, updates: list[Any]) -> list[News]:
    actor, at = _account(event, "submitter"), _seconds(event, "eventCreatedOn")
    gap = event.get("missed") is True  # no word of Gerrit's: our own trigger found it by comparing
    found: list[News] = []
    for update in updates:
        if not isinstance(update, dict):
            continue
        repository = _name(update, "project") or _name(event, "project", "projectName")
        ref, old, new = _text(update, "refName"), _sha(update, "oldRev"), _sha(update, "newRev")
        if repository and ref.startswith((HEADS, TAGS)) and old and new and old != new:
            found.append(Moved(repository, PushEvent(ref, old, new, actor=actor, happened_at=at, gap=gap)))
    return found


def _change(status: str) -> Callable[[Fields], list[News]]:
    """A reader of events about changes; `status` is what such an event makes of one, "" when the change itself says."""

    def read(event: Fields) -> list[News]:
        change, text = _fields(event, "change"), _fields(event, "patchSet")
        repository = _name(change, "project") or _name(event, "project", "projectName")
        number, patch_set = _number(change, "number"), _number(text, "number")
        sha = _text(text, "revision").lower()
        if not (repository and number and patch_set and is_sha(sha) and sha.strip("0")):
            return []
        told = _text(change, "status").upper()
        ref = _text(text, "ref")
        one = PatchSet(
            number=number,
            patch_set=patch_set,
            sha=sha,
            ref=ref if CHANGE_REF.fullmatch(ref) else change_ref(number, patch_set),
            branch=(_text(change, "branch") or _text(event, "refName")).removeprefix(HEADS),
            change_id=_text(change, "id") or _text(_fields(event, "changeKey"), "id"),
            subject=_text(change, "subject"),
            message=_text(change, "commitMessage"),
            author=_person(text, "author"),
            actor=_account(event, "uploader") or _account(text, "uploader"),
            url=_text(change, "url"),
            kind=_text(text, "kind"),
            status=status or (told if told in {"MERGED", "ABANDONED"} else "NEW"),
            happened_at=_seconds(event, "eventCreatedOn"),
        )
        return [ChangeMoved(repository, one)]

    return read


def _repository_made(event: Fields) -> list[News]:
    name = _name(event, "projectName", "project")
    return [RepositoryNews(name)] if name else []


def _repository_renamed(event: Fields) -> list[News]:
    """Spellings differ between versions of the plugin; a plain name is the side that is not called old or new."""
    plain = _name(event, "projectName", "project")
    old = _name(event, "oldProjectName", "oldName") or plain
    new = _name(event, "newProjectName", "newName") or plain
    return [RepositoryNews(old, renamed_to=new)] if old and new and old != new else []


def _repository_deleted(event: Fields) -> list[News]:
    name = _name(event, "projectName", "project")
    return [RepositoryNews(name, gone=True)] if name else []


_READERS: dict[str, Callable[[Fields], list[News]]] = {
    "ref-updated": _ref_updated,
    "batch-ref-updated": _batch_ref_updated,
    "patchset-created": _change(""),
    "change-restored": _change("NEW"),
    "change-merged": _change("MERGED"),
    "change-abandoned": _change("ABANDONED"),
    "project-created": _repository_made,
    "project-renamed": _repository_renamed,
    "project-deleted": _repository_deleted,
}


def change_ref(number: int, patch_set: int) -> str:
    """Where Gerrit keeps a text of a change."""
    return f"refs/changes/{number % 100:02}/{number}/{patch_set}"


def _fields(values: Fields, name: str) -> Fields:
    value = values.get(name)
    return value if isinstance(value, dict) else {}


def _text(values: Fields, name: str) -> str:
    value = values.get(name)
    return str(storable(value[:_MAX_TEXT])) if isinstance(value, str) else ""


def _name(values: Fields, *names: str) -> str:
    """A repository's name under the first of the names that holds one. A name that had to be changed is another's."""
    for name in names:
        value = values.get(name)
        if isinstance(value, dict):  # some versions wrap a project's name
            value = value.get("name")
        if isinstance(value, str) and 0 < len(value) <= _MAX_NAME and storable(value) == value:
            return value
    return ""


def _sha(values: Fields, name: str) -> str:
    """A side of a move: ZERO where it is left out or all zeros, "" where it is nonsense."""
    value = values.get(name)
    if value is None:
        return ZERO
    sha = value.lower() if isinstance(value, str) else ""
    if not is_sha(sha):
        return ""
    return sha if sha.strip("0") else ZERO


def _number(values: Fields, name: str) -> int:
    """A positive number, also one written as text; else 0."""
    value = values.get(name)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if 0 < value <= _LARGEST else 0


def _seconds(values: Fields, name: str) -> float:
    value = values.get(name)
    if isinstance(value, str) and _SECONDS.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LATEST:
        return 0.0
    return float(value)


def _account(values: Fields, name: str) -> str:
    """The user name, else the address. Not the full name: that everybody chooses, also one that is somebody's user name."""
    account = _fields(values, name)
    return _text(account, "username") or _text(account, "email")


def _person(values: Fields, name: str) -> Person | None:
    account = _fields(values, name)
    named, email = _text(account, "name") or _text(account, "username"), _text(account, "email")
    return Person(named, email) if named or email else None
