"""What Jenkins says of one build, and why it did not succeed, in a sentence."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from builds.drivers.builder.base import BuildState
from builds.drivers.builder.remote import Observation
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.sentence import S, Sentence

from . import stages
from .paths import build_url, job_url
from .reading import at, classes, items, key_of, mapping, number, text
from .transport import Transport

READ_OF_LOG = 1024 * 1024  # for a failure that no stage explains
_TREE = "number,building,result,timestamp,duration,url,actions[_class,parameters[name,value],causes[shortDescription],totalCount]"
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
    found = mapping(build)
    begun, building = at(found.get("timestamp")), found.get("building") is True
    state: BuildState = "running" if building else _STATES.get(text(found.get("result")), "failed")
    kinds = set(classes(found))
    return Observation(
        state=state,
        external_url=_address(transport, path, number_),
        sentence=None if building else _why(transport, path, number_, state, found),
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
