"""What the informers have seen of clusters, and texts of configuration by their content. Part of `clusters.models`.

Written by the one informer that leads for a cluster; pages, API, gateway and engines only read.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class ClusterFeed(models.Model):
    """How well the rows of one resource of one cluster are known to be what the API server has.

    `seen_at`: the last moment at which the watch was alive, so the rows are as old as that. `seq` counts changes: each
    row carries the `seq` at which it last changed.
    """

    class State(models.TextChoices):
        SYNCING = "syncing", _("being read")
        LIVE = "live", _("followed")
        DOWN = "down", _("not reached")

    cluster = models.ForeignKey("clusters.Cluster", on_delete=models.CASCADE, related_name="feeds")
    resource = models.CharField(max_length=60)  # "pods", "deployments.apps"
    state = models.CharField(max_length=10, choices=State.choices, default=State.SYNCING)
    resource_version = models.CharField(max_length=40, blank=True)
    seq = models.BigIntegerField(default=0)
    seen_at = models.DateTimeField(null=True)
    synced_at = models.DateTimeField(null=True)  # of the last whole list
    down_since = models.DateTimeField(null=True)
    trouble = models.JSONField(null=True)  # a sentence
    objects_count = models.PositiveIntegerField(default=0)
    relists = models.PositiveIntegerField(default=0)
    reconnects = models.PositiveIntegerField(default=0)
    drift = models.PositiveIntegerField(default=0)  # objects found wrong when all were compared; 0 when all is well
    lag_ms = models.PositiveIntegerField(default=0)  # from reading an event to its row, the newest batch
    told_at = models.DateTimeField(null=True)  # ops were told that it is down

    class Meta:
        verbose_name = _("followed resource of a cluster")
        verbose_name_plural = _("followed resources of clusters")
        constraints = [models.UniqueConstraint(fields=["cluster", "resource"], name="one_feed_per_resource")]

    def __str__(self) -> str:
        return f"{self.cluster} {self.resource}"


class ClusterObject(models.Model):
    """One object of a cluster as it was last seen; `gone`: it is there no more, kept for a while so that readers learn it.

    `body`: zlib of compact JSON without managedFields. `service_key`: whose it is, from our label. `about_uid`: of an
    Event, what it is about; of a ReplicaSet or Pod, its controller.
    """

    cluster = models.ForeignKey("clusters.Cluster", on_delete=models.CASCADE, related_name="objects_seen")
    resource = models.CharField(max_length=60)
    namespace = models.CharField(max_length=63, blank=True)
    name = models.CharField(max_length=253)
    uid = models.CharField(max_length=64)
    service_key = models.CharField(max_length=40, blank=True)
    about_uid = models.CharField(max_length=64, blank=True)
    resource_version = models.CharField(max_length=40)
    seq = models.BigIntegerField()
    gone = models.BooleanField(default=False)
    body = models.BinaryField()
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name = _("object of a cluster")
        constraints = [
            models.UniqueConstraint(fields=["cluster", "resource", "namespace", "name"], name="one_row_per_object")
        ]
        indexes = [
            models.Index(fields=["cluster", "resource", "seq"], name="object_by_seq"),
            models.Index(fields=["service_key", "resource"], name="object_by_service"),
            models.Index(fields=["about_uid"], name="object_about"),
        ]

    def __str__(self) -> str:
        return f"{self.resource} {self.namespace}/{self.name}"


class ConfigText(models.Model):
    """A text that a deployment pinned, by its content: what Consul or anybody changes later does not touch it."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("pinned configuration")

    def __str__(self) -> str:
        return self.sha256


class ConfigRevision(models.Model):
    """One revision of a key of the embedded config source, `database`. A key's newest revision is what it says now."""

    key = models.CharField(max_length=300)
    number = models.PositiveIntegerField()
    text = models.TextField(blank=True)
    sha256 = models.CharField(max_length=64)
    author = models.CharField(max_length=150)
    note = models.CharField(max_length=300, blank=True)
    deleted = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("configuration")
        ordering = ["key", "-number"]
        constraints = [models.UniqueConstraint(fields=["key", "number"], name="config_number_once")]

    def __str__(self) -> str:
        return f"{self.key} r{self.number}"


class ConfigSeen(models.Model):
    """What a key of another config source (Consul) said when it was last read; the watch keeps it fresh.

    `revision`: Consul's ModifyIndex as text; "" and `sha256` "" when the key is not there.
    """

    connection = models.ForeignKey("common.Connection", on_delete=models.CASCADE, related_name="config_seen")
    key = models.CharField(max_length=500)
    revision = models.CharField(max_length=40, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    text = models.TextField(blank=True)
    seen_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True)
    trouble = models.JSONField(null=True)

    class Meta:
        verbose_name = _("configuration seen elsewhere")
        constraints = [models.UniqueConstraint(fields=["connection", "key"], name="one_sight_per_key")]

    def __str__(self) -> str:
        return f"{self.connection} {self.key}"


class ConfigSighting(models.Model):
    """One state of a key elsewhere (Consul), as the portal saw it or put it there: the history that Consul does not keep.

    The text itself is a `ConfigText`. `author` "": somebody there, Consul does not say who. `sha256` "": it was gone.
    """

    connection = models.ForeignKey("common.Connection", on_delete=models.CASCADE, related_name="config_sightings")
    key = models.CharField(max_length=500)
    revision = models.CharField(max_length=40)
    sha256 = models.CharField(max_length=64, blank=True)
    author = models.CharField(max_length=150, blank=True)
    note = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()

    class Meta:
        verbose_name = _("state of a configuration elsewhere")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "key", "revision"], name="one_sighting_per_revision")
        ]

    def __str__(self) -> str:
        return f"{self.connection} {self.key} {self.revision}"
