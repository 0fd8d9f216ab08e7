"""Projects, their repository, their people, their machines and their spec's revisions."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from clusters.models import Machine
from fangduoduo_release.common.fields import EncryptedJSONField
from fangduoduo_release.common.models import Connection
from permissions.roles import PROJECT_PERMISSIONS, Role
from projects.states import REQUEST_STATES

from .source_models import HookDelivery, SourceListener

__all__ = [
    "SLUG", "AccessRequest", "BranchTip", "Grant", "HookDelivery", "MachineGrant", "Project",
    "ProjectGroupObjectPermission", "ProjectUserObjectPermission", "RoleGrant", "SourceListener", "SpecRevision",
]  # fmt: skip

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
    # Empty: kept by the portal. An address, or the repository's name on the server of the connection (kind `gerrit`).
    repository = models.CharField(_("repository address"), max_length=500, blank=True)
    default_branch = models.CharField(_("default branch"), max_length=200, default="main")
    pipeline_origin = models.CharField(max_length=12, choices=PipelineOrigin.choices, default=PipelineOrigin.REPOSITORY)
    builder_kind = models.CharField(max_length=30, default="embedded")
    builder_connection = models.ForeignKey(
        Connection, null=True, blank=True, on_delete=models.PROTECT, related_name="builder_projects"
    )
    registry_connection = models.ForeignKey(
        Connection, null=True, blank=True, on_delete=models.PROTECT, related_name="registry_projects"
    )
    image = models.CharField(_("image name"), max_length=200, blank=True)  # within the registry; empty: the slug
    last_build_number = models.PositiveIntegerField(default=0, editable=False)
    archived = models.BooleanField(_("archived"), default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    polled_at = models.DateTimeField(null=True, editable=False)
    tips_taken_at = models.DateTimeField(null=True, editable=False)  # from then on what moves is a push
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
    """guardian's user permissions on projects, by direct foreign key (fast joins); derived from role grants.

    `until`: when the last grant that gives this permission ends; from then on it gives nothing (`policy` asks).
    """

    content_object = models.ForeignKey(Project, on_delete=models.CASCADE)
    until = models.DateTimeField(null=True, blank=True)


class ProjectGroupObjectPermission(GroupObjectPermissionBase):
    """guardian's team permissions on projects; the same as above for everybody in a team."""

    content_object = models.ForeignKey(Project, on_delete=models.CASCADE)
    until = models.DateTimeField(null=True, blank=True)


class AccessRequest(models.Model):
    """Somebody asks for a role on a project, or for a machine for it. Decided once, by somebody else.

    `asked_sha256` is the hash of exactly what was asked (`projects.requests.fingerprint`); a decision carries the hash
    its decider saw, and the database refuses one that differs. The database also refuses deciders who asked.
    An emergency request is granted for hours only, and signed by two: `decided_by`, and `reviewed_by` either before it
    is granted or, when one decided alone, afterwards.
    `slug` is what was typed. Whoever may not see a project gets a row also when there is none (`project` is empty
    then), so that asking tells nobody what exists.
    """

    class Kind(models.TextChoices):
        ROLE = "role", _("role")
        MACHINE = "machine", _("machine")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    slug = models.CharField(_("project"), max_length=50)
    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE, related_name="requests")
    requester = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="access_requests"
    )
    requester_name = models.CharField(max_length=150)
    role = models.CharField(_("role"), max_length=12, choices=Role.choices, blank=True)
    machine = models.ForeignKey(Machine, null=True, blank=True, on_delete=models.CASCADE, related_name="requests")
    reason = models.CharField(_("reason"), max_length=300)
    until = models.DateTimeField(_("until"), null=True, blank=True)
    emergency = models.BooleanField(_("emergency"), default=False)
    asked_sha256 = models.CharField(max_length=64)
    state = models.CharField(_("state"), max_length=12, default="pending", choices=REQUEST_STATES.choices)
    created_at = models.DateTimeField(_("asked"), auto_now_add=True)
    expires_at = models.DateTimeField()  # a request nobody decides ends by itself
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    decided_by_name = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_sha256 = models.CharField(max_length=64, blank=True)
    note = models.CharField(_("note"), max_length=300, blank=True)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    reviewed_by_name = models.CharField(max_length=150, blank=True)
    reviewed_at = models.DateTimeField(null=True, blank=True)
    review_note = models.CharField(max_length=300, blank=True)
    reminded_at = models.DateTimeField(null=True, blank=True, editable=False)  # when those who decide were last told

    class Meta:
        verbose_name = _("request")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="request_kind_fits",
                condition=models.Q(kind="role", machine=None) & ~models.Q(role="")
                | models.Q(kind="machine", machine__isnull=False, project__isnull=False, role=""),
            ),
            models.CheckConstraint(
                name="decisions_are_signed",
                condition=models.Q(state__in=("pending", "withdrawn", "expired"))
                | (~models.Q(decided_by_name="") & ~models.Q(decided_sha256="") & models.Q(project__isnull=False)),
            ),
            models.CheckConstraint(
                name="nobody_decides_their_own",
                condition=models.Q(decided_by=None)
                | models.Q(requester=None)
                | ~models.Q(decided_by=models.F("requester")),
            ),
            models.CheckConstraint(
                name="nobody_reviews_their_own",
                condition=models.Q(reviewed_by=None)
                | (
                    (models.Q(requester=None) | ~models.Q(reviewed_by=models.F("requester")))
                    & (models.Q(decided_by=None) | ~models.Q(reviewed_by=models.F("decided_by")))
                ),
            ),
            models.CheckConstraint(
                name="decided_as_asked",
                condition=models.Q(decided_sha256="") | models.Q(decided_sha256=models.F("asked_sha256")),
            ),
            models.UniqueConstraint(
                fields=["slug", "requester", "role", "emergency"],
                condition=models.Q(state="pending", kind="role"),
                name="one_pending_role_request",
            ),
            models.UniqueConstraint(
                fields=["project", "machine", "emergency"],
                condition=models.Q(state="pending", kind="machine"),
                name="one_pending_machine_request",
            ),
        ]
        indexes = [models.Index(fields=["state", "-id"], name="request_by_state")]

    def __str__(self) -> str:
        what = self.role or (self.machine.name if self.machine else "")
        return f"{self.requester_name}: {what} @ {self.slug}"


class Grant(models.Model):
    """What role and machine grants share: given by whom, why, from which request, until when, warned how far ahead."""

    granted_by = models.CharField(max_length=150, blank=True)
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    until = models.DateTimeField(_("until"), null=True, blank=True)
    request = models.ForeignKey(
        AccessRequest, null=True, blank=True, on_delete=models.SET_NULL, related_name="%(class)ss"
    )
    emergency = models.BooleanField(_("emergency"), default=False)
    warned_days = models.PositiveSmallIntegerField(null=True, blank=True, editable=False)  # 3, then 1
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True


class RoleGrant(Grant):
    """Who (a person or a team) holds which role on a project. guardian's rows are derived from these
    (`projects.grants.sync`)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="role_grants")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="role_grants"
    )
    team = models.ForeignKey(Group, null=True, blank=True, on_delete=models.CASCADE, related_name="role_grants")
    role = models.CharField(_("role"), max_length=12, choices=Role.choices)

    class Meta:
        verbose_name = _("role")
        constraints = [
            models.CheckConstraint(
                name="a_person_or_a_team",
                condition=models.Q(user=None, team__isnull=False) | models.Q(user__isnull=False, team=None),
            ),
            # Beside a lasting role somebody may hold a stronger one for some days, or one for an emergency.
            models.UniqueConstraint(fields=["project", "user", "role", "emergency"], name="each_role_once_per_person"),
            models.UniqueConstraint(fields=["project", "team", "role", "emergency"], name="each_role_once_per_team"),
        ]

    def __str__(self) -> str:
        return f"{self.holder} {self.role} {self.project}"

    @property
    def holder(self) -> object:
        return self.user or self.team


class MachineGrant(Grant):
    """A project's right to use a machine."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="machine_grants")
    machine = models.ForeignKey(Machine, on_delete=models.CASCADE, related_name="grants")

    class Meta:
        verbose_name = _("machine grant")
        constraints = [
            models.UniqueConstraint(fields=["project", "machine", "emergency"], name="one_grant_per_machine_and_kind")
        ]

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
        verbose_name = _("branch tip")
        constraints = [models.UniqueConstraint(fields=["project", "ref"], name="one_tip_per_ref")]

    def __str__(self) -> str:
        return f"{self.project} {self.ref}"
