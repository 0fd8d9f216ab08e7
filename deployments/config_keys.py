"""Which configuration elsewhere is in use, and by which services: asked and told by the watch, which knows neither.

In use is what a service was deployed with, and what a project's newest spec would be deployed with on each of its machines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import transaction
from django.db.models import F, OuterRef, Subquery

from clusters.configs import Pinned, values_of
from clusters.drivers.config.binding import EMBEDDED, ConfigBinding
from clusters.models import Machine
from deployments import configuring
from deployments.models import Service
from fangduoduo_release.common import events
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S
from projects import grants
from projects.models import SpecRevision


def in_use() -> Mapping[str, frozenset[str]]:
    """The keys of each source but the embedded one, by its name in bindings."""
    found: dict[str, set[str]] = defaultdict(set)
    for pin in Service.objects.exclude(config=None).values_list("config", flat=True):
        pinned = configuring.pinned(pin)
        if pinned is not None:
            found[pinned.source].update(_named(pinned))
    for source, keys in _bound():
        found[source].update(keys)
    return {source: frozenset(keys) for source, keys in found.items() if source != EMBEDDED and keys}


def changed(source: str, key: str) -> None:
    """A key says something new: tell the services that run with it, so that their pages look again."""
    for service in Service.objects.exclude(config=None):
        pinned = configuring.pinned(service.config)
        if pinned is not None and pinned.source == source and key in _named(pinned):
            sentence = S("The configuration “%(key)s” says something new in “%(source)s”.", key=key, source=source)
            with transaction.atomic():
                events.record(service, "config_changed", sentence)


def _named(pinned: Pinned) -> set[str]:
    return {key for key in (pinned.key, *(one.key for one in pinned.files)) if key}


def _bound() -> Iterator[tuple[str, list[str]]]:
    newest = SpecRevision.objects.filter(project=OuterRef("project")).order_by("-number").values("number")[:1]
    rows = SpecRevision.objects.filter(
        spec__has_key="config", project__archived=False, number=Subquery(newest)
    ).annotate(slug=F("project__slug"))
    specs = {row.project_id: (row.slug, row.spec.get("config")) for row in rows}
    machines = _machines(specs)
    for pk, (slug, config) in specs.items():
        yield from _keys(slug, config, machines[pk])


def _keys(slug: str, config: Any, machines: set[Machine]) -> Iterator[tuple[str, list[str]]]:
    try:
        binding = ConfigBinding.from_json(config)
        for machine in machines if binding is not None and binding.source != EMBEDDED else ():
            yield binding.source, binding.keys(values_of(slug, machine))  # type: ignore[union-attr]
    except Invalid:
        return  # a spec of another time; whoever deploys with it is told


def _machines(projects: Mapping[int, Any]) -> dict[int, set[Machine]]:
    """Where each of these projects runs or may run."""
    found: dict[int, set[Machine]] = defaultdict(set)
    granted = grants.live_machine_grants().filter(project__in=list(projects)).select_related("machine")
    for grant in granted:
        found[grant.project_id].add(grant.machine)
    for service in Service.objects.filter(project__in=list(projects)).exclude(version=None).select_related("machine"):
        found[service.project_id].add(service.machine)
    return found
