"""Changes: what is pushed to refs/for/… becomes, is reviewed as, and is submitted as."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from .accounts import Account
from .repository import Repository

_CHANGE_ID = re.compile(r"^Change-Id: (I[0-9a-f]{40})\s*$", re.MULTILINE)
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@dataclass(frozen=True)
class Label:
    """`values` with what each means; the one named first is worst."""

    name: str
    values: dict[int, str] = field(default_factory=lambda: {-1: "Fails", 0: "No score", 1: "Verified"})
    after_submit: bool = False


CODE_REVIEW = Label(
    "Code-Review",
    {-2: "This shall not be submitted", -1: "I would prefer this is not submitted as is", 0: "No score",
     1: "Looks good to me, but someone else must approve", 2: "Looks good to me, approved"},
)  # fmt: skip


@dataclass
class Vote:
    label: str
    value: int
    by: Account
    date: float
    patch_set: int
    tag: str = ""


@dataclass
class Message:
    text: str
    by: Account
    date: float
    patch_set: int
    tag: str = ""
    id: str = field(default_factory=lambda: secrets.token_hex(20))


@dataclass
class PatchSet:
    number: int
    revision: str
    parents: list[str]
    uploader: Account
    created: float
    author: dict[str, str]
    message: str
    kind: str = "REWORK"
    insertions: int = 0
    deletions: int = 0


@dataclass
class Change:
    number: int
    project: str
    branch: str
    change_id: str
    owner: Account
    created: float
    updated: float
    topic: str = ""
    status: str = "NEW"
    patch_sets: list[PatchSet] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    votes: list[Vote] = field(default_factory=list)
    submitter: Account | None = None
    submitted: float = 0
    meta: str = ""

    @property
    def current(self) -> PatchSet:
        return self.patch_sets[-1]

    @property
    def subject(self) -> str:
        return self.current.message.partition("\n")[0]

    def ref(self, what: object) -> str:
        return f"refs/changes/{self.number % 100:02}/{self.number}/{what}"

    def patch_set(self, name: str) -> PatchSet | None:
        """By number, by the start of its commit, or the `current` one."""
        if name == "current":
            return self.current
        for found in reversed(self.patch_sets):
            if name == str(found.number) or (len(name) >= 4 and found.revision.startswith(name.lower())):
                return found
        return None

    def vote_of(self, account: Account, label: str) -> Vote | None:
        """On the current patch set."""
        for vote in self.votes:
            if (vote.by, vote.label, vote.patch_set) == (account, label, self.current.number):
                return vote
        return None


class Changes:
    """All changes of a server, numbered across its projects."""

    def __init__(self) -> None:
        self.all: list[Change] = []

    def numbered(self, number: int) -> Change | None:
        return self.all[number - 1] if 0 < number <= len(self.all) else None

    def open_one(self, project: str, branch: str, change_id: str) -> Change | None:
        """The change that a commit pushed for a branch belongs to, closed ones as well."""
        for change in self.all:
            if (change.project, change.branch, change.change_id) == (project, branch, change_id):
                return change
        return None

    def identified(self, text: str) -> list[Change]:
        """`12`, `project~12`, `project~branch~I…` or `I…`."""
        parts = text.split("~")
        if text.isdecimal() or (len(parts) == 2 and parts[1].isdecimal()):
            change = self.numbered(int(parts[-1]))
            return [change] if change and (len(parts) == 1 or change.project == parts[0]) else []
        wanted = parts[-1]
        return [
            change
            for change in self.all
            if change.change_id == wanted
            and (len(parts) == 1 or parts[:2] == [change.project, change.branch.removeprefix("refs/heads/")])
        ]

    def add(self, project: str, branch: str, change_id: str, owner: Account, now: float) -> Change:
        change = Change(len(self.all) + 1, project, branch, change_id, owner, now, now)
        self.all.append(change)
        return change


def change_id_of(message: str) -> str:
    found = _CHANGE_ID.findall(message)
    return found[-1] if found else ""


def patch_set_of(repository: Repository, number: int, revision: str, uploader: Account, now: float) -> PatchSet:
    """What the commit says of itself."""
    raw = repository.text("show", "-s", "--format=%P%x00%an%x00%ae%x00%B", revision)
    parents, name, email, message = raw.split("\0", 3)
    author = {"name": name, "email": email}
    if email == uploader.email:
        author = uploader.attribute()
    patch_set = PatchSet(number, revision, parents.split(), uploader, now, author, message.rstrip("\n") + "\n")
    for file in files_of(repository, patch_set).values():
        patch_set.insertions += file.get("lines_inserted", 0)
        patch_set.deletions += file.get("lines_deleted", 0)
    return patch_set


def files_of(repository: Repository, patch_set: PatchSet) -> dict[str, dict[str, Any]]:
    """FileInfo of each file against the first parent, without the commit message."""
    base = patch_set.parents[0] if patch_set.parents else _EMPTY_TREE
    out = repository.text("diff-tree", "-r", "-z", "-M", "--raw", "--numstat", base, patch_set.revision)
    fields = out.split("\0")
    found: dict[str, dict[str, Any]] = {}
    while fields:
        word = fields.pop(0)
        if word.startswith(":"):
            _raw_line(word, fields, found)
        elif word:
            _number_line(word, fields, found)
    return dict(sorted(found.items()))


def _raw_line(word: str, fields: list[str], found: dict[str, dict[str, Any]]) -> None:
    letter = word.split(" ")[-1][0]
    path = fields.pop(0)
    info: dict[str, Any] = {} if letter in "MT" else {"status": letter}
    if letter in "RC":
        info["old_path"], path = path, fields.pop(0)
    found[path] = info


def _number_line(word: str, fields: list[str], found: dict[str, dict[str, Any]]) -> None:
    inserted, deleted, path = word.split("\t", 2)
    if not path:
        _, path = fields.pop(0), fields.pop(0)
    info = found.setdefault(path, {})
    if inserted == "-":
        info["binary"] = True
        return
    info |= {
        key: int(count) for key, count in (("lines_inserted", inserted), ("lines_deleted", deleted)) if count != "0"
    }
    info["size_delta"] = int(inserted) - int(deleted)
