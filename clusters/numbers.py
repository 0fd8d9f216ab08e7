"""What monitoring is told of the following of clusters: in numbers, without names, since nobody has to sign in for it."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Max, Q, Sum

from clusters import observed
from clusters.kubernetes import KIND
from clusters.models import Cluster

SUMS = {
    "objects": ("gauge", Sum("feeds__objects_count"), "objects that are there"),
    "relists": ("counter", Sum("feeds__relists"), "lists that were needed again"),
    "reconnects": ("counter", Sum("feeds__reconnects"), "watches that ended"),
    "drift": ("counter", Sum("feeds__drift"), "objects found stored otherwise than they are"),
    "lag_ms": (
        "gauge",
        Max("feeds__lag_ms", filter=Q(feeds__resource__in=observed.NEEDED)),
        "from an event to its row",
    ),
}


def lines() -> Iterator[str]:
    """Prometheus text, a line a cluster (by its number) and name; for `age_seconds` only where everything was read once."""
    clusters = list(Cluster.objects.filter(kind=KIND).order_by("pk").annotate(**{k: v[1] for k, v in SUMS.items()}))
    yield "# HELP fdd_clusters_unfollowed clusters that nobody follows, or whose server does not answer"
    yield "# TYPE fdd_clusters_unfollowed gauge"
    yield f"fdd_clusters_unfollowed {observed.unfollowed(observed.ALARM_S).count()}"
    ages = observed.ages(clusters)
    if clusters:
        yield "# TYPE fdd_cluster_age_seconds gauge"
    for pk, age in ages.items():
        if age is not None:
            yield f'fdd_cluster_age_seconds{{cluster="{pk}"}} {age:.1f}'
    for name, (kind, _sum, told) in SUMS.items() if clusters else ():
        yield f"# HELP fdd_cluster_{name} {told}"
        yield f"# TYPE fdd_cluster_{name} {kind}"
        for cluster in clusters:
            yield f'fdd_cluster_{name}{{cluster="{cluster.pk}"}} {getattr(cluster, name) or 0}'
