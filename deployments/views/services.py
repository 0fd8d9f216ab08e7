"""The pages of a service's log lines and of a terminal in one of its instances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from clusters.drivers.runtime.base import LogLine, LogQuery
from clusters.placing import KUBERNETES
from clusters.runtimes import runtime_of
from deployments import naming, wanted
from deployments.api.services import MAX_TAIL, rows
from deployments.models import Instance, Service
from deployments.rights import may_open_terminal, require_terminal
from deployments.streams.choosing import chosen
from fangduoduo_release.common.errors import AppError
from permissions import policy
from permissions.enforce import OBJECT, Page
from projects.grants import has_machine

TAIL = 500


def containers_of(instances: Iterable[Instance]) -> list[str]:
    """Of all instances, the main ones first."""
    found: dict[str, None] = {}
    for one in instances:
        found |= dict.fromkeys(str(name) for name in one.containers)
    return list(found)


class Logs(Page):
    """The last lines of all instances or of one; the page's script then follows them."""

    permission = OBJECT

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        service = policy.fetch(self.actor, rows(), pk=pk)
        tail = request.GET.get("tail", "")
        count = min(int(tail), MAX_TAIL) if tail.isdecimal() and len(tail) < 9 and int(tail) else TAIL
        known = list(service.instances.all())
        names, containers = [one.name for one in known], containers_of(known)
        instance, container = request.GET.get("instance", ""), request.GET.get("container", "")
        query = LogQuery(
            instance=instance if instance in names else "",
            tail=count,
            previous=request.GET.get("previous") == "1",
            container=container if container in containers else "",
        )
        lines, trouble = self._lines(service, query)
        asked = {"instance": query.instance, "container": query.container, "previous": "1" if query.previous else ""}
        words = urlencode({name: value for name, value in asked.items() if value} | {"tail": count})
        context = {
            "service": service,
            "lines": lines,
            "trouble": trouble,
            "instances": names,
            "containers": containers,
            "chosen": query,
            "tail": count,
            "terminal": terminal_of(self.actor, service),
            "socket_url": f"/ws/services/{service.pk}/logs/?{words}",
            "lines_url": f"{reverse('service-logs', args=[service.pk])}?{words}",
            "download_url": "" if trouble else f"/api/services/{service.pk}/logs/?{words}",
        }
        return render(request, "deployments/logs.html", context)

    def _lines(self, service: Service, query: LogQuery) -> tuple[list[dict[str, Any]], AppError | None]:
        """The lines now; a cluster that does not answer is a sentence on the page, which goes on trying."""
        try:
            found = runtime_of(service.machine.cluster).logs(wanted.ref_of(service), query)
        except AppError as error:
            return [], error
        return [shown(line) for line in found.lines], None


def shown(line: LogLine) -> dict[str, Any]:
    return {
        "at": line.at,
        "instance": line.instance,
        "short": naming.short(line.instance),
        "shade": naming.shade(line.instance),
        "text": line.data.decode(errors="replace").rstrip("\n"),
    }


def terminal_of(actor: Any, service: Service, *, granted: bool | None = None) -> dict[str, Any]:
    """How a page offers the terminal: `url`, and whether it is `locked`; {} where there is none (this host). `granted`:
    whether the project may use the machine, where that is known."""
    if service.machine.cluster.kind != KUBERNETES:
        return {}
    if granted is None:
        granted = has_machine(service.project, service.machine)
    url = reverse("service-terminal", args=[service.pk])
    return {"url": url, "locked": not may_open_terminal(actor, service, granted=granted)}


class TerminalPage(Page):
    """A shell in an instance. Who may not gets the reason, and where to ask."""

    permission = OBJECT

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        service = policy.fetch(self.actor, rows(), pk=pk)
        require_terminal(self.actor, service)
        known = list(service.instances.all())
        instance, container = chosen(known, request.GET.get("instance", ""), request.GET.get("container", ""))
        here = next((one for one in known if one.name == instance), None)
        context = {
            "service": service,
            "offered": service.machine.cluster.kind == KUBERNETES,
            "instances": [one.name for one in known],
            "instance": here.name if here else "",
            "containers": here.containers if here else [],
            "container": container,
            "socket_url": f"/ws/services/{service.pk}/terminal/?"
            + urlencode({"instance": instance, "container": container}),
        }
        return render(request, "deployments/terminal.html", context)
