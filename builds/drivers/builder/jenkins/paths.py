"""Names to addresses and back. Everything that could lead our token elsewhere is refused here, before anything is sent.

A job is `folder/…/name`; its address is `job/folder/…/job/name`. Names that Jenkins tells are taken from the *path* of its
URLs alone: the host in them is what somebody once typed into Jenkins' settings.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S

PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*/*")
_SEGMENT = re.compile(r"\w(?:[\w. -]{0,98}[\w-])?")
_INPUT = re.compile(r"\w[\w.-]{0,199}")
_QUEUE_ITEM = re.compile(r"/queue/item/(\d{1,18})(?:/|$)")
_JOB = re.compile(r"/job/([^/]+)")
_NUMBER = re.compile(r"/(\d+)/?")


def is_segment(name: str) -> bool:
    """Whether this can be one name in a job's path: no separators, no `..`, nothing that is escaped or interpreted."""
    return _SEGMENT.fullmatch(name) is not None and ".." not in name


def job_url(path: str) -> str:
    """`job/a/job/b` for `a/b`, relative to Jenkins' address. Raises Invalid."""
    parts = path.split("/")
    if len(path) > 300 or not all(is_segment(part) for part in parts):
        raise Invalid(S("“%(name)s” cannot be the name of a job in Jenkins.", name=path[:100]), code="bad_job_name")
    return "/".join(f"job/{quote(part, safe='')}" for part in parts)


def build_url(path: str, number: int) -> str:
    """Where one build is. Raises Invalid."""
    return f"{job_url(path)}/{number:d}"


def input_url(path: str, number: int, question: str) -> str:
    """Where one question of a build is. Raises Invalid."""
    if not _INPUT.fullmatch(question) or ".." in question:
        raise Invalid(S("“%(name)s” cannot be the id of a question.", name=question[:100]), code="bad_question")
    return f"{build_url(path, number)}/input/{quote(question, safe='')}"


def artifact_parts(artifact: str) -> list[str]:
    """The names in an artifact's path. Raises Invalid for one that leads out of the build, or is no name at all."""
    parts = artifact.split("/")
    odd = any(part in {"", ".", ".."} or len(part.encode()) > 255 for part in parts)
    if odd or "\\" in artifact or not artifact.isprintable() or len(artifact) > 1000:
        raise Invalid(S("“%(name)s” cannot be the path of an artifact.", name=artifact[:100]), code="bad_path")
    return parts


def queue_id_of(location: str) -> int | None:
    """The queue item that a Location names. Only its number is used; nothing is fetched from there."""
    try:
        found = _QUEUE_ITEM.search(urlsplit(location).path)
    except ValueError:
        return None
    return int(found[1]) if found else None


@lru_cache(maxsize=8192)  # every census tells the same addresses
def job_of(url: str) -> tuple[str, int | None] | None:
    """(job, build number if it names one) of a URL that Jenkins tells; None when it names no job of a form we make."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    start = path.find("/job/")
    if start < 0:
        return None
    names, at = [], start
    while found := _JOB.match(path, at):
        names.append(unquote(found[1]))
        at = found.end()
    if not all(is_segment(name) for name in names):
        return None
    number = _NUMBER.fullmatch(path, at)
    return "/".join(names), int(number[1]) if number else None
