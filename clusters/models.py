"""Clusters and machines: where a project may be deployed. Knows no project."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.common.models import Connection


class Environment(models.TextChoices):
    """How careful one has to be; the order is the order of promotion."""

    TEST = "test", _("test")
    STAGING = "staging", _("staging")
    PRODUCTION = "production", _("production")


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
    """A place in a cluster a project may be deployed to, with an environment."""

    name = models.SlugField(_("name"), max_length=60, unique=True)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="machines")
    environment = models.CharField(
        _("environment"), max_length=12, choices=Environment.choices, default=Environment.TEST
    )
    placement = models.JSONField(default=dict, blank=True)
    description = models.CharField(_("description"), max_length=200, blank=True)
    order = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("machine")
        ordering = ["order", "name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_production(self) -> bool:
        return self.environment == Environment.PRODUCTION
