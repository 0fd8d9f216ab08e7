"""The audit trail: one row per change, chained to the one before it, never edited; its head; and when it was verified.

Rows know no foreign key: whoever or whatever they speak of may be gone. The database refuses to change or remove them
too (`migrations/0002_chain.py`); `trail.record` is the only way to add one.
"""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models
from django.utils.translation import gettext_lazy as _

from .fields import JSONText


class AppendOnly(TypeError):
    """Somebody tried to change, remove or slip in an audit row: a mistake in the calling code."""

    def __init__(self) -> None:
        super().__init__("the audit trail is append-only; trail.record writes it")


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise AppendOnly


class _Entries(models.QuerySet["AuditEntry"]):
    update = delete = bulk_create = bulk_update = _refuse  # type: ignore[assignment]
    aupdate = adelete = abulk_create = abulk_update = _refuse  # type: ignore[assignment]


class AuditEntry(models.Model):
    """Actor, verb, object, before and after (secrets masked), address, time; and its place in the chain."""

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=150)
    verb = models.CharField(max_length=60)
    object_kind = models.CharField(max_length=40)
    object_id = models.CharField(max_length=60)
    object_label = models.CharField(max_length=200)
    project = models.CharField(max_length=50, blank=True, default="")  # its slug; "" when it concerns none
    before = JSONText(null=True)
    after = JSONText(null=True)
    address = models.CharField(max_length=60, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=40, blank=True)
    seq = models.BigIntegerField(unique=True)  # 1, 2, 3 … without a gap
    key = models.CharField(max_length=16)  # which of AUDIT_KEYS signed it
    previous = models.CharField(max_length=64)  # digest of the row before it
    digest = models.CharField(max_length=64)

    objects = _Entries.as_manager()

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["object_kind", "object_id"], name="audit_object"),
            models.Index(fields=["project", "id"], name="audit_project"),
            models.Index(fields=["actor", "id"], name="audit_actor"),
            models.Index(fields=["verb", "id"], name="audit_verb"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.verb} {self.object_label}"

    def append(self) -> None:
        """Insert the row; for `chain` alone."""
        super().save(force_insert=True)

    save = delete = asave = adelete = _refuse  # type: ignore[assignment]


class AuditHead(models.Model):
    """The end of the chain: one row, signed, locked by whoever writes the next entry."""

    ONLY = 1

    seq = models.BigIntegerField()
    entry = models.BigIntegerField()  # id of the last row
    digest = models.CharField(max_length=64)
    key = models.CharField(max_length=16)
    signature = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.seq}:{self.digest}"


class AuditCheck(models.Model):
    """When the chain was verified last and how far it was found sound (signed, so that nobody moves it on); one row."""

    ONLY = 1

    at = models.DateTimeField()
    whole_at = models.DateTimeField(null=True)  # when all of it was read, not only what was new
    sound = models.BooleanField()
    rows = models.BigIntegerField(default=0)
    findings = models.JSONField(default=list)  # sentences
    seq = models.BigIntegerField(default=0)
    entry = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=64, default="")
    key = models.CharField(max_length=16, default="")
    signature = models.CharField(max_length=64, default="")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {'sound' if self.sound else 'broken'}"
