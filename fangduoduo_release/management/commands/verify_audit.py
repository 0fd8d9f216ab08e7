"""`manage.py verify_audit`: is the audit trail what was written? Exit code 0: yes; 1: no, and why; 2: wrongly asked."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from fangduoduo_release.audit import anchor, trail, verifying
from fangduoduo_release.audit.chain import Point
from fangduoduo_release.audit.guard import open_door
from fangduoduo_release.common.actor import SYSTEM

TRAIL = trail.Named("audit.auditentry", "", "audit trail")


class Command(BaseCommand):
    help = "Verify the audit trail: every row, their order, the head, and this host's anchor."
    requires_system_checks: list[Any] = []  # they would import every page

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--expect", metavar="SEQ:DIGEST", default="", help="a row somebody wrote down elsewhere")
        parser.add_argument("--new", action="store_true", help="only what came after the last verification")
        parser.add_argument(
            "--accept",
            metavar="REASON",
            default="",
            help="after a look at the findings: go on from the end that is there (a restored backup, a lost head); "
            "it is written into the trail, and broken rows stay broken",
        )

    def handle(self, *args: Any, expect: str, new: bool, accept: str, **options: Any) -> None:
        point = Point.parse(expect) if expect else None
        if expect and point is None:
            raise CommandError("--expect wants SEQ:DIGEST, as the log and this command print it.", returncode=2)
        start = verifying.resume(verifying.last_check()) if new else verifying.Start()
        report = verifying.verify(start, expect=point)
        if accept:
            self._accept(report, accept)
        else:
            verifying.remember(report, whole=not new)
        for sentence in report.findings:
            self.stdout.write(str(sentence))
        if report.more:
            self.stdout.write(f"… and {report.more} more.")
        if report.sound:
            self.stdout.write(f"{report.rows} rows verified, head {report.seq}:{report.digest}")
        elif accept:
            self.stdout.write(f"{report.rows} rows read; what was found is accepted, and the trail goes on.")
        else:
            raise CommandError(f"{report.rows} rows read; the audit trail is not what was written.")

    def _accept(self, report: verifying.Report, reason: str) -> None:
        """Make the end that is there the end, and write down that somebody did so, and why."""
        with transaction.atomic():
            with open_door():
                verifying.begin_anew(report)
            after = {"reason": reason, "findings": [str(sentence) for sentence in report.findings]}
            entry = trail.record(SYSTEM, "audit.accept", TRAIL, after=after)
        anchor.move(Point(entry.seq, entry.digest), back=True)
