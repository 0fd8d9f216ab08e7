"""Is the portal alive, is it ready, what are its numbers; and the pages for errors that reach no view."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError, connection
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone

from builds.models import Build
from clusters import numbers
from deployments.models import Deployment, Service
from fangduoduo_release.common.errors import AppError, Denied, NotFound
from fangduoduo_release.common.http import refusal, wants_json
from fangduoduo_release.common.models import Beat, InboxItem
from fangduoduo_release.common.sentence import S
from permissions.enforce import PUBLIC, Page
from projects import listening

FRESH_S = 30.0


class Live(Page):
    """200 while the process answers at all; asks nothing of anybody."""

    permission = PUBLIC

    def get(self, request: HttpRequest) -> JsonResponse:
        return JsonResponse({"alive": True})


class Ready(Page):
    """Per dependency; 503 when the database is away."""

    permission = PUBLIC

    def get(self, request: HttpRequest) -> JsonResponse:
        parts: dict[str, Any] = {"database": _database()}
        if parts["database"]:
            parts.update(_processes())
        ok = parts["database"]
        response = JsonResponse({"ready": ok, **parts}, status=200 if ok else 503)
        if not ok:
            response["Retry-After"] = "5"
        return response


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _processes() -> dict[str, bool]:
    """Whether a worker and a watch gave a sign of life lately."""
    last = dict(Beat.objects.values_list("kind").annotate(Max("seen_at")))
    now = timezone.now()
    return {kind: kind in last and (now - last[kind]).total_seconds() < FRESH_S for kind in ("worker", "watch")}


class Metrics(Page):
    """Prometheus text: counts of runs by state, what waits, what needs ops. No names, so it needs no sign-in."""

    permission = PUBLIC

    def get(self, request: HttpRequest) -> HttpResponse:
        lines = []
        for name, model in (("builds", Build), ("deployments", Deployment)):
            active = model.objects.filter(state__in=model.STATES.active)
            lines += [
                f"# HELP fdd_{name}_active {name} that have not ended, by state",
                f"# TYPE fdd_{name}_active gauge",
            ]
            counts = dict(active.values_list("state").annotate(Count("id")))
            lines += [f'fdd_{name}_active{{state="{s}"}} {counts.get(s, 0)}' for s in model.STATES.active]
            waiting = active.filter(needs_ops=True).count()
            lines += [f"# TYPE fdd_{name}_need_ops gauge", f"fdd_{name}_need_ops {waiting}"]
        lines += ["# TYPE fdd_services gauge"]
        lines += [
            f'fdd_services{{state="{state}"}} {count}'
            for state, count in Service.objects.values_list("state").annotate(Count("id"))
        ]
        new = InboxItem.objects.filter(state=InboxItem.State.NEW).count()
        lines += ["# TYPE fdd_inbox_waiting gauge", f"fdd_inbox_waiting {new}"]
        silent = listening.silent(listening.ALARM_S).count()
        lines += ["# TYPE fdd_source_listeners_down gauge", f"fdd_source_listeners_down {silent}"]
        lines += numbers.lines()
        return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refusal(request, AppError(S("This request cannot be understood."), code="bad_request"))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    if wants_json(request):
        return refusal(request, Denied(S("You may not do this."), rule="forbidden", granted_by=["ops"]))
    return render(request, "errors/403.html", status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return refusal(request, NotFound(S("There is nothing here, or you may not see it.")))


def broken(request: HttpRequest) -> HttpResponse:
    if wants_json(request):
        error = AppError(S("Something broke on our side; it was written to the log."), code="broken")
        error.status = 500
        return refusal(request, error)
    return render(None, "errors/500.html", status=500)
