"""Which pushes build, and what is told to the server where changes are reviewed. Part of `builds.models`."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.common.models import Claimable
from fangduoduo_release.common.sentence import told_by


def everything() -> list[str]:
    return ["**"]


class BuildRules(models.Model):
    """What makes a project build by itself. A project without a row builds every branch and tag, and no changes.

    Patterns are globs over the short name (`release/*`; `**` crosses “/”); one that begins with “!” takes out again;
    the last that matches decides. `paths` empty: whatever was changed.
    """

    class Cancel(models.TextChoices):
        NEVER = "never", _("never")
        CHANGES = "changes", _("of the same change")
        BRANCHES = "branches", _("of the same change or branch")

    project = models.OneToOneField(
        "projects.Project", on_delete=models.CASCADE, related_name="build_rules", primary_key=True
    )
    branches = models.JSONField(_("branches"), default=everything, blank=True)
    tags = models.JSONField(_("tags"), default=everything, blank=True)
    paths = models.JSONField(_("paths"), default=list, blank=True)
    skip_marker = models.BooleanField(_("heed [skip ci]"), default=True)
    debounce_s = models.PositiveSmallIntegerField(_("wait for further pushes"), default=0)
    cancel = models.CharField(_("cancel older builds"), max_length=10, choices=Cancel.choices, default=Cancel.CHANGES)
    changes = models.BooleanField(_("build changes under review"), default=False)
    changes_since = models.DateTimeField(null=True, blank=True, editable=False)  # older texts are left alone
    vote = models.BooleanField(_("vote"), default=True)
    comment = models.BooleanField(_("comment"), default=True)

    class Meta:
        verbose_name = verbose_name_plural = _("build rules")

    def __str__(self) -> str:
        return str(self.project)


class ChangeBuild(models.Model):
    """The build of one text (patch set) of a change under review."""

    build = models.OneToOneField("builds.Build", on_delete=models.CASCADE, related_name="change", primary_key=True)
    number = models.PositiveIntegerField()
    patch_set = models.PositiveIntegerField()
    change_id = models.CharField(max_length=60, blank=True)
    branch = models.CharField(max_length=250)  # short name of the branch it is meant for
    url = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name = _("build of a change")
        verbose_name_plural = _("builds of changes")
        indexes = [models.Index(fields=["number"], name="change_by_number")]

    def __str__(self) -> str:
        return f"{self.number},{self.patch_set}"


class Review(Claimable):
    """One message to the server where the change is reviewed: that a build began, or how it ended, with a vote."""

    class What(models.TextChoices):
        STARTED = "started", _("started")
        ENDED = "ended", _("ended")

    class State(models.TextChoices):
        NEW = "new", _("waits to be sent")
        SENT = "sent", _("sent")
        FAILED = "failed", _("not sent")
        LATE = "late", _("not needed any more")

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    build = models.ForeignKey("builds.Build", on_delete=models.CASCADE, related_name="reviews")
    what = models.CharField(max_length=10, choices=What.choices)
    value = models.SmallIntegerField(null=True)  # the vote; None: none
    message = models.TextField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.NEW)
    needs_ops = models.BooleanField(default=False)
    error = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("review message")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["build", "what"], name="one_review_of_each_kind")]
        indexes = [models.Index(fields=["next_at"], name="review_due", condition=models.Q(state="new"))]

    def __str__(self) -> str:
        return f"{self.build} {self.what}"

    @property
    def signed(self) -> str:
        """The vote as reviewers write it: +1, 0, −1; "" for none."""
        return "" if self.value is None else f"{self.value:+d}".replace("-", "−") if self.value else "0"

    @property
    def voteless(self) -> bool:
        """Sent, but the server took no vote."""
        return self.state == self.State.SENT and self.said is not None

    @property
    def said(self) -> dict[str, Any] | None:
        """Why it was not sent (yet), as a stored sentence."""
        return told_by(self.error)
