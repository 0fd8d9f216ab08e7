"""The duties over services: compare wanted with observed, restart what died, end what belongs to nobody."""

from __future__ import annotations

import logging

from django.db.models import QuerySet

from clusters.drivers.runtime.base import Observed, Runtime, ServiceRef
from clusters.models import Cluster
from clusters.runtimes import local_runtime, runtime_of
from deployments import observing, sightings, wanted
from deployments.models import Deployment, Service
from fangduoduo_release.common.errors import AppError, Unavailable

logger = logging.getLogger(__name__)


def look_after_services() -> int:
    """One look at every service of this host that nobody is changing; returns how many differed from the last look."""
    changed = 0
    for pk in _quiet().values_list("pk", flat=True):
        # Read again, one by one: a round takes a while, and an old goal would bring back what was removed meanwhile.
        service = _quiet().filter(pk=pk).first()
        if service is None:
            continue
        runtime = runtime_of(service.machine.cluster)
        try:
            goal = wanted.of_service(service)
            observed = runtime.advance(goal) if goal is not None else _nothing(runtime, service)
        except AppError as error:
            logger.warning("cannot look after %s: %s", service, error)
            continue
        changed += observing.store(service, observed)
    return changed


def look_again() -> int:
    """One look at every quiet service of a cluster that tells of changes by itself: what a lost word of it, or a cluster
    nobody watches, would leave wrong. Returns how many differed."""
    changed, away = 0, set()
    for service in list(_quiet(local=False)):
        cluster = service.machine.cluster_id
        if cluster in away:
            continue  # each further look would wait as long, and those at other clusters with it
        try:
            changed += sightings.look(service)
        except AppError as error:
            logger.warning("cannot look after %s: %s", service, error)
            if isinstance(error, Unavailable):
                away.add(cluster)
    return changed


def _quiet(*, local: bool = True) -> QuerySet[Service]:
    """Services that were deployed once and that no deployment is changing now; `local`: of this host, or elsewhere."""
    busy = Deployment.objects.filter(state__in=Deployment.STATES.active).values("service")
    rows = Service.objects.exclude(pk__in=busy).exclude(generation=0)
    rows = rows.filter(machine__cluster__kind="local") if local else rows.exclude(machine__cluster__kind="local")
    return rows.select_related(
        "project__registry_connection", "machine__cluster__connection", "version", "spec_revision", "last_deployment"
    )


def _nothing(runtime: Runtime, service: Service) -> Observed:
    """Nothing is wanted here; whatever runs all the same is what a crash left."""
    observed = runtime.observe(wanted.ref_of(service))
    return observed if observed.state == "absent" else runtime.remove(wanted.ref_of(service))


def clear_releases() -> int:
    """Forget unpacked versions that no service runs or is changed to; returns how many digests were kept."""
    wanted_now = Service.objects.exclude(version=None).select_related("version")
    coming = (
        Deployment.objects.filter(state__in=Deployment.STATES.active).exclude(version=None).select_related("version")
    )
    versions = [service.version for service in wanted_now] + [deployment.version for deployment in coming]
    keep = {version.pin_on("local") for version in versions if version is not None}
    local_runtime().keep_releases(keep)
    return len(keep)


def end_orphans() -> int:
    """End processes that belong to no service we know; returns how many."""
    killed = 0
    for cluster in Cluster.objects.filter(kind="local")[:1]:
        runtime = runtime_of(cluster)
        runtime.ensure()
        known = [ServiceRef(str(key)) for key in Service.objects.values_list("key", flat=True)]
        killed += len(runtime.reconcile(known).killed)
    return killed
