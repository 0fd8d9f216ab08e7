"""Test reports become rows: the cases one by one, the totals on the build."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F

from builds.drivers.builder.base import TestReport
from builds.models import Build, TestResult
from fangduoduo_release.common import events
from fangduoduo_release.common.storable import storable

MAX_LISTED_TESTS = 20_000


def keep(build: Build, report: TestReport) -> None:
    """Add one report to what the build has. Not to be repeated: the totals would count twice."""
    with transaction.atomic():
        listed = TestResult.objects.filter(build=build).count()
        TestResult.objects.bulk_create(
            [
                TestResult(
                    build=build,
                    suite=storable(case.suite[:300]),
                    name=storable(case.name[:300]),
                    state=case.state,
                    duration_ms=int(case.seconds * 1000),
                    message=storable(case.text.partition("\n")[0][:1000]),
                    details=storable(case.text),
                )
                for case in report.cases[: max(0, MAX_LISTED_TESTS - listed)]
            ],
            batch_size=500,
        )
        Build.objects.filter(pk=build.pk, tests_passed=None).update(tests_passed=0, tests_failed=0, tests_skipped=0)
        Build.objects.filter(pk=build.pk).update(
            tests_passed=F("tests_passed") + report.passed,
            tests_failed=F("tests_failed") + report.failed,
            tests_skipped=F("tests_skipped") + report.skipped,
        )
        events.record(build, "tests", passed=report.passed, failed=report.failed, skipped=report.skipped)
