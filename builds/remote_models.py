"""What the portal knows of builds and jobs on another server (Jenkins). Part of `builds.models`.

Written by two hands that never hold a lock together: the engine (under the build's claim) writes `phase` and what belongs
to it; the follower (one process at a time) writes what it observes and pokes the build.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.common.models import Connection


class RemoteJob(models.Model):
    """A project's one job on one server, and what we last wrote into it."""

    class State(models.TextChoices):
        NEW = "new", _("not made yet")
        OK = "ok", _("as the portal wrote it")
        EDITED = "edited", _("changed by hand")
        GONE = "gone", _("deleted on the server")

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="remote_jobs")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="remote_jobs")
    path = models.CharField(max_length=300, blank=True)  # folder/…/name
    state = models.CharField(max_length=10, choices=State.choices, default=State.NEW)
    revision = models.ForeignKey("builds.PipelineRevision", null=True, on_delete=models.SET_NULL, related_name="+")
    written = models.JSONField(null=True)  # the facts we wrote, as the driver reads them back
    found = models.JSONField(null=True)  # the facts that are there instead, when it was edited
    checked_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("job on a build server")
        constraints = [models.UniqueConstraint(fields=["project", "connection"], name="one_job_per_project")]

    def __str__(self) -> str:
        return f"{self.connection} {self.path}"


class RemoteBuild(models.Model):
    """One build as another server runs it: our handle to it, what was observed last, how far its log was read.

    `log_offset` is the server's own offset of the answer being read, `log_skip` how many of that answer's bytes are
    stored already; both change in the transaction that stores the bytes. Whoever reads the log first raises `log_fence`.
    """

    build = models.OneToOneField("builds.Build", on_delete=models.CASCADE, related_name="remote", primary_key=True)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="remote_builds")
    job = models.CharField(max_length=300)  # folder/…/name
    queue_id = models.BigIntegerField(null=True)
    number = models.PositiveIntegerField(null=True)
    observed = models.JSONField(null=True)  # drivers.builder.base.Observation as JSON
    observed_at = models.DateTimeField(null=True)
    ended = models.BooleanField(default=False)  # the server says that it has ended; what it left is to be collected
    missed = models.PositiveSmallIntegerField(default=0)  # looks in a row that found nothing of it
    missed_at = models.DateTimeField(null=True)  # the first of them
    watched_until = models.DateTimeField(null=True)  # somebody looks at its page or log until then
    detailed_at = models.DateTimeField(null=True)  # stages and questions were read then
    log_offset = models.BigIntegerField(default=0)
    log_skip = models.BigIntegerField(default=0)
    log_fence = models.PositiveIntegerField(default=0)
    log_complete = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("build on a build server")
        indexes = [models.Index(fields=["connection"], name="remote_open", condition=models.Q(ended=False))]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "job", "number"],
                condition=models.Q(number__isnull=False, ended=False),  # a job made anew counts from 1 again
                name="one_build_per_number",
            )
        ]

    def __str__(self) -> str:
        return f"{self.connection} {self.job} #{self.number or '?'}"
