"""Write down what a runtime observed of a service: its rows, and an event when something a person sees changed."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now

from clusters.drivers.runtime.base import Observed
from deployments.models import Instance, Service
from fangduoduo_release.common import events

STATES = {
    "absent": "absent",
    "converging": "changing",
    "removing": "changing",
    "ready": "healthy",
    "degraded": "degraded",
    "stopped": "down",
    "failed": "down",
}

LONGEST, LONGEST_URL = 120, 300  # of what is kept; a node may be called by 253 letters


def store(service: Service, observed: Observed) -> bool:
    """Keep the observation; True when it differs from the last one in anything a person sees."""
    state = STATES.get(observed.state, "unknown")
    if observed.state == "failed" and observed.ready:
        state = "degraded"
    digests = observed.serving_digests  # what leaves has been replaced already
    digest = next(iter(digests)) if len(digests) == 1 else ""
    seen = {
        i.name: (
            i.state, i.ready, i.restarts, i.digest, i.node[:LONGEST], f"{i.node}:{i.port}"[:LONGEST] if i.port else "",
            i.started_at, i.reason.as_json() if i.reason else None, list(i.containers),
        )
        for i in observed.instances
    }  # fmt: skip
    known = {
        i.name: (i.state, i.ready, i.restarts, i.digest, i.node, i.address, i.started_at, i.reason, i.containers)
        for i in service.instances.all()
    }
    drift = [one.as_json() for one in observed.drift]
    facts = (state, observed.ready, observed.total, digest, drift, observed.url[:LONGEST_URL])
    before = (service.state, service.ready, service.total, service.observed_digest, service.drift, service.url)
    changed = seen != known or facts != before
    with transaction.atomic():
        if changed:
            _write_instances(service, seen, known)
            service.state, service.ready, service.total, service.observed_digest, service.drift, service.url = facts
            Service.objects.filter(pk=service.pk).update(
                state=state, ready=observed.ready, total=observed.total, observed_digest=digest, drift=drift,
                url=service.url, observed_at=Now(),
            )  # fmt: skip
            events.record(service, "observed", ready=observed.ready, total=observed.total, state=state)
        else:
            Service.objects.filter(pk=service.pk).update(observed_at=Now())
    return changed


def _write_instances(service: Service, seen: dict[str, tuple], known: dict[str, tuple]) -> None:  # type: ignore[type-arg]
    Instance.objects.filter(service=service).exclude(name__in=list(seen)).delete()
    for name, facts in seen.items():
        if known.get(name) == facts:
            continue
        state, ready, restarts, digest, node, address, started_at, reason, containers = facts
        Instance.objects.update_or_create(
            service=service,
            name=name,
            defaults={
                "state": state,
                "ready": ready,
                "restarts": restarts,
                "digest": digest,
                "node": node,
                "address": address,
                "started_at": started_at,
                "reason": reason,
                "containers": containers,
            },
        )
