"""The simulator's own door, `POST /__sim__/…`: the hooks of git come by it, and whoever makes faults from elsewhere.

A body of JSON holds the arguments by name. `POST /__sim__/faults/status` with `{"status": 500, "times": 2}` does what
`gerrit.faults.status(500, times=2)` does; `/__sim__/stream/hold`, `/__sim__/push` and so on likewise.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .answers import Answer, Refused
from .changes import Change
from .projects import Project

if TYPE_CHECKING:
    from .server import Gerrit

_OWN = (
    "create_project", "rename", "delete_project", "push", "force_push", "set_ref", "delete_branch", "tag", "upload",
    "submit", "abandon",
)  # fmt: skip
_STREAM = ("hold", "release", "forget", "twice")


def answer(gerrit: Gerrit, path: str, body: bytes) -> Answer:
    words = path.partition("?")[0].strip("/").split("/")[1:]
    try:
        given = json.loads(body or b"{}")
        if words[0] == "hook":
            return _json(_hook(gerrit, words[1], given))
        return _json(_plain(_call(gerrit, words, given)))
    except (KeyError, TypeError, ValueError, AttributeError, Refused) as wrong:
        return _json({"error": f"{type(wrong).__name__}: {wrong}"}, 400)


def _call(gerrit: Gerrit, words: list[str], given: dict[str, Any]) -> Any:
    if words == ["events"]:
        return gerrit.stream.past
    if words == ["requests"]:
        return gerrit.requests.lines(given.get("pattern", ""))
    if words == ["listeners"]:
        return len(gerrit.stream.listeners)
    if words[0] == "faults" and not words[1].startswith("_"):
        return getattr(gerrit.faults, words[1])(**given)
    if words[0] == "stream" and words[1] in _STREAM:
        return getattr(gerrit.stream, words[1])(**given)
    if words[0] == "upload" and "change" in given:
        given["change"] = gerrit.changes.numbered(int(given["change"]))
    if words[0] in _OWN:
        return getattr(gerrit, words[0])(**given)
    raise KeyError("/".join(words))


def _hook(gerrit: Gerrit, kind: str, given: dict[str, Any]) -> Any:
    project, by = gerrit.project(given["project"]), gerrit.accounts.named(given["user"])
    assert by is not None
    commands = [(old, new, ref) for old, new, ref in given["commands"]]
    if kind == "proc-receive":
        results, said = gerrit.uploads.receive(project, by, commands)
        return {"results": results, "said": said}
    gerrit.uploads.received(project, by, commands)
    return {}


def _plain(value: Any) -> Any:
    if isinstance(value, Change):
        return {"number": value.number, "change_id": value.change_id, "revision": value.current.revision}
    if isinstance(value, Project):
        return {"name": value.name}
    return value if isinstance(value, str | int | list | dict) else None


def _json(data: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(data).encode(), {"Content-Type": "application/json"})
