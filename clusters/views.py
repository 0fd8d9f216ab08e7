"""The page that says in advance when nothing may be deployed."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from clusters.freeze_calendar import WEEKS, calendar
from clusters.models import Machine
from permissions import policy
from permissions.enforce import SIGNED_IN, Page


class Freezes(Page):
    """The next weeks for every machine, to everybody: whoever plans a release wants to know."""

    permission = SIGNED_IN

    def get(self, request: HttpRequest) -> HttpResponse:
        machines = list(Machine.objects.all())
        weeks, lines = calendar(machines, timezone.localtime())
        context = {
            "weeks": weeks,
            "lines": lines,
            "count": WEEKS,
            "all": len(machines),
            "zone": timezone.get_current_timezone_name(),
            "may_change": policy.is_ops(self.actor),
        }
        return render(request, "clusters/freezes.html", context)
