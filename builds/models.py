"""Pipelines, builds with their stages, log and results, and the versions they leave."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.common.fields import EncryptedJSONField
from fangduoduo_release.common.models import Connection, Run
from fangduoduo_release.common.states import StateTable
from projects.models import Project

from .credential_models import Credential
from .log_models import BuildLog, LogChunk, LogMark
from .remote_models import RemoteBuild, RemoteJob
from .rule_models import BuildRules, ChangeBuild, Review
from .states import BUILD_STATES, STAGE_STATES
from .template_models import Template, TemplateRevision

__all__ = [
    "Artifact", "Build", "BuildLog", "BuildRules", "ChangeBuild", "Credential", "InputRequest", "LogChunk", "LogMark",
    "PipelineRevision", "RemoteBuild", "RemoteJob", "Review", "Stage", "Template", "TemplateRevision", "TestResult",
    "Version",
]  # fmt: skip


class PipelineRevision(models.Model):
    """One text of a project's pipeline; each build pins the one it ran."""

    class Origin(models.TextChoices):
        REPOSITORY = "repository", _("Jenkinsfile in the repository")
        PORTAL = "portal", _("kept in the portal")
        SERVICE = "service", _("chosen by the build service")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="pipeline_revisions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    sha256 = models.CharField(max_length=64)
    origin = models.CharField(max_length=12, choices=Origin.choices)
    template_revision = models.ForeignKey(  # which text of which template this one came from, if any
        TemplateRevision, null=True, blank=True, on_delete=models.SET_NULL, related_name="copies"
    )
    author = models.CharField(max_length=150, blank=True)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("pipeline revision")
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="pipeline_number_once")]

    def __str__(self) -> str:
        return f"{self.project} pipeline {self.number}"


class Build(Run):
    """One run of a pipeline for one commit."""

    STATES: ClassVar[StateTable] = BUILD_STATES
    TOPIC: ClassVar[str] = "builds"

    class Trigger(models.TextChoices):
        PUSH = "push", _("push")
        MANUAL = "manual", _("by hand")
        API = "api", _("API")
        RETRY = "retry", _("retry")
        CHANGE = "change", _("change under review")

    state = models.CharField(max_length=20, default="queued", choices=BUILD_STATES.choices)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="builds")
    number = models.PositiveIntegerField()
    dedupe_key = models.CharField(max_length=160, null=True, blank=True, editable=False)
    trigger = models.CharField(max_length=10, choices=Trigger.choices)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="builds"
    )
    retry_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="retries")
    ref = models.CharField(max_length=250)  # full name: refs/heads/main, refs/tags/v1
    commit_sha = models.CharField(max_length=64)
    commit_subject = models.CharField(max_length=300, blank=True)
    commit_author = models.CharField(max_length=150, blank=True)
    commit_email = models.CharField(max_length=200, blank=True)
    previous_sha = models.CharField(max_length=64, blank=True)  # tip of the previous build of this ref, for changesets
    parameters = EncryptedJSONField(default=dict, blank=True, editable=False)  # some of them are passwords
    pipeline = models.ForeignKey(
        PipelineRevision, null=True, blank=True, on_delete=models.PROTECT, related_name="builds"
    )
    builder_kind = models.CharField(max_length=30, default="embedded")
    builder_connection = models.ForeignKey(
        Connection, null=True, blank=True, on_delete=models.SET_NULL, related_name="builds"
    )
    image = models.CharField(max_length=500, blank=True)  # what the pipeline is to push: registry/name:tag
    external_url = models.URLField(blank=True)
    host = models.CharField(max_length=120, blank=True, db_index=True)  # the worker host an embedded build runs on
    slot = models.PositiveSmallIntegerField(null=True, blank=True)
    agent = models.JSONField(null=True, blank=True, editable=False)  # {"pid", "ticks"}: who runs it
    tests_passed = models.PositiveIntegerField(null=True, blank=True)
    tests_failed = models.PositiveIntegerField(null=True, blank=True)
    tests_skipped = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        verbose_name = _("build")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="build_number_once"),
            models.UniqueConstraint(fields=["project", "dedupe_key"], name="one_build_per_push"),
        ]
        indexes = [
            models.Index(fields=["next_at"], name="build_due", condition=models.Q(state__in=BUILD_STATES.active)),
            models.Index(fields=["project", "-id"], name="build_by_project"),
            models.Index(fields=["state", "-id"], name="build_by_state"),
            models.Index(fields=["project", "ref", "-id"], name="build_by_ref"),
            models.Index(fields=["started_by", "state", "-id"], name="build_by_starter"),
            models.Index(fields=["commit_sha"], name="build_by_commit"),
            models.Index(fields=["number"], name="build_by_number"),
        ]

    def __str__(self) -> str:
        return f"{self.project} #{self.number}"

    @property
    def is_change(self) -> bool:
        return self.ref.startswith("refs/changes/")

    @property
    def ref_name(self) -> str:
        cut = 3 if self.is_change else 2  # refs/heads/a/b is a/b, refs/changes/34/1234/5 is 1234/5
        return self.ref.split("/", cut)[-1] if self.ref.startswith("refs/") else self.ref

    @property
    def is_tag(self) -> bool:
        return self.ref.startswith("refs/tags/")

    @property
    def short_sha(self) -> str:
        return self.commit_sha[:8]


class Stage(models.Model):
    """A stage of a build as it is shown: from the pipeline before it runs, filled as it runs."""

    build = models.ForeignKey(Build, on_delete=models.CASCADE, related_name="stages")
    ident = models.CharField(max_length=80)  # the builder's own id, stable within the build
    parent = models.CharField(max_length=80, blank=True)
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=12, default="stage")  # stage | parallel | matrix
    order = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=12, default="pending", choices=STAGE_STATES.choices)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    note = models.JSONField(null=True)  # a sentence: why skipped, why failed

    class Meta:
        verbose_name = _("stage")
        ordering = ["order"]
        constraints = [models.UniqueConstraint(fields=["build", "ident"], name="stage_ident_once")]

    def __str__(self) -> str:
        return f"{self.build} {self.name}"

    @property
    def duration_ms(self) -> int | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return int((self.finished_at - self.started_at).total_seconds() * 1000)


class InputRequest(models.Model):
    """A pipeline's `input` step waiting for a person."""

    build = models.ForeignKey(Build, on_delete=models.CASCADE, related_name="inputs")
    ident = models.CharField(max_length=80)
    stage = models.CharField(max_length=80, blank=True)
    message = models.CharField(max_length=500)
    ok_label = models.CharField(max_length=80, blank=True)
    submitters = models.JSONField(default=list, blank=True)  # user names; empty: whoever may build
    parameters = models.JSONField(default=list, blank=True)
    asked_at = models.DateTimeField(auto_now_add=True)
    answer = models.CharField(max_length=10, blank=True)  # proceed | abort
    values = EncryptedJSONField(null=True, blank=True, editable=False)  # some of them are passwords
    passed_on = models.BooleanField(default=False, editable=False)  # the other server was told the answer
    answered_by = models.CharField(max_length=150, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("question of a build")
        constraints = [models.UniqueConstraint(fields=["build", "ident"], name="input_ident_once")]

    def __str__(self) -> str:
        return f"{self.build} {self.message}"


class TestResult(models.Model):
    """One test case of a build's JUnit reports."""

    build = models.ForeignKey(Build, on_delete=models.CASCADE, related_name="tests")
    suite = models.CharField(max_length=300)
    name = models.CharField(max_length=300)
    state = models.CharField(max_length=8)  # passed | failed | skipped
    duration_ms = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=1000, blank=True)
    details = models.TextField(blank=True)

    class Meta:
        verbose_name = _("test result")
        indexes = [models.Index(fields=["build", "state"], name="tests_by_state")]

    def __str__(self) -> str:
        return f"{self.suite} {self.name}"


class Artifact(models.Model):
    """A file a build archived, content-addressed in the file storage."""

    build = models.ForeignKey(Build, on_delete=models.CASCADE, related_name="artifacts")
    path = models.CharField(max_length=500)
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        verbose_name = _("artifact")
        ordering = ["path"]
        constraints = [models.UniqueConstraint(fields=["build", "path"], name="artifact_path_once")]

    def __str__(self) -> str:
        return self.path


class Version(models.Model):
    """What a successful build leaves: an archive by sha256 and/or an image by digest. Its number is the build's."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="versions")
    build = models.OneToOneField(Build, on_delete=models.PROTECT, related_name="version")
    number = models.PositiveIntegerField()
    commit_sha = models.CharField(max_length=64)
    commit_subject = models.CharField(max_length=300, blank=True)
    commit_author = models.CharField(max_length=150, blank=True)
    ref = models.CharField(max_length=250)
    image = models.CharField(max_length=500, blank=True)
    digest = models.CharField(max_length=80, blank=True)  # of the image, sha256:…
    archive_sha256 = models.CharField(max_length=64, blank=True)
    archive_size = models.BigIntegerField(default=0)
    notes = models.TextField(blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)  # its files were cleared by retention
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("version")
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="version_number_once")]
        indexes = [models.Index(fields=["commit_sha"], name="version_by_commit")]

    def __str__(self) -> str:
        return f"{self.project} #{self.number}"

    @property
    def pin(self) -> str:
        """The digest a deployment pins: the image's where there is one, else the archive's."""
        return self.digest or self._archive_digest

    def pin_on(self, cluster_kind: str) -> str:
        """The same on a cluster of that kind: this host runs archives, whatever image was pushed beside them; others run
        images only. "" for an image whose digest nobody knows yet."""
        return (self._archive_digest or self.digest) if cluster_kind == "local" else self.digest

    @property
    def _archive_digest(self) -> str:
        return f"sha256:{self.archive_sha256}" if self.archive_sha256 else ""

    @property
    def short_sha(self) -> str:
        return self.commit_sha[:8]

    @property
    def ref_name(self) -> str:
        return self.ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
