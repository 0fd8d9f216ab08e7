"""The log for pages: rows of lines, search, steps, download. JSON as written in static/js/logview.js.

Only parses, fetches what the person may see, and answers; knows nothing of how a log is kept.
"""

from __future__ import annotations

from typing import Any, Literal, cast

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from builds.models import Build, Stage
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.enforce import OBJECT, Page

from . import reader, search
from .sending import whole_log

BIG = 10**15


class LogPage(Page):
    """Fetches the build by its id; a stage in the query means that stage and all inside it."""

    permission = OBJECT

    def build(self) -> Build:
        return policy.fetch(self.actor, Build.objects.select_related("project"), pk=self.kwargs["pk"])

    def number(self, name: str, default: int) -> int:
        """A whole number of the query. Raises Invalid."""
        text = self.request.GET.get(name, "")
        try:
            value = int(text) if text else default
        except ValueError:
            value = BIG
        if abs(value) >= BIG:
            raise Invalid(S("%(name)s must be a whole number.", name=name))
        return value

    def stages(self, build: Build) -> frozenset[str] | None:
        chosen = self.request.GET.get("stage", "")
        return within(build, chosen) if chosen else None


class Lines(LogPage):
    """`?from=&count=&stage=`: rows; `from` below zero counts from the end."""

    def get(self, request: HttpRequest, pk: int) -> JsonResponse:
        build = self.build()
        count = max(1, min(self.number("count", 500), reader.MAX_ROWS))
        page = reader.lines(build.pk, self.number("from", -500), count, self.stages(build))
        return JsonResponse(
            {
                "first": page.first,
                "total_lines": page.total_rows,
                "total_bytes": page.head.size,
                "next_offset": page.head.size,
                "complete": page.head.complete,
                "lines": page.rows,
            }
        )


class Find(LogPage):
    """`?q=&after=&direction=next|prev&stage=`: the nearest row with these words, or null."""

    def get(self, request: HttpRequest, pk: int) -> JsonResponse:
        build = self.build()
        direction = request.GET.get("direction", "next")
        if direction not in {"next", "prev"}:
            raise Invalid(S("direction must be “next” or “prev”."))
        way = cast(Literal["next", "prev"], direction)
        words = request.GET.get("q", "")
        row = search.find(build.pk, words, self.number("after", 0), way, self.stages(build))
        return JsonResponse({"line": row})


class Marks(LogPage):
    """`?stage=`: where steps begin, and the first error."""

    def get(self, request: HttpRequest, pk: int) -> JsonResponse:
        build = self.build()
        found = reader.marks(build.pk, self.stages(build))
        return JsonResponse({"first_error": found.first_error, "steps": found.steps})


class Download(LogPage):
    """The whole log as text; compressed on its way where the client takes gzip."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        build = self.build()
        response = whole_log(request, reader.head(build.pk))
        response["Content-Disposition"] = f'attachment; filename="{build.project.slug}-{build.number}.log"'
        return response


def within(build: Build, stage: str) -> frozenset[str]:
    """The stage and all stages inside it, by their idents."""
    children: dict[str, list[str]] = {}
    for ident, parent in Stage.objects.filter(build=build).values_list("ident", "parent"):
        children.setdefault(parent, []).append(ident)
    found: set[str] = set()
    waiting: list[Any] = [stage[:80]]
    while waiting:
        ident = waiting.pop()
        if ident not in found:
            found.add(ident)
            waiting.extend(children.get(ident, ()))
    return frozenset(found)
