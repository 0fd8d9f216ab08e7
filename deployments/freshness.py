"""How old what is shown of services is. Rows of a cluster are as new as the watch that writes them; one question for all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from clusters import observed
from clusters.kubernetes import KIND
from clusters.runtimes import SEEN
from deployments.models import Service

FOLLOWED = timedelta(seconds=30)  # a watch that lives says so every few seconds


@dataclass(frozen=True, slots=True)
class Knowledge:
    """`seen_at`: when what is shown was last known to be so; None: never. `followed`: somebody keeps it up to date."""

    seen_at: datetime | None
    followed: bool

    @property
    def age_ms(self) -> int | None:
        return None if self.seen_at is None else int(1000 * observed.age(self.seen_at))


def of_services(services: Iterable[Service]) -> dict[int, Knowledge]:
    """What is known of each, by its id; of kinds that are looked at, and not followed, their last look counts."""
    wanted = list(services)
    watched = {s.machine.cluster_id for s in wanted if s.machine.cluster.kind == KIND}
    feeds = observed.seen_at(watched, SEEN) if watched else {}
    limit = timezone.now() - FOLLOWED
    found = {}
    for service in wanted:
        if service.machine.cluster_id in feeds:
            seen = feeds[service.machine.cluster_id]
            found[service.pk] = Knowledge(seen, followed=seen is not None and seen >= limit)
        else:
            found[service.pk] = Knowledge(service.observed_at, followed=True)
    return found
