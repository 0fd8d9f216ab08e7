"""How long a deployment may take, and when it is late: by the database's deadline and by this process's own clock."""

from __future__ import annotations

import time

from django.db import transaction
from django.utils import timezone

from clusters.drivers.runtime.base import Plan, Wanted
from clusters.drivers.runtime.spec import FETCH_S
from deployments.models import Deployment, Service
from fangduoduo_release.common import events, runs
from fangduoduo_release.common.sentence import S
from projects import specs

LATE_S = 120.0  # on top of what an image, a start and a drain may take
KEPT = 1000


class Followed:
    """How long this process has followed each deployment: a clock that jumped ends nothing early."""

    def __init__(self) -> None:
        self._since: dict[int, float] = {}

    def forget(self, deployment: Deployment) -> None:
        """Time in which nobody could look does not count."""
        self._since.pop(deployment.pk, None)

    def is_late(self, deployment: Deployment) -> bool:
        """Past its deadline by the clock, and followed here for nearly as long."""
        if deployment.deadline_at is None or deployment.started_at is None:
            return False
        if len(self._since) > KEPT:
            self._since.clear()
        followed = time.monotonic() - self._since.setdefault(deployment.pk, time.monotonic())
        allowed = (deployment.deadline_at - deployment.started_at).total_seconds()
        return deployment.deadline_at < timezone.now() and followed > allowed * 0.9


def of_goal(goal: Wanted, plan: Plan, service: Service) -> float:
    """Seconds: as if its instances were replaced one after the other, each on a node that has not its image yet. Where the
    load decides how many there are, those that it may ask for, or that are there now, count."""
    start_s = goal.spec.start_deadline_s if plan.start_s is None else plan.start_s
    most = goal.spec.autoscale.high if goal.spec.autoscale else 0
    instances = max(1, goal.spec.replicas, most, service.total)
    return LATE_S + (FETCH_S + start_s + goal.spec.drain_s) * instances


def of_removal(service: Service) -> float:
    """Seconds: all its instances drain and stop at once."""
    if service.spec_revision is None:
        return LATE_S
    spec = specs.service_spec(service.spec_revision)
    return LATE_S + spec.drain_s + spec.stop_grace_s


def tell(deployment: Deployment) -> None:
    """A removal is never turned back by itself: most of it is gone already, and it is what was asked for."""
    if deployment.pins.get("late"):
        return
    with transaction.atomic():
        deployment.pins["late"] = True
        runs.write(deployment, pins=deployment.pins)
        said = S(
            "It takes longer than it may, and is waited for until nothing is left; cancel it to bring back what ran."
        )
        events.record(deployment, "late", said)
