"""Audit rows as years of use would leave them."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from benchmarks.scale.filled import DEEP
from benchmarks.scale.rows import insert
from fangduoduo_release.audit import chain
from fangduoduo_release.audit.guard import open_door
from fangduoduo_release.audit.models import AuditEntry, AuditHead


def fill_audit(people: int) -> None:
    """A row per build and per deployment, as their actions write them; the chain is not what is measured here."""
    signed: dict[str, Any] = {"key": "none", "previous": chain.NOTHING, "digest": chain.NOTHING}
    began = AuditEntry.objects.count()
    for topic, verb, number in (
        ("build", "build.start", f"{began} + r.id"),
        ("deployment", "deployment.deploy", "-r.id"),
    ):
        insert(
            AuditEntry,
            f"{topic}s_{topic} r ORDER BY r.id",
            {
                "object_id": "r.id",
                "seq": number,
                "actor": f"'person' || r.id % {people}",
                "project": f"CASE WHEN r.id % 9 = 0 THEN '{DEEP}' ELSE 'app-' || r.id % 500 END",
            },
            at=timezone.now(), verb=verb, object_kind=f"{topic}s.{topic}", object_label=f"{DEEP} #1",
            after={"ref": "main", "commit": "0" * 40}, **signed,
        )  # fmt: skip
    last = AuditEntry.objects.latest("id").pk
    with open_door():
        AuditHead.objects.update(**chain.head_at(2 * last, last, chain.NOTHING))
