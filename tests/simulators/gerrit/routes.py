"""Which address of the REST interface answers what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from . import change_pages, project_pages, ref_pages
from .answers import Answer, Refused, Request, entity, not_found

if TYPE_CHECKING:
    from .server import Gerrit


COMMIT_MSG = b"""#!/bin/sh
grep -q '^Change-Id: ' "$1" && exit 0
id=$({ git var GIT_COMMITTER_IDENT; git write-tree; cat "$1"; } | git hash-object --stdin)
git interpret-trailers --in-place --trailer "Change-Id: I$id" "$1"
"""  # does what Gerrit's own does


def answer(gerrit: Gerrit, request: Request) -> Answer:
    """The answer to a request that was let in, or `Refused`."""
    first, *rest = request.parts
    if request.parts == ["tools", "hooks", "commit-msg"]:
        return Answer(200, COMMIT_MSG, {"Content-Type": "text/plain;charset=utf-8"})
    if first == "config":
        return _config(gerrit, request, rest)
    if first not in ("accounts", "projects", "changes", "groups"):
        return Answer(404, b"Not Found", {"Content-Type": "text/plain;charset=utf-8"})
    if request.account is None and not gerrit.anonymous:
        raise (
            not_found(rest[0]) if rest and rest[0] and first != "accounts" else Refused(403, "Authentication required")
        )
    if first == "accounts":
        return _accounts(gerrit, request, rest)
    if first == "groups":
        return _groups(gerrit, request, rest)
    if first == "changes":
        return change_pages.answer(gerrit, request, rest)
    if len(rest) >= 2 and rest[1] in ("branches", "tags", "commits"):
        return ref_pages.answer(gerrit, request, project_pages.found(gerrit, request, rest[0]), rest[1:])
    return project_pages.answer(gerrit, request, rest)


def _config(gerrit: Gerrit, request: Request, rest: list[str]) -> Answer:
    if rest == ["server", "version"]:
        return entity(gerrit.version)
    if rest == ["server", "info"]:
        auth = {"auth_type": "LDAP", "git_basic_auth_policy": "HTTP", "editable_account_fields": []}
        return entity({"auth": auth, "gerrit": {"all_projects": "All-Projects", "all_users": "All-Users"}})
    raise not_found(rest[0] if rest and rest[0] != "server" else rest[-1] if rest else "")


def _accounts(gerrit: Gerrit, request: Request, rest: list[str]) -> Answer:
    name = rest[0] if rest else ""
    account = request.who() if name == "self" else gerrit.accounts.named(name)
    if account is None:
        raise not_found(name)
    if len(rest) == 1 or rest[1:] == ["detail"]:
        return entity(account.info())
    if rest[1:] == ["capabilities"]:
        held: dict[str, Any] = dict.fromkeys(sorted(account.capabilities), True)
        return entity({**held, "queryLimit": {"min": 0, "max": gerrit.query_limit}, "emailReviewers": True})
    if len(rest) == 3 and rest[1] == "capabilities":
        if account.may(rest[2]):
            return Answer(200, b"ok\n", {"Content-Type": "text/plain;charset=UTF-8"})
        raise not_found(rest[2])
    raise not_found(rest[1])


def _groups(gerrit: Gerrit, request: Request, rest: list[str]) -> Answer:
    request.who()
    groups = gerrit.accounts.groups
    infos = {name: _group(number, name, identity) for number, (name, identity) in enumerate(groups.items(), 1)}
    if not rest or not rest[0]:
        return entity({name: {key: info[key] for key in info if key != "name"} for name, info in sorted(infos.items())})
    for name, identity in groups.items():
        if rest[0] in (name, identity, str(infos[name]["group_id"])):
            return entity(infos[name])
    raise not_found(rest[0])


def _group(number: int, name: str, identity: str) -> dict[str, Any]:
    return {
        "id": quote(identity, safe=""),
        "url": f"#/admin/groups/uuid-{identity}",
        "options": {},
        "group_id": number,
        "owner": name,
        "owner_id": quote(identity, safe=""),
        "created_on": "2026-01-01 00:00:00.000000000",
        "name": name,
    }
