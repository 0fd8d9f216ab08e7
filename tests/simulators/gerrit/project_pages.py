"""`/projects/…`: what there is, how it is made, who sees it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from . import events
from .answers import Answer, Refused, Request, entity, not_found, page_of
from .projects import ALL_PROJECTS, ALL_USERS, Project, is_unreasonable, tidy

if TYPE_CHECKING:
    from .server import Gerrit

_BAD_REF = re.compile(r"\.\.|[\x00-\x20~^:?*\[\\\x7f]|@\{|/\.|//|\.lock(/|$)|/$|\.$|^@$")


def found(gerrit: Gerrit, request: Request, name: str) -> Project:
    project = gerrit.projects.named(name, request.account.username if request.account else "")
    if project is None:
        raise not_found(tidy(name))
    return project


def is_ref_name(ref: str) -> bool:
    return "/" in ref and not _BAD_REF.search(ref)


def answer(gerrit: Gerrit, request: Request, rest: list[str]) -> Answer:
    if not rest or not rest[0]:
        return _list(gerrit, request)
    if len(rest) == 1 and request.method == "PUT":
        return _create(gerrit, request, rest[0])
    project = found(gerrit, request, rest[0])
    what = rest[1] if len(rest) > 1 else ""
    if not what:
        return entity(info(gerrit, project))
    if what == "HEAD":
        return _head(gerrit, request, project)
    if what == "description":
        return entity(project.description)
    if what == "parent":
        return entity(project.parent)
    if what == "check.access":
        return _check_access(gerrit, request, project)
    if what == "labels":
        return _labels(gerrit, request, project, rest[2] if len(rest) > 2 else "")
    if what == "access":
        return entity(_access(gerrit, request, project))
    raise not_found(what)


def info(gerrit: Gerrit, project: Project, *, whole: bool = True) -> dict[str, Any]:
    data: dict[str, Any] = {"id": quote(project.name, safe="")}
    if whole:
        data["name"] = project.name
        if project.name != ALL_PROJECTS:
            data["parent"] = project.parent
        if project.description:
            data["description"] = project.description
    data["state"] = project.state
    if whole:
        data["labels"] = {
            label.name: {
                "values": {points(value): text for value, text in label.values.items()},
                "default_value": 0,
            }
            for label in gerrit.labels.values()
        }
    return data


def points(value: int) -> str:
    return f"{value:+d}" if value else " 0"


def _labels(gerrit: Gerrit, request: Request, project: Project, name: str) -> Answer:
    """LabelDefinitionInfo; all labels are defined in All-Projects, and inherited everywhere."""
    own = project.name == ALL_PROJECTS
    infos = [
        {
            "name": label.name,
            "project_name": ALL_PROJECTS,
            "function": "NoBlock",
            "values": {points(value): text for value, text in label.values.items()},
            "default_value": 0,
            "allow_post_submit": label.after_submit,
        }
        for label in sorted(gerrit.labels.values(), key=lambda label: label.name)
    ]
    if not name:
        return entity(infos if own or "inherited" in request.query else [])
    if not own or name not in gerrit.labels:
        raise not_found(name)
    return entity(next(info for info in infos if info["name"] == name))


def _list(gerrit: Gerrit, request: Request) -> Answer:
    prefix, part = request.first("p", "prefix"), request.first("m", "match").lower()
    pattern = request.first("r")
    projects = [
        project
        for project in gerrit.projects.visible(request.account.username if request.account else "")
        if project.name.startswith(prefix)
        and part in project.name.lower()
        and (not pattern or re.fullmatch(pattern.removeprefix("^").removesuffix("$"), project.name))
    ]
    shown, more = page_of(projects, request)
    data = {project.name: info(gerrit, project, whole=False) for project in shown}
    for project in shown:
        if ("d" in request.query or "description" in request.query) and project.description:
            data[project.name]["description"] = project.description
        for branch in request.query.get("b", []):
            tip = project.repository.tip(f"refs/heads/{branch.removeprefix('refs/heads/')}")
            if tip:
                data[project.name].setdefault("branches", {})[branch] = tip
    if more and shown:
        data[shown[-1].name]["_more_projects"] = True
    return entity(data)


def _create(gerrit: Gerrit, request: Request, raw: str) -> Answer:
    who = request.who()
    name = tidy(raw)
    if gerrit.projects.named(name) is not None:
        if request.headers.get("if-none-match") == "*":
            raise Refused(412, "Resource already exists")
        raise Refused(409, f'Project "{name}" already exists')
    if not who.may("createProject"):
        raise Refused(403, "create project not permitted")
    given = request.json()
    if given.get("name") not in (None, raw, name):
        raise Refused(400, "name must match URL")
    parent = tidy(str(given.get("parent") or ALL_PROJECTS))
    if gerrit.projects.named(parent, who.username) is None:
        raise Refused(422, f"Project Not Found: {parent}")
    if parent == ALL_USERS:
        raise Refused(409, f"Cannot inherit from '{ALL_USERS}' project")
    branches = _branches(given.get("branches"))
    owners = [str(owner) for owner in given.get("owners") or []]
    for owner in owners:
        if owner not in gerrit.accounts.groups and owner not in gerrit.accounts.groups.values():
            raise Refused(422, f"Group Not Found: {owner}")
    if is_unreasonable(name):
        raise Refused(400, f"invalid project name: {name}")
    if given.get("permissions_only"):
        branches = ("refs/meta/config",)
    with gerrit.lock:  # of two who make the same, one is told that it is there
        for other in gerrit.projects.visible(""):
            if other.name.lower() == name.lower():
                raise Refused(
                    409,
                    f"Cannot create {name} because the name is already occupied by another project. The other project has "
                    "the same name, only spelled in a different case.",
                )
        project = gerrit.create_project(
            name, empty_commit=bool(given.get("create_empty_commit")), branches=branches, parent=parent,
            description=str(given.get("description") or ""), owners=tuple(owners), by=who,
        )  # fmt: skip
    return entity(info(gerrit, project), 201)


def _branches(given: object) -> tuple[str, ...]:
    names = [str(name) for name in given] if isinstance(given, list) else []
    full = []
    for name in names or ["master"]:
        ref = name.lstrip("/")
        ref = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
        if not is_ref_name(ref):
            raise Refused(400, f'Branch "{ref}" is not a valid name.')
        if ref not in full:
            full.append(ref)
    return tuple(full)


def _head(gerrit: Gerrit, request: Request, project: Project) -> Answer:
    repository = project.repository
    if request.method == "GET":
        return entity(repository.head())
    who = request.who()
    ref = str(request.json().get("ref") or "")
    if not ref:
        raise Refused(400, "ref required")
    full = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
    if repository.tip(full) is None:
        raise Refused(422, f"Ref Not Found: {full}")
    old = repository.head()
    if old != full:
        repository.point_head(full)
        gerrit.stream.publish(events.project_head_updated(project.name, old, full))
    assert who
    return entity(full)


def _check_access(gerrit: Gerrit, request: Request, project: Project) -> Answer:
    name, ref = request.first("account"), request.first("ref")
    if not request.who().may("viewAccess"):
        raise Refused(403, "view access not permitted")
    if not name:
        raise Refused(400, "input requires 'account'")
    account = gerrit.accounts.named(name)
    if account is None:
        raise Refused(422, f"Account '{name}' not found")
    who = f"{account.name} <{account.email}> ({account.number})"
    if account.username in project.hidden_from:
        return entity({"message": f"user {who} cannot see project {project.name}", "status": 403, "debug_logs": []})
    if not ref and not project.repository.refs("refs/heads/"):
        text = "access is OK, but repository has no branches under refs/heads/"
        return entity({"message": text, "status": 200, "debug_logs": []})
    return entity({"status": 200, "debug_logs": []})


def _access(gerrit: Gerrit, request: Request, project: Project) -> dict[str, Any]:
    identities = [gerrit.accounts.groups.get(owner, owner) for owner in project.owners]
    names = {identity: name for name, identity in gerrit.accounts.groups.items()}
    local = {}
    if identities:
        rules = {identity: {"action": "ALLOW", "force": False} for identity in identities}
        local["refs/*"] = {"permissions": {"owner": {"rules": rules}}}
    data: dict[str, Any] = {
        "revision": project.repository.tip("refs/meta/config") or "0" * 40,
        "local": local,
        "is_owner": True,
        "owner_of": ["refs/*"],
        "can_upload": True,
        "can_add": True,
        "can_add_tags": True,
        "config_visible": True,
        "groups": {identity: {"name": names.get(identity, identity)} for identity in identities},
    }
    parent = gerrit.projects.named(project.parent)
    if parent is not None and project.name != ALL_PROJECTS:
        data["inherits_from"] = info(gerrit, parent)
    return data
