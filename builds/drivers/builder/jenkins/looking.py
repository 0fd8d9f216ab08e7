"""What Jenkins says of one build, and why it did not succeed, in a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from datetime import timedelta
from typing import Any

from builds.drivers.builder.base import BuildState
from builds.drivers.builder.remote import Observation
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.sentence import S, Sentence

from . import stages
from .paths import build_url, job_url
from .reading import at, classes, items, key_of, mapping, number, text
from .transport import TooLarge, Transport

READ_OF_LOG = 1024 * 1024  # for a failure that no stage explains
FEW = 5  # jobs that are asked one by one; of more the folder tells the newest builds
QUESTIONS = 7  # requests that looking at many builds may cost
NEWEST, RECENT, DEEPEST = 10, 50, 1000  # builds of a job that one answer lists: of all jobs, of one, of one at most
LARGEST_FOLDER = 6 * 1024 * 1024  # of such an answer; beyond it jobs are asked one by one
_FACTS = "number,building,result,timestamp,duration,url"
_TREE = f"{_FACTS},actions[_class,parameters[name,value],causes[shortDescription],totalCount]"
_TREE_OF_MANY = f"{_FACTS},actions[_class,causes[shortDescription],totalCount]"
_STATES: dict[str, BuildState] = {
    "SUCCESS": "succeeded",
    "UNSTABLE": "unstable",
    "FAILURE": "failed",
    "ABORTED": "cancelled",
    "NOT_BUILT": "cancelled",
}
_TESTS = {"TestResultAction", "AggregatedTestResultAction"}
_FORBIDDEN = re.compile(r"Scripts not permitted to use ([^\r\n]{1,300})")
_COMPILE = re.compile(r"^WorkflowScript: (\d+): (.{1,500}?) @ line \d+, column \d+\.", re.S | re.M)
_ERROR = re.compile(r"^(?:\[[^\]\s]{10,40}\] )?ERROR: (.+)$", re.M)


def observe(transport: Transport, path: str, number_: int) -> Observation:
    """`asks`: it has, or had, a question (who wants to know reads the questions)."""
    build = transport.get(f"{build_url(path, number_)}/api/json", {"tree": _TREE})
    if build is None:
        return Observation(None, sentence=_gone(transport, path, number_))
    return _observed(transport, path, number_, mapping(build), why=True)


def observe_many(transport: Transport, builds: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Observation]:
    """Many builds by at most QUESTIONS requests, or a few more for those that are gone. Why one failed is not asked for:
    that costs a request each, and `observe` tells it. Whom there was no question left for is not in the answer."""
    seen: dict[tuple[str, int], dict[str, Any]] = {}
    wanted: dict[str, set[int]] = {}
    for path, found in builds:
        wanted.setdefault(path, set()).add(found)
    left = QUESTIONS
    if len(wanted) > FEW:
        seen |= _newest(transport)
        left -= 1
    gone: dict[tuple[str, int], Observation] = {}
    missing = {path: {n for n in numbers if (path, n) not in seen} for path, numbers in wanted.items()}
    for path in sorted(missing, key=lambda path: -len(missing[path])):
        numbers = missing[path]
        if len(numbers) > 1 and left > 1:
            found_now, cost = _of_job(transport, path, numbers)
            seen |= found_now
            left -= cost
        for number_ in sorted(numbers - {n for p, n in seen if p == path})[: max(left, 0)]:
            left -= 1
            answer = transport.get(f"{build_url(path, number_)}/api/json", {"tree": _TREE_OF_MANY})
            if answer is None:
                gone[path, number_] = Observation(None, sentence=_gone(transport, path, number_))
            else:
                seen[path, number_] = mapping(answer)
    known = [place for place in dict.fromkeys(builds) if place in seen]
    return gone | {place: _observed(transport, *place, seen[place], why=False) for place in known}


def _newest(transport: Transport) -> dict[tuple[str, int], dict[str, Any]]:
    """The newest builds of every job in our folder; none when that is more than one answer may be."""
    folder = transport.config.folder
    tree = f"jobs[name,builds[{_TREE_OF_MANY}]{{0,{NEWEST}}}]"
    try:
        answer = mapping(transport.get(f"{job_url(folder)}/api/json", {"tree": tree}, limit=LARGEST_FOLDER))
    except TooLarge:
        return {}
    seen: dict[tuple[str, int], dict[str, Any]] = {}
    for job in items(answer.get("jobs")):
        seen |= _listed(f"{folder}/{text(job.get('name'))}", job.get("builds"))
    return seen


def _of_job(transport: Transport, path: str, numbers: Set[int]) -> tuple[dict[tuple[str, int], dict[str, Any]], int]:
    """Its newest builds, back to the oldest one wanted, and how many requests that took. (`builds` ends after 100.)"""
    seen = _slice(transport, path, 0, RECENT)
    newest = max((n for _, n in seen), default=0)
    deep = min(newest - min(numbers) + 1, DEEPEST)
    if deep <= RECENT or numbers <= {n for _, n in seen}:
        return seen, 1
    return seen | _slice(transport, path, RECENT, deep), 2


def _slice(transport: Transport, path: str, first: int, end: int) -> dict[tuple[str, int], dict[str, Any]]:
    tree = f"allBuilds[{_TREE_OF_MANY}]{{{first},{end}}}"
    return _listed(path, mapping(transport.get(f"{job_url(path)}/api/json", {"tree": tree})).get("allBuilds"))


def _listed(path: str, builds: Any) -> dict[tuple[str, int], dict[str, Any]]:
    return {(path, number(build.get("number")) or 0): build for build in items(builds)}


def _observed(transport: Transport, path: str, number_: int, found: dict[str, Any], *, why: bool) -> Observation:
    begun, building = at(found.get("timestamp")), found.get("building") is True
    state: BuildState = "running" if building else _STATES.get(text(found.get("result")), "failed")
    kinds = set(classes(found))
    return Observation(
        state=state,
        external_url=_address(transport, path, number_),
        sentence=None if building or (state == "failed" and not why) else _why(transport, path, number_, state, found),
        started_at=begun,
        finished_at=begun + timedelta(milliseconds=number(found.get("duration")) or 0)
        if begun and not building
        else None,
        key=key_of(found),
        asks=building and "InputAction" in kinds,
        has_tests=bool(kinds & _TESTS),
    )


def _address(transport: Transport, path: str, number_: int) -> str:
    """Where a person finds it: below the address that the connection names, whatever Jenkins thinks of itself."""
    return f"{transport.config.base}{build_url(path, number_)}/"


def _gone(transport: Transport, path: str, number_: int) -> Sentence:
    if transport.get(f"{job_url(path)}/api/json", {"tree": "name"}) is None:
        return S(
            "The job “%(job)s” was deleted in Jenkins (or may not be seen any more), and its builds with it.", job=path
        )
    return S("Build %(number)s of “%(job)s” was deleted in Jenkins.", number=number_, job=path)


def _why(transport: Transport, path: str, number_: int, state: BuildState, build: dict[str, Any]) -> Sentence | None:
    """Why it ended so. That it ended counts more than why: when the reason cannot be read now, there is none."""
    if state == "succeeded":
        return None
    if state == "unstable":
        return S("Jenkins calls the build unstable: tests failed, or a step said so.")
    if state == "cancelled":
        return _stopped(build)
    try:
        return _failed(transport, path, number_, build)
    except AppError:
        return S("The build failed in Jenkins; why could not be read.")


def _stopped(build: dict[str, Any]) -> Sentence:
    if build.get("result") == "NOT_BUILT":
        return S(
            "Jenkins ended the build without building (NOT_BUILT): a step said so, or a newer build took its place."
        )
    causes = [
        text(cause.get("shortDescription"))
        for action in items(build.get("actions"))
        if text(action.get("_class")).endswith("InterruptedBuildAction")
        for cause in items(action.get("causes"))
    ]
    told = "; ".join(dict.fromkeys(cause for cause in causes if cause))[:300]
    if told:
        return S("The build was stopped in Jenkins: %(cause)s.", cause=told.rstrip("."))
    return S("The build was stopped in Jenkins.")


def _failed(transport: Transport, path: str, number_: int, build: dict[str, Any]) -> Sentence:
    if text(build.get("result")) not in _STATES:
        return S("Jenkins ended the build without a result; it was probably interrupted. Run it again.")
    raw = [stage for stage in stages.describe(transport, path, number_) if stage.get("status") == "FAILED"]
    for stage in raw:
        kind, message = stages.error_of(stage)
        if forbidden := _forbidden(message):
            return forbidden
        if message:
            return S(
                "The stage “%(stage)s” failed: %(message)s", stage=text(stage.get("name"))[:100], message=message[:400]
            )
        if kind:
            return S("The stage “%(stage)s” failed.", stage=text(stage.get("name"))[:100])
    return _from_log(_log(transport, path, number_))


def _forbidden(said: str) -> Sentence | None:
    if found := _FORBIDDEN.search(said):
        what = found[1].partition(". Administrators")[0].strip().rstrip(".")
        return S(
            "Jenkins' sandbox does not permit the script to use “%(what)s”; an administrator can approve it there under "
            "In-process Script Approval.",
            what=what,
        )
    return None


def _from_log(log: str) -> Sentence:
    if forbidden := _forbidden(log):
        return forbidden
    if "MultipleCompilationErrorsException" in log and (found := _COMPILE.search(log)):
        return S(
            "Jenkins cannot read the pipeline, line %(line)s: %(message)s", line=int(found[1]), message=found[2][:400]
        )
    if errors := _ERROR.findall(log):
        return S("The build failed in Jenkins: %(message)s", message=errors[-1].strip()[:400])
    return S("The build failed in Jenkins; its log says why.")


def _log(transport: Transport, path: str, number_: int) -> str:
    taken = bytearray()
    with transport.stream(f"{build_url(path, number_)}/logText/progressiveText", {"start": "0"}) as stream:
        if stream.status == 200:
            for piece in stream.pieces():
                taken += piece
                if len(taken) > READ_OF_LOG:
                    break
    return taken.decode("utf-8", "replace")
