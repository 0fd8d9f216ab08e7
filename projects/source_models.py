"""What the portal knows of servers with repositories: who listens to each, and what they told by webhook. Part of
`projects.models`."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.common.models import Claimable, Connection


class SourceListener(models.Model):
    """How the listening to one server goes. Written by whoever listens (one process at a time, `owner`), read by pages.

    `trouble` is the sentence ({"msgid", "params"}) of what ails it now; `down_since` says since when. `skew_s` is how
    far the server's clock is ahead of ours. `compared_at`: when all tips were last compared with the last ones seen.
    """

    class State(models.TextChoices):
        CONNECTING = "connecting", _("connecting")
        LISTENING = "listening", _("listening")
        DOWN = "down", _("not listening")

    connection = models.OneToOneField(
        Connection, on_delete=models.CASCADE, related_name="listener", primary_key=True, verbose_name=_("connection")
    )
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.CONNECTING)
    trouble = models.JSONField(null=True, blank=True)
    down_since = models.DateTimeField(_("down since"), null=True, blank=True)
    connected_at = models.DateTimeField(_("connected"), null=True, blank=True)
    last_event_at = models.DateTimeField(_("last event"), null=True, blank=True)
    compared_at = models.DateTimeField(_("tips compared"), null=True, blank=True)
    events = models.BigIntegerField(_("events"), default=0)
    unreadable = models.PositiveIntegerField(_("unreadable events"), default=0)
    reconnects = models.PositiveIntegerField(_("reconnects"), default=0)
    skew_s = models.FloatField(_("clock ahead by"), null=True, blank=True)
    owner = models.CharField(max_length=120, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)  # the listener's last sign of life
    told_at = models.DateTimeField(null=True, blank=True)  # when ops were told that it is down

    class Meta:
        verbose_name = _("listener")

    def __str__(self) -> str:
        return str(self.connection)


class HookDelivery(Claimable):
    """What a server told by webhook, as it came: kept for some days, and can be worked on once more from the ops screen.

    `dedupe_key` names the delivery (its own id, else the hash of its body), so that one which is sent again is taken once.
    """

    class State(models.TextChoices):
        NEW = "new", _("new")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, related_name="hook_deliveries", verbose_name=_("connection")
    )
    kind = models.CharField(_("kind"), max_length=20)  # how the sender speaks: gerrit, github, gitlab, gitea, generic
    event = models.CharField(_("event"), max_length=80, blank=True)
    delivery_id = models.CharField(_("delivery"), max_length=120, blank=True)
    dedupe_key = models.CharField(max_length=255, unique=True)
    body = models.BinaryField(editable=False)  # deflated
    size = models.PositiveIntegerField(_("bytes"), default=0)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.NEW)
    needs_ops = models.BooleanField(default=False)
    error = models.JSONField(null=True, blank=True)
    result = models.JSONField(_("result"), null=True, blank=True)
    replays = models.PositiveSmallIntegerField(_("replayed"), default=0)
    received_at = models.DateTimeField(_("received"), auto_now_add=True, db_index=True)
    handled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        ordering = ["-id"]
        indexes = [models.Index(fields=["next_at"], name="hook_due", condition=models.Q(state="new"))]

    def __str__(self) -> str:
        return f"{self.kind} {self.event} #{self.pk}"
