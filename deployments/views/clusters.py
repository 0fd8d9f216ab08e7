"""Pages of clusters: how well each is followed, its machines, and what runs there. Everything is read from rows."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime

from clusters import connecting
from clusters.models import Cluster, Machine
from clusters.placing import CONNECTED, KUBERNETES, namespace_of, warnings
from clusters.standing import following, nodes_of
from deployments.addresses import address_of
from deployments.models import Service
from fangduoduo_release.common.errors import NotFound
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.enforce import SIGNED_IN, Page
from projects.models import Project

SHOWN = 200  # services on the page of one cluster


class Clusters(Page):
    """Every cluster in a line."""

    permission = SIGNED_IN

    def get(self, request: HttpRequest) -> HttpResponse:
        clusters = list(Cluster.objects.select_related("connection"))
        known = following(clusters)
        context = {
            "clusters": [(one, known[one.pk], version_of(one)) for one in clusters],
            "is_ops": policy.is_ops(self.actor),
        }
        return render(request, "deployments/clusters.html", context)


class ClusterPage(Page):
    """One cluster: machines and services to everybody, its nodes and what its account lacks to ops."""

    permission = SIGNED_IN

    def get(self, request: HttpRequest, name: str) -> HttpResponse:
        cluster = Cluster.objects.select_related("connection").filter(name=name).first()
        if cluster is None:
            raise NotFound(S("There is no cluster called “%(name)s”.", name=name))
        machines = list(Machine.objects.filter(cluster=cluster))
        services = list(self._services(cluster)[: SHOWN + 1])
        context = {
            "cluster": cluster,
            "following": following([cluster])[cluster.pk],
            "version": version_of(cluster),
            "connected": cluster.kind in CONNECTED,
            "is_kubernetes": cluster.kind == KUBERNETES,
            "machines": [
                (machine, namespace_of(machine.placement), warnings(cluster.kind, machine.placement))
                for machine in machines
            ],
            "services": [(one, address_of(one)) for one in services[:SHOWN]],
            "more": len(services) > SHOWN,
            "is_ops": policy.is_ops(self.actor),
        }
        if context["is_ops"]:
            context |= self._for_ops(cluster, machines)
        return render(request, "deployments/cluster.html", context)

    def _services(self, cluster: Cluster) -> QuerySet[Service]:
        mine = policy.visible(self.actor, Project.objects.all())
        rows = Service.objects.filter(machine__cluster=cluster, project__in=mine).exclude(state="absent")
        return rows.select_related("project", "machine__cluster", "version").order_by("machine__order", "project__slug")

    def _for_ops(self, cluster: Cluster, machines: list[Machine]) -> dict[str, Any]:
        test = connecting.shown(cluster.connection.last_test) if cluster.connection else None
        asked = set((test or {}).get("namespaces") or ())
        named = {namespace_of(machine.placement) for machine in machines} - {""}
        return {
            "test": test,
            "tested_at": parse_datetime(str(test.get("at", ""))) if test else None,
            "untested": sorted(named - asked) if test else [],
            "nodes": nodes_of(cluster) if cluster.kind == KUBERNETES else [],
        }


def version_of(cluster: Cluster) -> str:
    """What its server said it is when the connection was last tested."""
    test = cluster.connection.last_test if cluster.connection else None
    return str(test.get("version") or "") if isinstance(test, dict) else ""
