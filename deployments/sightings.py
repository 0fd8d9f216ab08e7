"""News from clusters: what the informers saw change of a service is written down, and whoever works on it is woken.

Called by the informers after each batch, outside their event loop. It asks no cluster anything: the rows are there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from uuid import UUID

from django.db.models import QuerySet

from clusters.kubernetes import KIND
from clusters.runtimes import runtime_of
from deployments import observing, wanted
from deployments.models import Deployment, Service
from fangduoduo_release.common import runs
from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.queue import ring

logger = logging.getLogger(__name__)
AT_ONCE = 200


def objects_changed(keys: Iterable[str]) -> None:
    """Wake what is being changed, and store what is seen of the rest."""
    wished = sorted(key for key in keys if _is_key(key))
    for start in range(0, len(wished), AT_ONCE):
        services = {str(s.key): s for s in _services().filter(key__in=wished[start : start + AT_ONCE])}
        active = Deployment.objects.filter(service__in=[s.pk for s in services.values()], state__in=STATES)
        busy = set()
        for deployment in active.only("pk", "service"):
            busy.add(deployment.service_id)
            runs.poke(deployment)
            ring("deployment", deployment.pk)
        for service in services.values():
            if service.pk not in busy:
                look_at(service)


def _is_key(text: str) -> bool:
    """Anybody may set our label on what is theirs: what can be no service's key is no news, and spoils nobody else's."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


STATES = Deployment.STATES.active


def _services() -> QuerySet[Service]:
    rows = Service.objects.exclude(generation=0).filter(machine__cluster__kind=KIND)
    return rows.select_related(
        "project__registry_connection", "machine__cluster__connection", "version", "spec_revision", "last_deployment"
    )


def look_at(service: Service) -> bool:
    """Store what is observed of a service that nobody is changing; whether it differs from the last look. Of what goes wrong
    with one the rest hears nothing."""
    try:
        return look(service)
    except AppError as error:
        logger.warning("cannot look after %s: %s", service, error)
        return False


def look(service: Service) -> bool:
    """The same, for whoever has to know what went wrong. Raises AppError."""
    runtime = runtime_of(service.machine.cluster)
    goal = wanted.of_service(service)
    observed = runtime.advance(goal) if goal is not None else runtime.observe(wanted.ref_of(service))
    return observing.store(service, observed)
