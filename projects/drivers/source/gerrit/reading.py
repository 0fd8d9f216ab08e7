"""Reading a repository over REST: its state, branches, tags, commits and files."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fangduoduo_release.common.errors import Invalid, NotFound, Rejected
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.storable import storable

from ..base import HEADS, TAGS, Commit, FileContent, Person, Ref, RepositoryState
from ..git_names import check_path, check_ref, is_sha, is_short_sha
from . import failures
from .events import CHANGE_REF
from .names import encoded, project_url
from .rest import Rest

PAGE = 5_000
MOST_REFS = 50_000
_MAX_MESSAGE = 64 * 1024
_SLACK = 4096
_NOT_FILES = ("x-git/gitlink", "x-git/symlink")


def state(rest: Rest, name: str) -> RepositoryState:
    """Raises NotFound (`no_repository`)."""
    head = rest.find(f"{project_url(name)}/HEAD")
    if head is None:
        raise failures.no_repository(rest.config, name)
    branch = str(head) if isinstance(head, str) else ""
    some = rest.get(f"{project_url(name)}/branches/", (("n", "3"),))  # HEAD and the configuration come before branches
    empty = not any(text_in(item, "ref").startswith(HEADS) for item in some or () if isinstance(item, dict))
    return RepositoryState(branch.removeprefix(HEADS) if branch.startswith(HEADS) else "", empty)


def exists(rest: Rest, name: str) -> bool:
    return rest.find(project_url(name)) is not None


def tips(rest: Rest, name: str) -> dict[str, str]:
    """Full name -> what every branch and tag holds. Raises NotFound (`no_repository`), Rejected (`too_many_refs`)."""
    found: dict[str, str] = {}
    for what in ("branches", "tags"):
        for item in _listed(rest, name, what, MOST_REFS + 1):
            ref, sha = text_in(item, "ref"), text_in(item, "revision")
            if ref.startswith((HEADS, TAGS)) and is_sha(sha):
                found[ref] = sha
    if len(found) > MOST_REFS:
        raise Rejected(S("The repository has more branches and tags than can be followed."), code="too_many_refs")
    return found


def branches(rest: Rest, name: str, limit: int) -> tuple[Ref, ...]:
    """The default branch first, the others by name: Gerrit tells no times of them."""
    head, found = "", []
    for item in _listed(rest, name, "branches", limit + 2):
        ref, sha = text_in(item, "ref"), text_in(item, "revision")
        if ref == "HEAD":
            head = sha
        elif ref.startswith(HEADS) and is_sha(sha):
            found.append(Ref(ref, sha))
    found.sort(key=lambda one: one.short != head)
    return tuple(found[:limit])


def tags(rest: Rest, name: str, limit: int) -> tuple[Ref, ...]:
    """Newest first, where Gerrit tells when they were made."""
    found = []
    for item in _listed(rest, name, "tags", limit):
        ref, sha = text_in(item, "ref"), text_in(item, "object") or text_in(item, "revision")
        if ref.startswith(TAGS) and is_sha(sha):
            made = when(item.get("created"))
            found.append(Ref(ref, sha, made, text_in(item, "message").strip().partition("\n")[0][:500]))
    never = datetime.fromtimestamp(0, UTC)
    found.sort(key=lambda one: one.committed_at or never, reverse=True)
    return tuple(found[:limit])


def resolve(rest: Rest, name: str, ref: str) -> Commit | None:
    """What REST can say of `ref`: a branch wins over a tag. None for what only git can tell: a short sha, or the whole
    one of a tag's object. Raises NotFound (`unknown_ref`, `empty_repository`, `no_repository`), Invalid."""
    check_ref(ref)
    base = project_url(name)
    if is_sha(ref):
        return _commit_or_none(rest, f"{base}/commits/{ref}")
    change = CHANGE_REF.fullmatch(ref)
    if change:
        path = f"changes/{encoded(name)}~{change[1]}/revisions/{change[2]}/commit"
        found = _commit_or_none(rest, path)
    else:
        sha = _tip(rest, base, ref)
        found = _commit_or_none(rest, f"{base}/commits/{sha}") if sha else None
        if sha and found is None:
            return None
    if found is None and is_short_sha(ref):
        return None
    if found is None:
        raise unknown_ref(rest, name, ref)
    return found


def unknown_ref(rest: Rest, name: str, ref: str) -> NotFound:
    """Why there is nothing by this name; asks whether there is anything at all. Raises NotFound (`no_repository`)."""
    if state(rest, name).empty:
        return NotFound(S("The repository is empty: push a first commit."), code="empty_repository")
    return NotFound(S("There is no branch, tag or commit “%(ref)s”.", ref=ref), code="unknown_ref")


def read_file(rest: Rest, name: str, sha: str, path: str, ref: str, max_bytes: int) -> FileContent:
    """`ref` is how the commit was asked for. NotFound (`unknown_path`), Invalid (`file_too_large`, `not_a_file`)."""
    where = f"{project_url(name)}/commits/{sha}/files/{encoded(check_path(path))}/content"
    limit = max_bytes * 4 // 3 + _SLACK
    try:
        answer = rest.ask("GET", where, limit=limit)
    except NotFound as error:
        sentence = S("There is no file “%(path)s” at %(ref)s.", path=path, ref=ref)
        raise NotFound(sentence, code="unknown_path") from error
    except failures.TooLarge as error:
        raise _too_large(path, max_bytes) from error
    except Rejected as error:
        if error.code != "refused":
            raise
        raise _not_a_file(path) from error  # a folder's content is a bad request
    if answer.headers.get("x-fyi-content-type", "").partition(";")[0].strip() in _NOT_FILES:
        raise _not_a_file(path)
    if answer.headers.get("x-fyi-content-encoding", "").lower() != "base64":
        raise failures.not_gerrit(rest.config, answer.body)
    try:
        data = base64.b64decode(answer.body.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise failures.cut_off(rest.config, str(error)) from error
    if len(data) > max_bytes:
        raise _too_large(path, max_bytes)
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return FileContent(path, blob, data)


def _not_a_file(path: str) -> Invalid:
    return Invalid(S("“%(path)s” is not a plain file.", path=path), code="not_a_file")


def commit_of(sha: str, info: Mapping[str, Any]) -> Commit:
    """From Gerrit's CommitInfo."""
    parents = tuple(text_in(one, "commit") for one in info.get("parents") or () if isinstance(one, dict))
    author, committer = fields_in(info, "author"), fields_in(info, "committer")
    epoch = datetime.fromtimestamp(0, UTC)
    return Commit(
        sha=sha,
        parents=tuple(parent for parent in parents if is_sha(parent)),
        author=Person(text_in(author, "name"), text_in(author, "email")),
        authored_at=when(author.get("date")) or epoch,
        committed_at=when(committer.get("date")) or epoch,
        message=text_in(info, "message")[:_MAX_MESSAGE].rstrip("\n"),
    )


def when(text: object) -> datetime | None:
    """Gerrit's way of writing a time (UTC, nanoseconds): 2026-06-11 17:32:33.000000000."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.strptime(text.partition(".")[0].strip(), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _listed(rest: Rest, name: str, what: str, most: int) -> list[dict[str, Any]]:
    try:
        return list(rest.paged(f"{project_url(name)}/{what}/", size=min(PAGE, most), most=most))
    except NotFound as error:
        raise failures.no_repository(rest.config, name) from error


def _tip(rest: Rest, base: str, ref: str) -> str:
    """The commit a branch or tag leads to (an annotated tag's is followed); "" where there is none."""
    places = []
    if ref == "HEAD" or ref.startswith(HEADS) or not ref.startswith("refs/"):
        places.append(f"{base}/branches/{encoded(ref.removeprefix(HEADS))}")
    if ref != "HEAD" and (ref.startswith(TAGS) or not ref.startswith("refs/")):
        places.append(f"{base}/tags/{encoded(ref.removeprefix(TAGS))}")
    for place in places:
        info = rest.find(place)
        if isinstance(info, dict):
            sha = text_in(info, "object") or text_in(info, "revision")
            if ref == "HEAD" and not is_sha(sha) and sha:  # some versions answer with the branch's name
                return _tip(rest, base, f"{HEADS}{sha.removeprefix(HEADS)}")
            if is_sha(sha) and sha.strip("0"):
                return sha
    return ""


def _commit_or_none(rest: Rest, path: str) -> Commit | None:
    info = rest.find(path)
    if not isinstance(info, dict) or not is_sha(text_in(info, "commit")):
        return None
    return commit_of(text_in(info, "commit"), info)


def _too_large(path: str, max_bytes: int) -> Invalid:
    sentence = S("“%(path)s” is larger than the %(most)s bytes that are read here.", path=path, most=max_bytes)
    return Invalid(sentence, code="file_too_large")


def fields_in(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object under a name; an empty one for anything else."""
    value = values.get(name)
    return value if isinstance(value, dict) else {}


def text_in(values: Mapping[str, Any], name: str) -> str:
    """The text under a name; "" for anything else."""
    value = values.get(name)
    return str(storable(value)) if isinstance(value, str) else ""
