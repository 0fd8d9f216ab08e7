"""The audit trail for people: a page to look through it, and the same rows as a download."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from fangduoduo_release.audit import search, trail, verifying
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.audit.search import Wanted
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.paging import ListPage, page_of
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.sockets.pool import DatabasePool, stream
from permissions import audit_words, policy
from permissions.audit_access import entries_for, may_decide
from permissions.audit_export import KINDS, pieces
from permissions.enforce import OBJECT, Page

REQUEST = "projects.accessrequest"
TRAIL = trail.Named("audit.auditentry", "", "audit trail")
_pool = DatabasePool("audit-export", 2)


class Audit(Page):
    """Newest first; the filters are in the address. Ops see all, others name a project they maintain."""

    permission = OBJECT

    def get(self, request: HttpRequest) -> HttpResponse:
        wanted = Wanted.of(request.GET.dict())
        rows = entries_for(self.actor, wanted.project)
        page, edge = found_page(request, wanted, rows)
        filters = wanted.as_dict()
        decides = may_decide(self.actor, wanted.project)
        context = {
            "page": page,
            "shown": [shown(entry, decides=decides) for entry in page.rows],
            "edge": edge,
            "bound": search.BOUND,
            "wanted": wanted,
            "groups": [(f"{name}.", label) for name, label in audit_words.GROUPS.items()],
            "filtered": filters if policy.is_ops(self.actor) else {k: v for k, v in filters.items() if k != "project"},
            "clear_url": request.path if policy.is_ops(self.actor) else f"?{urlencode({'project': wanted.project})}",
            "verb_alone": bool(wanted.verb) and wanted.verb.rstrip(".") not in audit_words.GROUPS,
            "query": urlencode(filters),
            "ops": policy.is_ops(self.actor),
            "check": verifying.last_check(),
        }
        return render(request, "permissions/audit.html", context)


def found_page(request: HttpRequest, wanted: Wanted, rows: Any) -> tuple[ListPage, int | None]:
    """A page of what matches, and the id where a bounded search stopped before it was full."""
    cursors = {name: int(text) for name in ("before", "after") if (text := request.GET.get(name, "")).isdecimal()
               and len(text) < 19}  # fmt: skip
    bounded = search.bounded(wanted, rows, before=cursors.get("before"), after=cursors.get("after"))
    page = page_of(request, bounded.rows)
    if page.next is not None or bounded.edge is None:
        return page, None
    query = request.GET.copy()
    query.pop("after", None)
    query["before"] = str(bounded.edge + 1)
    return ListPage(page.rows, page.previous, f"{request.path}?{query.urlencode()}"), bounded.edge


def shown(entry: AuditEntry, *, decides: bool) -> dict[str, Any]:
    """What the page says of a row. A request's own page opens for those who decide it, and for nobody else here."""
    leads = decides or entry.object_kind != REQUEST
    return {
        "entry": entry,
        "sentence": audit_words.sentence(entry),
        "icon": audit_words.icon(entry),
        "url": audit_words.address(entry) if leads else "",
        "changes": audit_words.changes(entry),
    }


class AuditExport(Page):
    """All rows of the same filter; that somebody took them is a row itself."""

    permission = OBJECT

    def get(self, request: HttpRequest) -> HttpResponseBase:
        kind = request.GET.get("format", "csv")
        if kind not in KINDS:
            raise Invalid(S("There is no export as “%(kind)s”; there are csv and json.", kind=kind[:20]))
        wanted = Wanted.of(request.GET.dict())
        rows = entries_for(self.actor, wanted.project)
        facts = {"format": kind, **{f"filter {name}": value for name, value in wanted.as_dict().items()}}
        mark = trail.record(self.actor, "audit.export", TRAIL, after=facts, project=wanted.project)
        parts = pieces(kind, wanted, rows, mark.pk - 1)
        response = StreamingHttpResponse(
            stream(_pool, parts) if isinstance(request, ASGIRequest) else parts, content_type=KINDS[kind]
        )
        name = f"audit-{timezone.now():%Y%m%d-%H%M%S}.{'csv' if kind == 'csv' else 'jsonl'}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        response["Cache-Control"] = "private, no-store"
        response["X-Content-Type-Options"] = "nosniff"
        return response
