"""Projects, their repository, their people, their machines and their spec's revisions."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from clusters.models import Machine
from fangduoduo_release.common.fields import EncryptedJSONField
from fangduoduo_release.common.models import Connection
from permissions.roles import PROJECT_PERMISSIONS, Role

SLUG = RegexValidator(
    r"\A[a-z]([a-z0-9-]{0,48}[a-z0-9])?\Z",
    _("Use 1 to 50 lower-case letters, digits and hyphens; begin with a letter, end with a letter or digit."),
)


class Project(models.Model):
    """One deployable application, bound to one Git repository."""

    class PipelineOrigin(models.TextChoices):
        REPOSITORY = "repository", _("Jenkinsfile in the repository")
        PORTAL = "portal", _("kept in the portal")

    slug = models.CharField(_("slug"), max_length=50, unique=True, validators=[SLUG])
    name = models.CharField(_("name"), max_length=100)
    description = models.CharField(_("description"), max_length=500, blank=True)
    source_kind = models.CharField(max_length=30, default="git")
    source_connection = models.ForeignKey(
        Connection, null=True, blank=True, on_delete=models.PROTECT, related_name="source_projects"
    )
    repository = models.CharField(_("repository address"), max_length=500, blank=True)  # empty: kept by the portal
    default_branch = models.CharField(_("default branch"), max_length=200, default="main")
    pipeline_origin = models.CharField(max_length=12, choices=PipelineOrigin.choices, default=PipelineOrigin.REPOSITORY)
    builder_kind = models.CharField(max_length=30, default="embedded")
    builder_connection = models.ForeignKey(
        Connection, null=True, blank=True, on_delete=models.PROTECT, related_name="builder_projects"
    )
    last_build_number = models.PositiveIntegerField(default=0, editable=False)
    archived = models.BooleanField(_("archived"), default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    polled_at = models.DateTimeField(null=True, editable=False)
    source_error = models.JSONField(null=True, blank=True, editable=False)  # {"msgid", "params"}: why it cannot be read

    class Meta:
        verbose_name = _("project")
        ordering = ["slug"]
        default_permissions = ()
        permissions = PROJECT_PERMISSIONS

    def __str__(self) -> str:
        return self.slug

    @property
    def is_embedded(self) -> bool:
        return self.source_kind == "git" and not self.repository


class ProjectUserObjectPermission(UserObjectPermissionBase):
    """guardian's user permissions on projects, by direct foreign key (fast joins)."""

    content_object = models.ForeignKey(Project, on_delete=models.CASCADE)


class ProjectGroupObjectPermission(GroupObjectPermissionBase):
    """guardian's team permissions on projects."""

    content_object = models.ForeignKey(Project, on_delete=models.CASCADE)


class RoleGrant(models.Model):
    """Who holds which role on a project, given by whom, why, until when. The permissions follow this row."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="role_grants")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="role_grants")
    role = models.CharField(_("role"), max_length=12, choices=Role.choices)
    granted_by = models.CharField(max_length=150, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("role")
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="one_role_per_person")]

    def __str__(self) -> str:
        return f"{self.user} {self.role} {self.project}"


class MachineGrant(models.Model):
    """A project's right to use a machine."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="machine_grants")
    machine = models.ForeignKey(Machine, on_delete=models.CASCADE, related_name="grants")
    granted_by = models.CharField(max_length=150, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("machine grant")
        constraints = [models.UniqueConstraint(fields=["project", "machine"], name="one_grant_per_machine")]

    def __str__(self) -> str:
        return f"{self.project} → {self.machine}"


class SpecRevision(models.Model):
    """The neutral service spec as it was at one time; a deployment pins one."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="spec_revisions")
    number = models.PositiveIntegerField()
    spec = models.JSONField()
    secrets = EncryptedJSONField(default=dict, editable=False)  # env name -> value
    sha256 = models.CharField(max_length=64)
    author = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("spec revision")
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="spec_number_once")]

    def __str__(self) -> str:
        return f"{self.project} spec {self.number}"


class BranchTip(models.Model):
    """The last commit of a ref that we acted on; comparing it with the repository finds a missed push."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tips")
    ref = models.CharField(max_length=250)  # full name: refs/heads/main, refs/tags/v1
    sha = models.CharField(max_length=64)
    moves = models.PositiveIntegerField(default=0)  # how often it moved: tells a repeated notice from a repeated move
    seen_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "ref"], name="one_tip_per_ref")]

    def __str__(self) -> str:
        return f"{self.project} {self.ref}"
