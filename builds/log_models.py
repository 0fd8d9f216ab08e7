"""A build's log as rows: totals, blocks while it grows, marks. Part of `builds.models`; `builds/logs` writes and reads them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class BuildLog(models.Model):
    """A build's log: totals while it grows; when complete, one stored object of gzip members and its index."""

    build = models.OneToOneField("builds.Build", on_delete=models.CASCADE, related_name="log", primary_key=True)
    size = models.BigIntegerField(default=0)  # raw bytes
    lines = models.BigIntegerField(default=0)
    chunks = models.PositiveIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)  # of all raw bytes, once complete
    complete = models.BooleanField(default=False)
    stored_name = models.CharField(max_length=200, blank=True)
    stored_size = models.BigIntegerField(default=0)
    index = models.JSONField(default=list)  # [[raw offset, first line, compressed offset], …] per gzip member
    first_error_line = models.BigIntegerField(null=True)

    class Meta:
        verbose_name = _("build log")

    def __str__(self) -> str:
        return f"log of {self.build_id}"


class LogChunk(models.Model):
    """A piece of a running build's log: whole lines, gzip-compressed, with its marks."""

    build = models.ForeignKey("builds.Build", on_delete=models.CASCADE, related_name="log_chunks")
    offset = models.BigIntegerField()
    size = models.PositiveIntegerField()
    first_line = models.BigIntegerField()
    lines = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        verbose_name = _("piece of a log")
        ordering = ["offset"]
        constraints = [models.UniqueConstraint(fields=["build", "offset"], name="log_chunk_once")]

    def __str__(self) -> str:
        return f"log of {self.build_id} at {self.offset}"


class LogMark(models.Model):
    """From `line` on, the log belongs to this stage and step and was written at `at_ms` (Unix ms), until the next mark."""

    build = models.ForeignKey("builds.Build", on_delete=models.CASCADE, related_name="log_marks")
    line = models.BigIntegerField()  # from 1
    offset = models.BigIntegerField()  # of the line's first raw byte
    at_ms = models.BigIntegerField()
    stage = models.CharField(max_length=80, blank=True)
    step = models.PositiveIntegerField(default=0)
    label = models.CharField(max_length=120, blank=True)

    class Meta:
        verbose_name = _("mark in a log")
        ordering = ["line"]
        constraints = [models.UniqueConstraint(fields=["build", "line"], name="log_mark_once")]

    def __str__(self) -> str:
        return f"log of {self.build_id}, line {self.line}"
