"""What becomes of news: whose repository is meant, and what moved there.

News is a hint. A repository that is mirrored is asked itself: moves that were told and that it confirms are taken one by
one, so that each push builds, and whatever else moved is found by comparing tips. Nothing is ever moved to where the
repository is not, so that news which is forged, repeated or years old changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from fangduoduo_release.common.errors import AppError, NotFound
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S, Sentence
from projects import naming, pushes
from projects.drivers.source.base import HEADS, ZERO, ChangeMoved, Moved, News, PatchSet, PushEvent, RepositoryNews
from projects.models import BranchTip, Project
from projects.pushes import Heard
from projects.sources import source_of

from .dialects.base import Told

SHOWN = 20  # projects named in a result


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many moves were new, whose they may be, and the sentence for people."""

    found: int
    projects: tuple[str, ...]
    sentence: Sentence

    def as_json(self) -> dict[str, Any]:
        return {"found": self.found, "projects": list(self.projects[:SHOWN]), "sentence": self.sentence.as_json()}


def place(address: str) -> str:
    """What is the same in all addresses of a repository: host and path, without scheme, user, port and “.git”."""
    text = address.strip()
    scheme, found, rest = text.partition("://")
    if not found:
        host, colon, path = text.partition(":")
        if not colon or "/" in host:  # a bare name
            return _path(text)
        return f"{_host(host)}/{_path(path)}"
    host, _, path = (rest if scheme else text).partition("/")
    return f"{_host(host)}/{_path(path)}"


def _host(text: str) -> str:
    host = text.rpartition("@")[2]
    if host.startswith("["):
        return host.partition("]")[0].lstrip("[").casefold()
    return host.partition(":")[0].casefold().rstrip(".")


def _path(text: str) -> str:
    path = unquote(text).partition("?")[0].strip("/").casefold()
    return path.removesuffix(".git").strip("/")


def meant(connection: Connection, where: Iterable[str]) -> list[Project]:
    """The projects of the connection whose repository has one of these addresses, or this name on the server."""
    projects = Project.objects.filter(source_connection=connection, archived=False).exclude(repository="")
    if connection.kind == "gerrit":
        return list(projects.filter(repository__in=list(where)).order_by("pk"))
    wanted = {found for one in where if (found := place(one))}
    return [one for one in projects.order_by("pk") if _is_one_of(place(one.repository), wanted)]


def _is_one_of(found: str, wanted: set[str]) -> bool:
    return found in wanted or found.partition("/")[2] in wanted


def hear(connection: Connection, told: Sequence[Told], heard: Heard, *, replayed: bool = False) -> Outcome:
    """Take what was told for all projects it concerns. Raises what a source raises."""
    if not told:
        return Outcome(0, (), S("There is nothing to build in this event."))
    if connection.kind == "gerrit":
        return _hear_server(connection, told, heard, replayed)
    news: dict[frozenset[str], list[PushEvent]] = {}
    for one in told:
        events = news.setdefault(one.where, [])
        if isinstance(one.what, PushEvent):
            events.append(one.what)
    by_project: dict[int, tuple[Project, list[PushEvent]]] = {}
    for where, events in news.items():
        for project in meant(connection, where):
            by_project.setdefault(project.pk, (project, []))[1].extend(events)
    found = sum(_hear_project(project, events, heard) for project, events in by_project.values())
    return _outcome(found, [project for project, _ in by_project.values()])


def _outcome(found: int, projects: Sequence[Project]) -> Outcome:
    names = tuple(project.slug for project in projects)
    if not projects:
        sentence = S("No project here uses this repository with this connection.")
    elif found:
        sentence = S("New: %(count)s.", count=found)
    else:
        sentence = S("Nothing new: it was known already, or the repository does not show it.")
    return Outcome(found, names, sentence)


# -- repositories we keep a mirror of ---------------------------------------------------------------------------------
def _hear_project(project: Project, events: Sequence[PushEvent], heard: Heard) -> int:
    tips = dict(BranchTip.objects.filter(project=project).values_list("ref", "sha"))
    if events and all(tips.get(event.ref, ZERO) == event.new for event in events):
        return 0  # all known: a thousand repetitions ask nobody
    told = [event for event in events if event.ref.startswith(HEADS) and not event.deleted]
    told = [event for event in told if tips.get(event.ref) != event.new]
    found = 0
    if tips and told:
        source, repository = source_of(project)
        source.refresh(repository)
        for event in _in_order(told, tips):
            if event.old == tips.get(event.ref, ZERO) and _confirmed(source, repository, event):
                found += pushes.notice(project, event, heard) is not None
                tips[event.ref] = event.new
    gone = {event.ref for event in events if event.deleted}
    found += pushes.compare(project, heard, told_gone=gone)
    return found + _hear_late(project, told, heard)


def _hear_late(project: Project, told: Sequence[PushEvent], heard: Heard) -> int:
    """Moves that lie behind the tip by now and that nobody noticed one by one: each push builds."""
    found = 0
    for event in told:
        tip = BranchTip.objects.filter(project=project, ref=event.ref).values_list("sha", flat=True).first()
        if tip in {None, ZERO, event.old, event.new} or pushes.known(project, event, behind=True):
            continue
        source, repository = source_of(project)
        if _confirmed(source, repository, event):
            found += pushes.notice(project, event, heard) is not None
    return found


def _in_order(events: Sequence[PushEvent], tips: dict[str, str]) -> list[PushEvent]:
    """Each branch's moves one after the other, from the tip we know, however they were told."""
    at, waiting, ordered = dict(tips), list(events), []
    while (event := next((one for one in waiting if at.get(one.ref, ZERO) == one.old), None)) is not None:
        waiting.remove(event)
        ordered.append(event)
        at[event.ref] = event.new
    return ordered


def _confirmed(source: Any, repository: Any, event: PushEvent) -> bool:
    """Whether the branch holds this commit, as its tip or behind it."""
    try:
        return not source.log(repository, event.new, after=event.ref, limit=1)
    except NotFound:  # it was forced away before we looked, or never was there
        return False
    except AppError as error:
        if error.status == 422:  # what was told is no name of a commit
            return False
        raise


# -- servers whose projects go by name --------------------------------------------------------------------------------
def _hear_server(connection: Connection, told: Sequence[Told], heard: Heard, replayed: bool) -> Outcome:
    projects = meant(connection, {name for one in told for name in one.where})
    if replayed:  # time has passed: what was noticed since, or is not so any more, is left to the comparison
        found = sum(pushes.compare(project, heard) for project in projects)
        return _outcome(found, projects)
    gaps = {name for one in told if _is_gap(one) for name in one.where}
    found = sum(pushes.compare(project, heard) for project in projects if project.repository in gaps)  # push by push
    news = [news for one in told if not _is_gap(one) for news in _news(one)]
    found += pushes.take(connection, news, heard)
    naming.heed(connection, news)
    return _outcome(found, projects)


def _is_gap(one: Told) -> bool:
    return isinstance(one.what, PushEvent) and one.what.gap


def _news(one: Told) -> list[News]:
    if isinstance(one.what, RepositoryNews):
        return [one.what]
    if isinstance(one.what, PushEvent):
        return [Moved(name, one.what) for name in one.where]
    if isinstance(one.what, PatchSet):
        return [ChangeMoved(name, one.what) for name in one.where]
    return []
