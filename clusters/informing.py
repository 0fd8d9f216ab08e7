"""The duties around the following of clusters: keep it going, clear away what nobody needs, tell ops when it is down."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.module_loading import import_string

from clusters import observed
from clusters.drivers.runtime.kubernetes.names import PODS
from clusters.kubernetes import KIND
from clusters.models import Cluster, ClusterFeed, ClusterObject
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.watch import tenure
from fangduoduo_release.notifications import outbox

HUB = "clusters.informers.hub.Hub"  # loaded where there is something to follow: its client costs 20 MB
TELL_S = 120.0
GONE_KEPT_S = 360.0  # so long whoever reads now and then learns that an object is there no more
EVENTS_KEPT_S = 3600.0
CHUNK = 1000
_hubs: list[Any] = []  # the one of this process


def follow() -> int:
    """The duty, on every watch process: keep the thread that follows; how many clusters this process follows."""
    if _hubs and not _hubs[0].alive:
        _hubs.clear()
    if _hubs:
        _hubs[0].renew(tenure().lost)
    elif followed():
        _hubs.append(import_string(HUB)(tenure().lost))
    return _hubs[0].follows if _hubs else 0


def followed() -> list[Cluster]:
    """The clusters that are to be followed; the secrets of their connections are not read."""
    found = Cluster.objects.filter(kind=KIND).exclude(connection=None)
    return list(found.select_related("connection").defer("connection__secrets"))


def tidy() -> int:
    """The duty: forget objects that have been gone for a while, and events that are old; how many."""
    now = timezone.now()
    ended = Q(gone=True, changed_at__lt=now - timedelta(seconds=GONE_KEPT_S))
    old = Q(resource="events", changed_at__lt=now - timedelta(seconds=EVENTS_KEPT_S))
    forgotten = 0
    while not tenure().lost.is_set():
        some = list(ClusterObject.objects.filter(ended | old).values_list("pk", flat=True)[:CHUNK])
        forgotten += ClusterObject.objects.filter(ended | old, pk__in=some).delete()[0] if some else 0
        if len(some) < CHUNK:
            break
    return forgotten


def tell_ops() -> int:
    """The duty: tell ops once of every cluster that has not been followed for long, and when it is followed again."""
    told = 0
    down = observed.unfollowed(observed.ALARM_S).values("pk")
    for alarm in observed.alarms(TELL_S):
        with transaction.atomic():
            ClusterFeed.objects.get_or_create(cluster=alarm.cluster, resource=PODS.key)
            if ClusterFeed.objects.filter(cluster=alarm.cluster, resource=PODS.key, told_at=None).update(told_at=Now()):
                sentence = S(
                    "The cluster “%(name)s” has not been followed for %(minutes)s minutes: %(reason)s",
                    name=alarm.cluster.name,
                    minutes=int((timezone.now() - alarm.since).total_seconds() // 60),
                    reason=str(alarm.sentence),
                )
                outbox.tell("cluster.down", sentence, link="/admin/")
                told += 1
    back = ClusterFeed.objects.filter(told_at__isnull=False).exclude(cluster__in=down)
    for pk, name in back.values_list("pk", "cluster__name"):
        with transaction.atomic():
            if ClusterFeed.objects.filter(pk=pk, told_at__isnull=False).update(told_at=None):
                outbox.tell("cluster.back", S("The cluster “%(name)s” is followed again.", name=name), link="/admin/")
                told += 1
    return told
