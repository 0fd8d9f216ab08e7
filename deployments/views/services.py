"""The page of a service's log lines."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from clusters.drivers.runtime.base import LogQuery
from clusters.runtimes import runtime_of
from deployments import wanted
from deployments.api.services import MAX_TAIL, rows
from permissions import policy
from permissions.enforce import OBJECT, Page


class Logs(Page):
    """The last lines of all instances or of one."""

    permission = OBJECT

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        service = policy.fetch(self.actor, rows(), pk=pk)
        tail = request.GET.get("tail", "300")
        count = min(int(tail), MAX_TAIL) if tail.isdecimal() and len(tail) < 9 and int(tail) else 300
        names = [instance.name for instance in service.instances.all()]
        chosen = request.GET.get("instance", "")
        query = LogQuery(instance=chosen if chosen in names else "", tail=count)
        found = runtime_of(service.machine.cluster).logs(wanted.ref_of(service), query)
        lines = [
            {"at": line.at, "instance": line.instance, "text": line.data.decode(errors="replace").rstrip("\n")}
            for line in found.lines
        ]
        context = {
            "service": service,
            "lines": lines,
            "instances": service.instances.all(),
            "chosen": chosen,
            "tail": count,
        }
        return render(request, "deployments/logs.html", context)
