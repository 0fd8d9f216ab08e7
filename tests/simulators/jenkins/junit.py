"""The JUnit plugin's `testReport`, from what the engine found."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from builds.drivers.builder.base import TestCase, TestReport

from .beans import Bean
from .flow import StageNode
from .runs import Run

_ALWAYS = 9  # all of it shows at any depth
_STATUS = {"passed": "PASSED", "failed": "REGRESSION", "skipped": "SKIPPED"}


def report_bean(run: Run) -> Bean:
    reports = [report for report, _ in run.reports]
    return _shown("hudson.tasks.junit.TestResult", {
        "testActions": [],
        "duration": round(sum(r.seconds for r in reports), 3),
        "empty": False,
        "failCount": sum(r.failed for r in reports),
        "passCount": sum(r.passed for r in reports),
        "skipCount": sum(r.skipped for r in reports),
        "suites": [suite for report, node in run.reports for suite in _suites(run, report, node)],
    })  # fmt: skip


def _suites(run: Run, report: TestReport, node: str) -> list[Bean]:
    stage = next((s for s in run.flow.stages if any(step.id == node for step in s.steps)), None)
    cases = sorted(report.cases, key=lambda case: (case.suite, case.name))
    return [_suite(run, name, list(group), stage, node) for name, group in groupby(cases, key=lambda case: case.suite)]


def _suite(run: Run, name: str, cases: list[TestCase], stage: StageNode | None, node: str) -> Bean:
    return _shown("", {
        "cases": [_case(run, case) for case in cases],
        "duration": round(sum(case.seconds for case in cases), 3),
        "enclosingBlockNames": [stage.name] if stage else [],
        "enclosingBlocks": [stage.id] if stage else [],
        "id": None,
        "name": name,
        "nodeId": node,
        "properties": {},
        "stderr": None,
        "stdout": None,
        "timestamp": None,
    })  # fmt: skip


def _case(run: Run, case: TestCase) -> Bean:
    failed = case.state == "failed"
    message, _, trace = case.text.partition("\n")
    return _shown("", {
        "testActions": [],
        "age": 1 if failed else 0,
        "className": case.suite,
        "duration": case.seconds,
        "errorDetails": message if failed else None,
        "errorStackTrace": trace or message if failed else None,
        "failedSince": run.number if failed else 0,
        "name": case.name,
        "properties": {},
        "skipped": case.state == "skipped",
        "skippedMessage": case.text if case.state == "skipped" else None,
        "status": _STATUS[case.state],
        "stderr": None,
        "stdout": None,
    })  # fmt: skip


def _shown(cls: str, values: dict[str, Any]) -> Bean:
    return Bean(cls, {name: (_ALWAYS, value) for name, value in values.items()})
