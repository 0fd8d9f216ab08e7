"""`junit`: reads test reports and marks the build unstable when a test failed."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import ParseError

from junitparser import Error, Failure, JUnitXml, JUnitXmlError, Skipped, TestSuite

from fangduoduo_release.common.sentence import S

from ...base import TestCase, TestReport
from ..antglob import find, open_inside
from ..context import Branch, StepCall
from ..control import Result, StepFailed
from .flow import mark

_FILE_LIMIT = 64 * 1024 * 1024
_TEXT_LIMIT = 16 * 1024
_CASES = 20_000


def junit(branch: Branch, call: StepCall) -> dict[str, Any]:
    pattern = call.text("testResults", 0)
    cases: list[TestCase] = []
    files = 0
    for path in find(branch.folder(), pattern):
        branch.check()
        files += 1
        cases += _read(branch, path)
    if not cases and not call.flag("allowEmptyResults"):
        raise StepFailed(
            S("No test report files were found for “%(pattern)s”.", pattern=pattern[:200])
            if not files
            else S("The test reports hold no test.")
        )
    report = _report(branch, cases)
    branch.build.writer.call(lambda sink: sink.tests(report))
    branch.log(f"Tests: {report.passed} passed, {report.failed} failed, {report.skipped} skipped ({files} files)")
    if report.failed and not call.flag("skipMarkingBuildUnstable"):
        sentence = S("%(failed)d of %(total)d tests failed.", failed=report.failed, total=len(cases))
        mark(branch, Result.UNSTABLE, Result.UNSTABLE, sentence)
    return {
        "totalCount": len(cases),
        "failCount": report.failed,
        "passCount": report.passed,
        "skipCount": report.skipped,
    }


def _report(branch: Branch, cases: list[TestCase]) -> TestReport:
    counts = {state: sum(1 for c in cases if c.state == state) for state in ("passed", "failed", "skipped")}
    first = sorted(cases, key=lambda c: c.state != "failed")[:_CASES]
    return TestReport(
        stage=branch.context.stage.id if branch.context.stage else None,
        passed=counts["passed"],
        failed=counts["failed"],
        skipped=counts["skipped"],
        seconds=round(sum(c.seconds for c in cases), 3),
        cases=tuple(first),
    )


def _read(branch: Branch, path: str) -> list[TestCase]:
    file = open_inside(branch.folder(), path)
    if file is None:
        return []
    with file:
        data = file.read(_FILE_LIMIT + 1)
    bad = S("%(path)s is no readable JUnit report.", path=path[-200:])
    # Entities are how a small report becomes a huge one; JUnit reports have none.
    if len(data) > _FILE_LIMIT or b"<!ENTITY" in data:
        raise StepFailed(bad)
    if not data.strip():
        return []
    try:
        parsed = JUnitXml.fromstring(data)
    except (ParseError, JUnitXmlError, ValueError, SyntaxError) as error:
        raise StepFailed(bad) from error
    suites = [parsed] if isinstance(parsed, TestSuite) else list(parsed)
    return [_case(branch, suite, case) for suite in _flat(suites) for case in suite]


def _flat(suites: list[Any]) -> list[Any]:
    found = []
    waiting = list(suites)
    while waiting:
        suite = waiting.pop(0)
        found.append(suite)
        waiting.extend(suite.testsuites())
    return found


def _case(branch: Branch, suite: Any, case: Any) -> TestCase:
    state, text = "passed", ""
    for result in case.result:
        if isinstance(result, Failure | Error):
            state = "failed"
            text = "\n".join(part for part in (result.message or "", result.text or "") if part)
        elif isinstance(result, Skipped) and state == "passed":
            state = "skipped"
            text = result.message or ""
    masked = branch.build.writer.masked
    return TestCase(
        suite=masked(case.classname or suite.name or "")[:500],
        name=masked(case.name or "")[:500],
        state=state,  # type: ignore[arg-type]
        seconds=float(case.time or 0.0),
        text=masked(text[:_TEXT_LIMIT]) if text else "",
    )


STEPS = {"junit": junit}
