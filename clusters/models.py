"""Clusters, machines and when machines are frozen: where and when one may deploy. Knows no project."""

from __future__ import annotations

from datetime import date

from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from clusters.freezes import MIDNIGHT, Window, day_of, year_day_of
from fangduoduo_release.common.models import Connection
from permissions.roles import Role

from .observed_models import ClusterFeed, ClusterObject, ConfigRevision, ConfigSeen, ConfigSighting, ConfigText

__all__ = [
    "ApproverRole", "Cluster", "ClusterFeed", "ClusterObject", "ConfigRevision", "ConfigSeen", "ConfigSighting", "ConfigText",
    "Environment", "FreezeWindow", "Machine",
]  # fmt: skip
MOST_APPROVALS = 9


class Environment(models.TextChoices):
    """How careful one has to be; the order is the order of promotion."""

    TEST = "test", _("test")
    STAGING = "staging", _("staging")
    PRODUCTION = "production", _("production")


class ApproverRole(models.TextChoices):
    """Whose word counts: whoever holds this role or a stronger one on the project; ops everywhere."""

    VIEWER = Role.VIEWER.value, Role.VIEWER.label
    DEVELOPER = Role.DEVELOPER.value, Role.DEVELOPER.label
    MAINTAINER = Role.MAINTAINER.value, Role.MAINTAINER.label
    OWNER = Role.OWNER.value, Role.OWNER.label
    OPS = "ops", _("ops")


class Cluster(models.Model):
    """A Kubernetes, a Docker Swarm or this host; `kind` names the runtime driver."""

    name = models.SlugField(_("name"), max_length=60, unique=True)
    kind = models.CharField(_("kind"), max_length=30, default="local")
    connection = models.ForeignKey(Connection, null=True, blank=True, on_delete=models.PROTECT, related_name="clusters")
    config = models.JSONField(default=dict, blank=True)
    description = models.CharField(_("description"), max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("cluster")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Machine(models.Model):
    """A place in a cluster a project may be deployed to, with an environment, and how many must agree to a change."""

    name = models.SlugField(_("name"), max_length=60, unique=True)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="machines", verbose_name=_("cluster"))
    environment = models.CharField(
        _("environment"), max_length=12, choices=Environment.choices, default=Environment.TEST
    )
    placement = models.JSONField(default=dict, blank=True)
    description = models.CharField(_("description"), max_length=200, blank=True)
    order = models.PositiveSmallIntegerField(_("order"), default=0)
    approvals_needed = models.PositiveSmallIntegerField(
        _("approvals needed"),
        default=0,
        validators=[MaxValueValidator(MOST_APPROVALS)],
        help_text=_("How many people must agree to a change here, the one who asks not counted. 0: nobody."),
    )
    approver_role = models.CharField(
        _("who may approve"), max_length=12, choices=ApproverRole.choices, default=ApproverRole.MAINTAINER
    )
    approve_restoring = models.BooleanField(
        _("rollback and restart too"),
        default=False,
        help_text=_("Off: a rollback or restart at night waits for nobody."),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("machine")
        ordering = ["order", "name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_production(self) -> bool:
        return self.environment == Environment.PRODUCTION


class FreezeWindow(models.Model):
    """When nothing may be changed on some machines, and why. When exactly it holds is worked out by `freezes`."""

    class Kind(models.TextChoices):
        ONCE = "once", _("once")
        WEEKLY = "weekly", _("every week")
        YEARLY = "yearly", _("every year")

    name = models.CharField(_("name"), max_length=80, unique=True)
    reason = models.CharField(_("reason"), max_length=300, help_text=_("Shown to whoever is refused."))
    active = models.BooleanField(_("active"), default=True)
    blocks_restoring = models.BooleanField(
        _("rollback and restart too"), default=False, help_text=_("Off: rolling back and restarting stay possible.")
    )
    everywhere = models.BooleanField(_("on every machine"), default=False)
    environments = models.JSONField(_("In environments"), default=list, blank=True)
    machines = models.ManyToManyField(Machine, blank=True, related_name="freeze_windows", verbose_name=_("on machines"))
    timezone = models.CharField(_("time zone"), max_length=64, help_text=_("All its times are local there."))
    kind = models.CharField(_("how often"), max_length=8, choices=Kind.choices, default=Kind.WEEKLY)
    weekdays = models.JSONField(_("Begins on"), default=list, blank=True)  # Monday is 0
    first_day = models.CharField(
        _("from day"), max_length=10, blank=True, help_text=_("Once: 2026-12-24. Every year: 12-24.")
    )
    start_time = models.TimeField(_("from"), default=MIDNIGHT)
    last_day = models.CharField(
        _("until day"), max_length=10, blank=True, help_text=_("Once: 2027-01-02. Every year: 01-02.")
    )
    end_time = models.TimeField(
        _("until"),
        null=True,
        blank=True,
        help_text=_(
            "Every week: on the next day when it is not later than the start. Every year, left empty: all day."
        ),
    )
    duration_minutes = models.PositiveIntegerField(
        _("or for minutes"), null=True, blank=True, help_text=_("Every week only, instead of an end.")
    )
    exceptions = models.JSONField(
        _("Except on"), default=list, blank=True, help_text=_("Days on which it would begin and does not.")
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("freeze window")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def window(self) -> Window:
        """Its rule; only for a row that `freeze_rules.mistakes` finds in order."""
        parse = day_of if self.kind == self.Kind.ONCE else year_day_of
        return Window(
            kind=self.kind,
            zone=self.timezone,
            start=self.start_time,
            end=self.end_time,
            minutes=self.duration_minutes,
            weekdays=frozenset(self.weekdays),
            first=parse(self.first_day),
            last=parse(self.last_day),
            exceptions=frozenset(date.fromisoformat(day) for day in self.exceptions),
        )
