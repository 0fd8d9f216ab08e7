"""`/projects/NAME/branches/…`, `tags/…` and `commits/…`: refs, their reflogs, commits and the files in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .answers import Answer, Refused, Request, content, entity, not_found, page_of, stamp
from .project_pages import is_ref_name
from .projects import Project
from .repository import ZERO, Repository

if TYPE_CHECKING:
    from .server import Gerrit

_COMMIT = re.compile(r"[0-9a-f]{40}")
_LINE = re.compile(r"([0-9a-f]{40}) ([0-9a-f]{40}) (.*) <(.*)> (\d+) ([+-]\d{4})(?:\t(.*))?")
_FORMAT = "%H%x00%P%x00%an%x00%ae%x00%at%x00%ai%x00%cn%x00%ce%x00%ct%x00%ci%x00%B"


def answer(gerrit: Gerrit, request: Request, project: Project, rest: list[str]) -> Answer:
    kind, name, more = rest[0], rest[1] if len(rest) > 1 else "", rest[2:]
    if kind == "tags":
        return _tags(request, project) if not name else entity(_one_tag(project, name))
    if kind == "commits":
        return _commit(project, name, more)
    if not name:
        return _branches(gerrit, request, project)
    return _branch(gerrit, request, project, name, more)


# -- branches -----------------------------------------------------------------------------------------------------------


def _matching(request: Request, names: list[str], prefix: str) -> list[str]:
    part, pattern = request.first("m", "match").lower(), request.first("r", "regex")
    if part and pattern:
        raise Refused(400, "specify exactly one of m/r")
    kept = [name for name in names if part in name.removeprefix(prefix).lower()]
    if pattern:
        whole = pattern.removeprefix("^").removesuffix("$")
        kept = [name for name in kept if re.fullmatch(whole, name.removeprefix(prefix))]
    return kept


def _branches(gerrit: Gerrit, request: Request, project: Project) -> Answer:
    """HEAD first, then the configuration, then by name."""
    repository, faults = project.repository, gerrit.faults
    tips = repository.refs("refs/heads/", "refs/meta/config")
    names = [*sorted(ref for ref in tips if ref != "refs/meta/config")]
    special = ["HEAD", *(["refs/meta/config"] if "refs/meta/config" in tips else [])]
    names = names + special if faults.paging_overlaps else special + names
    shown, _ = page_of(_matching(request, names, "refs/heads/"), request, overlap=int(faults.paging_overlaps))
    if faults.paging_overlaps:
        shown.sort(key=lambda ref: (ref != "HEAD", ref != "refs/meta/config", ref))
    head = repository.head()
    return entity([_branch_info(name, head, tips) for name in shown])


def _branch_info(name: str, head: str, tips: dict[str, str]) -> dict[str, Any]:
    if name == "HEAD":
        return {"ref": "HEAD", "revision": head.removeprefix("refs/heads/")}
    info: dict[str, Any] = {"ref": name, "revision": tips[name]}
    if name not in (head, "refs/meta/config"):
        info["can_delete"] = True
    return info


def _full(name: str) -> str:
    return name if name.startswith("refs/") or name == "HEAD" else f"refs/heads/{name}"


def _branch(gerrit: Gerrit, request: Request, project: Project, name: str, more: list[str]) -> Answer:
    repository, ref = project.repository, _full(name)
    tips = repository.refs(ref) if ref != "HEAD" else {"HEAD": repository.resolve("HEAD") or ZERO}
    known = ref in tips
    if not more and request.method == "PUT":
        return _create_branch(gerrit, request, project, name, known)
    if not known:
        raise not_found(name)
    if not more and request.method == "DELETE":
        if ref in (repository.head(), "refs/meta/config", "HEAD"):
            raise Refused(405, f"not allowed to delete branch {ref}")
        gerrit.move(project, {ref: ZERO}, request.who(), "")
        return Answer(204)
    if not more:
        return entity(_branch_info(ref, repository.head(), tips))
    if more == ["reflog"]:
        return _reflog(gerrit, request, repository, name, ref)
    if more[0] == "files" and len(more) == 3 and more[2] == "content":
        return _file(repository, tips[ref], more[1])
    raise not_found(more[-1])


def _create_branch(gerrit: Gerrit, request: Request, project: Project, name: str, known: bool) -> Answer:
    who, given, repository = request.who(), request.json(), project.repository
    ref = _full(name.lstrip("/"))
    if known and request.headers.get("if-none-match") == "*":
        raise Refused(412, "Resource already exists")
    if known:
        raise Refused(409, f'Branch "{ref}" already exists')
    if given.get("ref") not in (None, name, ref):
        raise Refused(400, "ref must match URL")
    if not is_ref_name(ref):
        raise Refused(400, f'invalid branch name "{ref}"')
    if ref.startswith("refs/for/"):
        raise Refused(400, 'not allowed to create branches under "refs/for/"')
    if ref.startswith(("refs/changes/", "refs/tags/", "refs/meta/", "refs/users/", "refs/groups/")):
        raise Refused(
            400,
            f'Cannot create a branch with name "{ref}". Not allowed to create branches under Gerrit internal or tags refs.',
        )
    revision = str(given.get("revision") or "").strip()
    if given.get("create_empty_commit"):
        if revision:
            raise Refused(400, "create_empty_commit and revision/source_ref are mutually exclusive")
        at: str | None = repository.commit({}, "Initial empty branch\n", (), who)
    else:
        at = repository.resolve(revision or "HEAD")
    if at is None:
        raise Refused(422, f'base revision "{revision or "HEAD"}" not found')
    heads = repository.refs("refs/heads/")
    clash = [other for other in heads if other.startswith(f"{ref}/") or ref.startswith(f"{other}/")]
    if clash:
        raise Refused(409, f'Cannot create branch "{ref}" since it conflicts with branch "{", ".join(clash)}".')
    gerrit.move(project, {ref: at}, who, f"created via REST from {revision or 'HEAD'}")
    return entity({"ref": ref, "revision": at, "can_delete": True}, 201)


def _reflog(gerrit: Gerrit, request: Request, repository: Repository, name: str, ref: str) -> Answer:
    if gerrit.faults.reflog:
        words = {403: "read reflog not permitted", 405: f"reflog not supported on repo {repository.path.name}"}
        raise Refused(gerrit.faults.reflog, words.get(gerrit.faults.reflog, f"Not found: {name}"))
    lines = repository.reflog(repository.head() if ref == "HEAD" else ref)
    entries = []
    for line in lines[: request.number("n", "limit") or None]:
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        old, new, who, email, at, zone, comment = found.groups()
        person = _person(who, email, int(at), zone)
        entries.append({"old_id": old, "new_id": new, "who": person, "comment": comment or ""})
    return entity(entries)


def _person(name: str, email: str, at: int, zone: str) -> dict[str, Any]:
    minutes = int(zone[1:3]) * 60 + int(zone[3:5])
    return {"name": name, "email": email, "date": stamp(at), "tz": -minutes if zone[0] == "-" else minutes}


# -- tags ---------------------------------------------------------------------------------------------------------------


def _tags(request: Request, project: Project) -> Answer:
    names = _matching(request, sorted(project.repository.refs("refs/tags/")), "refs/tags/")
    shown, _ = page_of(names, request)
    return entity([_tag_info(project.repository, name) for name in shown])


def _one_tag(project: Project, name: str) -> dict[str, Any]:
    full = name if name.startswith("refs/tags/") else f"refs/tags/{name}"
    if project.repository.tip(full) is None:
        raise not_found(name)
    return _tag_info(project.repository, full)


def _tag_info(repository: Repository, ref: str) -> dict[str, Any]:
    words = "%(objecttype)%00%(objectname)%00%(object)%00%(contents)%00%(taggername)%00%(taggeremail:trim)%00"
    words += "%(taggerdate:raw)%00%(committerdate:unix)"
    out = repository.text("for-each-ref", f"--format={words}", ref)
    kind, name, target, text, tagger, email, tagged, committed = out.split("\0")
    if kind != "tag":
        return {"ref": ref, "revision": name, "can_delete": True, "created": stamp(int(committed or 0))}
    at, zone = tagged.split() if tagged else ("0", "+0000")
    return {
        "object": target,
        "message": text.strip(),
        "tagger": _person(tagger, email, int(at), zone),
        "ref": ref,
        "revision": name,
        "can_delete": True,
        "created": stamp(int(at)),
    }


# -- commits ------------------------------------------------------------------------------------------------------------


def _commit(project: Project, name: str, more: list[str]) -> Answer:
    """By its whole name, and only when some visible ref leads to it."""
    repository = project.repository
    if not _COMMIT.fullmatch(name) or repository.resolve(name) != name or not _is_visible(repository, name):
        raise not_found(name)
    if not more:
        return entity(commit_info(repository, name))
    if more[0] == "files" and len(more) == 3 and more[2] == "content":
        return _file(repository, name, more[1])
    if more == ["in"]:
        heads = repository.text("for-each-ref", "--contains", name, "--format=%(refname:lstrip=2)", "refs/heads/")
        tags = repository.text("for-each-ref", "--contains", name, "--format=%(refname:lstrip=2)", "refs/tags/")
        return entity({"branches": heads.splitlines(), "tags": tags.splitlines()})
    raise not_found(more[0])


def _is_visible(repository: Repository, commit: str) -> bool:
    return bool(repository.text("for-each-ref", "--count=1", "--contains", commit, "refs/heads/", "refs/tags/",
                                "refs/changes/", "refs/meta/config"))  # fmt: skip


def commit_info(repository: Repository, name: str) -> dict[str, Any]:
    fields = repository.text("show", "-s", f"--format={_FORMAT}", name).split("\0", 10)
    parents = [
        {"commit": parent, "subject": repository.text("show", "-s", "--format=%s", parent)}
        for parent in fields[1].split()
    ]
    message = fields[10].rstrip("\n") + "\n"
    return {
        "commit": name,
        "parents": parents,
        "author": _person(fields[2], fields[3], int(fields[4]), fields[5][-5:]),
        "committer": _person(fields[6], fields[7], int(fields[8]), fields[9][-5:]),
        "subject": message.partition("\n")[0],
        "message": message,
    }


def _file(repository: Repository, commit: str, path: str) -> Answer:
    found = repository.blob(commit, path)
    if found is None:
        raise not_found(path)
    mode, raw = found
    if mode == "040000":
        raise Refused(400, "cannot retrieve content of directories")
    kinds = {"160000": "x-git/gitlink", "120000": "x-git/symlink"}
    return content(raw, kinds.get(mode) or ("application/octet-stream" if b"\0" in raw else "text/plain"))
