"""What a build left: test results and artifacts."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from builds.drivers.builder.base import ArtifactFile, TestCase, TestReport
from builds.drivers.builder.remote import RemoteArtifact
from fangduoduo_release.common.errors import Rejected
from fangduoduo_release.common.sentence import S

from . import failures
from .paths import artifact_parts, build_url
from .reading import items, mapping, number, text
from .transport import TooLarge, Transport

MOST_CASES, MOST_SUITES = 20_000, 5_000
LARGEST_REPORT = 32 * 1024 * 1024
LONGEST_TEXT = 16 * 1024
_COUNTS = "failCount,passCount,skipCount,duration"
_DETAILS = (",errorDetails,errorStackTrace,skippedMessage", "")
_STATES: dict[str, Literal["passed", "failed", "skipped"]] = {
    "PASSED": "passed",
    "FIXED": "passed",
    "FAILED": "failed",
    "REGRESSION": "failed",
    "SKIPPED": "skipped",
}


def tests(transport: Transport, path: str, number_: int) -> TestReport | None:
    """All cases with their traces; of a huge report the cases alone, of a monstrous one only how many."""
    url = f"{build_url(path, number_)}/testReport/api/json"
    for details in _DETAILS:
        cases = f"cases[className,name,status,duration{details}]{{0,{MOST_CASES}}}"
        tree = f"{_COUNTS},suites[name,{cases}]{{0,{MOST_SUITES}}}"
        try:
            found = transport.get(url, {"tree": tree}, limit=LARGEST_REPORT)
        except TooLarge:
            continue
        return None if found is None else _report(mapping(found))
    return _report(mapping(transport.get(url, {"tree": _COUNTS})))


def artifacts(transport: Transport, path: str, number_: int) -> list[RemoteArtifact]:
    found = transport.get(f"{build_url(path, number_)}/api/json", {"tree": "artifacts[relativePath]"})
    if found is None:
        raise failures.build_gone(transport.config, path, number_)
    names = (text(one.get("relativePath")) for one in items(mapping(found).get("artifacts")))
    return [RemoteArtifact(name) for name in names if name]


def download(transport: Transport, path: str, number_: int, artifact: str, into: Path, *, limit: int) -> ArtifactFile:
    """Written beside its name first, so that what has the name is whole."""
    parts = artifact_parts(artifact)
    url = f"{build_url(path, number_)}/artifact/" + "/".join(quote(part, safe="") for part in parts)
    target = into.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(into.resolve()):
        raise Rejected(S("“%(name)s” cannot be the path of an artifact.", name=artifact[:100]), code="bad_path")
    part = target.with_name(f".{hashlib.sha256(artifact.encode()).hexdigest()[:16]}.part")
    try:
        with transport.stream(url, plain=True) as stream:
            if stream.status == 404:
                sentence = S("The artifact “%(name)s” is not in Jenkins any more.", name=artifact[:200])
                raise Rejected(sentence, code="artifact_gone")
            transport.judge(stream.answer, accept=())
            size, digest = _write(stream.pieces(), part, artifact, limit)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return ArtifactFile(artifact, size, digest)


def _write(pieces: Any, part: Path, artifact: str, limit: int) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
        for piece in pieces:
            size += len(piece)
            if size > limit:
                sentence = S(
                    "The artifact “%(name)s” is larger than the %(limit)s bytes that may still be kept of this build.",
                    name=artifact[:200],
                    limit=limit,
                )
                raise Rejected(sentence, code="too_large")
            digest.update(piece)
            file.write(piece)
    return size, digest.hexdigest()


def _report(found: dict[str, Any]) -> TestReport:
    cases: list[TestCase] = []
    counted = {"passed": 0, "failed": 0, "skipped": 0}
    for suite in items(found.get("suites")):
        for case in items(suite.get("cases")):
            made = _case(text(suite.get("name")), case)
            counted[made.state] += 1
            if len(cases) < MOST_CASES:
                cases.append(made)
    told = {"passed": "passCount", "failed": "failCount", "skipped": "skipCount"}
    counts = {state: max(number(found.get(name)) or 0, counted[state]) for state, name in told.items()}
    return TestReport(None, **counts, seconds=_seconds(found.get("duration")), cases=tuple(cases))


def _case(suite: str, case: dict[str, Any]) -> TestCase:
    state = _STATES.get(text(case.get("status")), "failed")
    said = [text(case.get(name)) for name in ("errorDetails", "errorStackTrace", "skippedMessage")]
    told = "\n".join(part for part in said if part).encode("utf-8", "replace")[:LONGEST_TEXT].decode("utf-8", "ignore")
    where = text(case.get("className")) or suite
    return TestCase(where, text(case.get("name")), state, _seconds(case.get("duration")), told)


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9 else 0.0
