"""Services (a project on a machine: wanted and observed) and the deployments that change them."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from builds.models import Version
from clusters.models import Machine
from fangduoduo_release.common.models import Run
from fangduoduo_release.common.states import StateTable
from projects.models import Project, SpecRevision

from .states import DEPLOYMENT_STATES, SERVICE_STATES


class Service(models.Model):
    """A project as it runs on one machine: its wanted state and what is observed."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="services")
    machine = models.ForeignKey(Machine, on_delete=models.PROTECT, related_name="services")
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    port = models.PositiveIntegerField(null=True, blank=True, unique=True)  # the stable port in front (local clusters)
    version = models.ForeignKey(Version, null=True, blank=True, on_delete=models.PROTECT, related_name="wanted_by")
    spec_revision = models.ForeignKey(
        SpecRevision, null=True, blank=True, on_delete=models.PROTECT, related_name="wanted_by"
    )
    replicas = models.PositiveIntegerField(default=0)
    restart_nonce = models.PositiveIntegerField(default=0)
    generation = models.PositiveIntegerField(default=0, editable=False)  # of the goal last handed to the runtime
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    event_seq = models.PositiveIntegerField(default=0, editable=False)
    state = models.CharField(max_length=10, default="absent", choices=SERVICE_STATES.choices)
    ready = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    observed_digest = models.CharField(max_length=80, blank=True)
    config = models.JSONField(null=True, blank=True)  # the pin of the configuration that is wanted now
    drift = models.JSONField(default=list, blank=True)  # sentences: how what is applied differs by somebody else's hand
    url = models.CharField(max_length=300, blank=True)  # where it is reached, on kinds where the portal gives no port
    observed_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(null=True, blank=True)
    last_deployment = models.ForeignKey(
        "Deployment", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("service")
        ordering = ["project__slug", "machine__order"]
        constraints = [models.UniqueConstraint(fields=["project", "machine"], name="one_service_per_machine")]

    def __str__(self) -> str:
        return f"{self.project} @ {self.machine}"

    @property
    def topic(self) -> str:
        return f"services/{self.pk}"


class Instance(models.Model):
    """One observed process, pod or task of a service."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="instances")
    name = models.CharField(max_length=120)
    state = models.CharField(max_length=20)  # starting | running | draining | stopping | crashed | stopped
    ready = models.BooleanField(default=False)
    restarts = models.PositiveIntegerField(default=0)
    digest = models.CharField(max_length=80, blank=True)
    node = models.CharField(max_length=120, blank=True)
    address = models.CharField(max_length=120, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    deployment_key = models.CharField(max_length=40, blank=True)
    reason = models.JSONField(null=True, blank=True)
    containers = models.JSONField(default=list, blank=True)

    class Meta:
        verbose_name = _("instance")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["service", "name"], name="instance_name_once")]

    def __str__(self) -> str:
        return self.name


class Deployment(Run):
    """One change to a service. Stores its five pins; a rollback restores all five."""

    STATES: ClassVar[StateTable] = DEPLOYMENT_STATES
    TOPIC: ClassVar[str] = "deployments"

    class Action(models.TextChoices):
        DEPLOY = "deploy", _("deploy")
        ROLLBACK = "rollback", _("rollback")
        RESTART = "restart", _("restart")
        SCALE = "scale", _("scale")
        REMOVE = "remove", _("remove")

    RESTORING: ClassVar[frozenset[str]] = frozenset({"rollback", "restart"})  # what nothing holds up at night

    class Strategy(models.TextChoices):
        ROLLING = "rolling", _("rolling")

    state = models.CharField(max_length=20, default="queued", choices=DEPLOYMENT_STATES.choices)
    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="deployments")
    number = models.PositiveIntegerField()  # counts within the service
    action = models.CharField(max_length=10, choices=Action.choices)
    strategy = models.CharField(max_length=10, choices=Strategy.choices, default=Strategy.ROLLING)
    version = models.ForeignKey(Version, null=True, blank=True, on_delete=models.PROTECT, related_name="deployments")
    previous_version = models.ForeignKey(
        Version, null=True, blank=True, on_delete=models.PROTECT, related_name="replaced_by"
    )
    previous = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    restores = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="restored_by")
    spec_revision = models.ForeignKey(
        SpecRevision, null=True, blank=True, on_delete=models.PROTECT, related_name="deployments"
    )
    replicas = models.PositiveIntegerField(default=1)
    restart_nonce = models.PositiveIntegerField(default=0)
    reason = models.CharField(max_length=300, blank=True)
    take_over = models.BooleanField(default=False)  # of fields that somebody else owns in the cluster
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="deployments"
    )
    pins = models.JSONField(default=dict)
    manifest = models.TextField(blank=True)
    diff = models.TextField(blank=True)
    ready = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    expected_ms = models.PositiveIntegerField(null=True, blank=True)
    approvals_needed = models.PositiveSmallIntegerField(default=0)
    approver_role = models.CharField(max_length=12, blank=True)
    asked_sha256 = models.CharField(max_length=64, blank=True)  # of exactly what is to be approved
    despite_freeze = models.JSONField(null=True, blank=True)  # {"msgid", "params"}: the freeze an emergency overrode

    class Meta:
        verbose_name = _("deployment")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["service", "number"], name="deployment_number_once"),
            models.UniqueConstraint(
                fields=["service"],
                condition=models.Q(state__in=DEPLOYMENT_STATES.active),
                name="one_active_deployment_per_service",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_at"], name="deployment_due", condition=models.Q(state__in=DEPLOYMENT_STATES.active)
            ),
            models.Index(fields=["state", "-id"], name="deployment_by_state"),
            models.Index(fields=["service", "-id"], name="deployment_by_service"),
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.action} {self.number}"

    @property
    def percent(self) -> int:
        if self.is_final:
            return 100
        return int(100 * self.ready / self.total) if self.total else 0


class DeploymentApproval(models.Model):
    """What one person decided about a deployment that waits: never the one who asked, and only once.

    `seen_sha256` is the hash of what the decider saw; the database refuses one that is not what was asked.
    """

    class Verdict(models.TextChoices):
        APPROVED = "approved", _("approved")
        REJECTED = "rejected", _("rejected")

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="approvals")
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )  # copied from the deployment, so that the database can compare
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_by_name = models.CharField(max_length=150)
    verdict = models.CharField(max_length=8, choices=Verdict.choices)
    note = models.CharField(max_length=300, blank=True)
    asked_sha256 = models.CharField(max_length=64)
    seen_sha256 = models.CharField(max_length=64)
    decided_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("decision about a deployment")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "decided_by"], name="one_decision_per_person"),
            models.CheckConstraint(
                name="nobody_approves_their_own",
                condition=models.Q(decided_by=None)
                | models.Q(asked_by=None)
                | ~models.Q(decided_by=models.F("asked_by")),
            ),
            models.CheckConstraint(
                name="approved_as_asked",
                condition=models.Q(seen_sha256=models.F("asked_sha256")) & ~models.Q(asked_sha256=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.decided_by_name} {self.verdict} {self.deployment}"
