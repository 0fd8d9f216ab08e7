"""The foundation's tables: inbox, events, steps, leases, beats, connections; and the abstract Run.

Knows no app above it: a run is referred to by its key (UUID), an event by its topic (text).
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from .fields import EncryptedJSONField
from .states import StateTable


class Claimable(models.Model):
    """A row that one process at a time may work on. Due when `next_at` has come and no lease is alive."""

    fence = models.BigIntegerField(default=0, editable=False)
    lease_owner = models.CharField(max_length=120, blank=True, default="", editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    next_at = models.DateTimeField(null=True, blank=True, editable=False)
    attempts = models.PositiveIntegerField(default=0, editable=False)
    pokes = models.PositiveIntegerField(default=0, editable=False)  # counts wake-ups, so that none is lost at release

    class Meta:
        abstract = True


class Run(Claimable):
    """Long work that nothing can lose: one `state`, moved only by `runs.transition` and fenced writes."""

    STATES: ClassVar[StateTable]
    TOPIC: ClassVar[str]

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    state = models.CharField(max_length=20, default="queued")
    phase = models.CharField(max_length=30, blank=True, default="")
    event_seq = models.PositiveIntegerField(default=0, editable=False)
    needs_ops = models.BooleanField(_("needs ops"), default=False, db_index=True)
    error = models.JSONField(null=True, blank=True)  # {"code", "sentence": {msgid, params}, "evidence"}
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_by = models.CharField(max_length=150, blank=True, default="")
    deadline_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def topic(self) -> str:
        return f"{self.TOPIC}/{self.pk}"

    @property
    def is_final(self) -> bool:
        return self.STATES[self.state].final

    @property
    def duration_ms(self) -> int | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return int((self.finished_at - self.started_at).total_seconds() * 1000)


class Event(models.Model):
    """What happened to a topic, in order. Rows are the truth; a wake-up only says "look again"."""

    topic = models.CharField(max_length=80)
    seq = models.PositiveIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    text = models.CharField(max_length=300, blank=True)  # a message id, translated when shown
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("event")
        constraints = [models.UniqueConstraint(fields=["topic", "seq"], name="event_once_per_seq")]

    def __str__(self) -> str:
        return f"{self.topic}#{self.seq} {self.kind}"


class Step(models.Model):
    """One outside effect of a run: the intent is committed before the call, the outcome after it."""

    run_key = models.UUIDField(db_index=True)
    key = models.CharField(max_length=160, unique=True)
    name = models.CharField(max_length=60)
    intent = models.JSONField(default=dict)
    outcome = models.JSONField(null=True)
    fence = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("step")

    def __str__(self) -> str:
        return self.key


class InboxItem(Claimable):
    """Something from outside, accepted once: the dedupe key is unique, the answer goes out after commit."""

    class State(models.TextChoices):
        NEW = "new", _("new")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    kind = models.CharField(max_length=40)
    dedupe_key = models.CharField(max_length=255, unique=True)
    topic = models.CharField(max_length=80, blank=True)  # whose it is: "projects/7"
    payload = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.NEW)
    needs_ops = models.BooleanField(default=False)
    error = models.JSONField(null=True, blank=True)
    result = models.JSONField(null=True, blank=True)
    received_at = models.DateTimeField(auto_now_add=True)
    handled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("inbox item")
        indexes = [
            models.Index(fields=["next_at"], name="inbox_due", condition=models.Q(state="new")),
            models.Index(fields=["topic", "-id"], name="inbox_by_topic"),
            models.Index(fields=["topic"], name="inbox_waiting", condition=models.Q(state="new")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.dedupe_key}"


class Lease(models.Model):
    """Leadership over a named duty (a follower, a listener, the reconciler): fenced, so N copies are safe."""

    name = models.CharField(max_length=120, unique=True)
    owner = models.CharField(max_length=120, blank=True, default="")
    fence = models.BigIntegerField(default=0)
    until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("lease")

    def __str__(self) -> str:
        return self.name


class Beat(models.Model):
    """A sign of life from a process, shown on the ops page."""

    name = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=20)
    seen_at = models.DateTimeField()
    info = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("beat of a process")

    def __str__(self) -> str:
        return self.name


class Connection(models.Model):
    """How to reach another system: kind, validated config, encrypted secrets. Drivers are built from it."""

    name = models.SlugField(max_length=60, unique=True)
    kind = models.CharField(max_length=30)
    config = models.JSONField(default=dict, blank=True)
    secrets = EncryptedJSONField(default=dict, blank=True, editable=False)
    last_test = models.JSONField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)  # by people; a test changes nothing

    class Meta:
        verbose_name = _("connection")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class IdempotencyKey(models.Model):
    """The answer given to an API write; the same key gives the same answer."""

    owner = models.CharField(max_length=60)
    key = models.CharField(max_length=120)
    fingerprint = models.CharField(max_length=64)  # sha256 of method, path and body
    status = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = _("idempotency key")
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="idempotency_once")]

    def __str__(self) -> str:
        return f"{self.owner} {self.key}"
