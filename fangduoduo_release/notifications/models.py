"""Channels (how somebody is told), what people chose, messages on their way, and which ways are closed for now.

Knows people only as the settings name them, and projects by their slug: both live in rooms above.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.common.fields import EncryptedJSONField
from fangduoduo_release.common.models import Claimable

from . import events


class Channel(models.Model):
    """A way to tell one person, one project's people, or (with neither) ops. `secrets` opens only to send."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="channels"
    )
    project = models.CharField(_("project"), max_length=50, blank=True, db_index=True)  # a slug
    kind = models.CharField(_("kind"), max_length=30)
    name = models.CharField(_("name"), max_length=80)
    config = models.JSONField(default=dict, blank=True)
    secrets = EncryptedJSONField(default=dict, blank=True, editable=False)
    shown = models.CharField(_("leads to"), max_length=200, blank=True)  # the address without what is secret in it
    events = models.JSONField(_("hears of"), default=list, blank=True)
    language = models.CharField(_("language"), max_length=10, blank=True)
    enabled = models.BooleanField(_("switched on"), default=True)
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("channel")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="channel_of_a_person_or_a_project", condition=models.Q(user=None) | models.Q(project="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"

    @property
    def audience(self) -> str:
        return events.PERSON if self.user_id else events.PROJECT if self.project else events.OPS

    @property
    def route(self) -> str:
        """What gets through, or not, together: all mail goes through one server."""
        return MAIL if self.kind == "email" else f"channel/{self.pk}"


MAIL = "mail"


class Preference(models.Model):
    """What a person chose: the language they are told in, and which events not by mail to their own address."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notification_choice")
    language = models.CharField(_("language"), max_length=10, blank=True)
    not_by_mail = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return str(self.user)


class Delivery(Claimable):
    """One message to one channel, or (without one) by mail to a person's own address. Written with the change it tells
    of, sent by the worker; `key` is what the receiver knows it by, at every attempt."""

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")
        SKIPPED = "skipped", _("skipped")

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    dedupe_key = models.CharField(max_length=255, unique=True)
    channel = models.ForeignKey(Channel, null=True, blank=True, on_delete=models.CASCADE, related_name="deliveries")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="deliveries"
    )
    route = models.CharField(max_length=60)
    event = models.CharField(_("event"), max_length=40)
    sentence = models.JSONField(default=dict)  # {"msgid", "params"}: said in the reader's language when it is sent
    project = models.CharField(_("project"), max_length=50, blank=True)
    link = models.CharField(max_length=500, blank=True)  # a path of the portal
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.QUEUED)
    tries = models.PositiveIntegerField(_("attempts"), default=0)
    needs_ops = models.BooleanField(_("needs ops"), default=False)
    error = models.JSONField(null=True, blank=True)  # why the last attempt failed, as every row has it
    created_at = models.DateTimeField(auto_now_add=True)
    deadline_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["next_at"], name="delivery_due", condition=models.Q(state="queued")),
            models.Index(fields=["lease_until"], name="delivery_held", condition=models.Q(state="queued")),
            models.Index(fields=["route", "id"], name="delivery_by_route", condition=models.Q(state="queued")),
            models.Index(fields=["finished_at"], name="delivery_finished"),
            models.Index(fields=["user", "-id"], name="delivery_by_user"),
            models.Index(fields=["channel", "-id"], name="delivery_by_channel"),
        ]

    def __str__(self) -> str:
        return f"{self.event} → {self.channel or self.user or '–'}"


class Circuit(models.Model):
    """A route that does not get through: nothing is sent there until `until`, then one message tries again."""

    route = models.CharField(max_length=60, unique=True)
    failures = models.PositiveIntegerField(default=0)
    until = models.DateTimeField()
    since = models.DateTimeField(auto_now_add=True)
    error = models.JSONField(null=True, blank=True)

    class Meta:
        verbose_name = _("circuit breaker")

    def __str__(self) -> str:
        return self.route
