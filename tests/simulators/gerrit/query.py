"""The part of Gerrit's query language that we use: operators side by side mean «and», a minus means «not»."""

from __future__ import annotations

import re

from .accounts import Account
from .answers import Refused
from .changes import Change

_WORD = re.compile(r'(-?)(?:([A-Za-z]+):)?("[^"]*"|\{[^}]*\}|\S+)')
_OPEN, _CLOSED = ("NEW",), ("MERGED", "ABANDONED")


def matching(change: Change, text: str, asker: Account | None) -> bool:
    for found in _WORD.finditer(text):
        minus, operator, value = found.groups()
        if value in ("AND", "OR", "NOT", "(", ")") and not operator:
            raise Refused(400, f"Unsupported query: {text}")
        if _holds(change, (operator or "").lower(), value.strip('"{}'), asker) == bool(minus):
            return False
    return True


def _holds(change: Change, operator: str, value: str, asker: Account | None) -> bool:
    if operator in ("status", "is"):
        return _is(change, value.lower(), asker)
    if operator in ("project", "p", "repo"):
        return _same(value, change.project)
    if operator in ("branch", "ref"):
        return _same(value.removeprefix("refs/heads/"), change.branch)
    if operator == "change" or (not operator and (value.isdecimal() or re.fullmatch(r"I[0-9a-f]{4,40}", value))):
        project, _, last = value.rpartition("~")
        if project and project.partition("~")[0] != change.project:
            return False
        return last == str(change.number) or change.change_id.startswith(last if last.startswith("I") else "?")
    if operator == "commit" or (not operator and re.fullmatch(r"[0-9a-f]{4,40}", value)):
        return any(one.revision.startswith(value) for one in change.patch_sets)
    if operator in ("owner", "o"):
        return change.owner is asker if value == "self" else value in (change.owner.username, change.owner.email)
    if operator == "topic":
        return change.topic == value
    if operator in ("limit", "age", "after", "since"):
        raise Refused(400, f"the simulator knows no {operator}:")
    if operator:
        raise Refused(400, f"Unsupported operator {operator}:{value}")
    return value.lower() in change.current.message.lower()


def _is(change: Change, word: str, asker: Account | None) -> bool:
    if word in ("open", "pending", "new"):
        return change.status in _OPEN
    if word == "closed":
        return change.status in _CLOSED
    if word in ("merged", "abandoned"):
        return change.status == word.upper()
    if word == "owner":
        return change.owner is asker
    raise Refused(400, f"Unrecognized value: {word}")


def _same(wanted: str, name: str) -> bool:
    return re.fullmatch(wanted[1:].removesuffix("$"), name) is not None if wanted.startswith("^") else wanted == name
