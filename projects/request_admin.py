"""The ops screen for requests: filter, look at what one would change, decide one or many through the same actions.

A decision made here carries the hash of what the page showed, as everywhere. One's own requests are shown as not
decidable, and the action refuses them whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.http import say
from permissions.admin_base import ReadOnlyAdmin
from projects import consequences, deciders, decisions, requests
from projects.models import AccessRequest

MANY = 100


class ReviewFilter(admin.SimpleListFilter):
    """Emergencies by whether somebody has looked at them since."""

    title = _("review")
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("due", _("waits for a review")), ("overdue", _("overdue")), ("done", _("reviewed"))]

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        due = rows.filter(emergency=True, state="approved", reviewed_at=None)
        if self.value() == "due":
            return due
        if self.value() == "overdue":
            return due.filter(decided_at__lte=timezone.now() - timedelta(hours=settings.REVIEW_HOURS))
        return rows.exclude(reviewed_at=None) if self.value() == "done" else rows


@admin.register(AccessRequest)
class RequestAdmin(ReadOnlyAdmin):
    change_form_template = "admin/projects/accessrequest/change_form.html"
    list_display = (
        "what", "slug", "requester_name", "state", "emergency", "until", "created_at", "decidable",
    )  # fmt: skip
    list_filter = ("state", "kind", "emergency", ReviewFilter, "machine__environment", "machine", "created_at")
    list_select_related = ("project", "machine", "requester", "decided_by")
    search_fields = ("slug", "requester_name", "reason", "=machine__name")
    fields = (
        ("kind", "slug"), ("role", "machine"), "requester_name", "reason", ("until", "emergency"), "state",
        ("created_at", "expires_at"), ("decided_by_name", "decided_at"), "note", ("reviewed_by_name", "reviewed_at"),
        "review_note",
    )  # fmt: skip
    actions = ["approve_chosen", "reject_chosen"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """What reached a project; a name that nobody has is nobody's to decide."""
        return super().get_queryset(request).filter(project__isnull=False)

    @admin.display(description=_("what"))
    def what(self, row: AccessRequest) -> str:
        if row.machine is None:
            return str(row.get_role_display())
        return f"{row.machine} · {row.machine.get_environment_display()}"

    @admin.display(description=_("yours to decide"), boolean=True)
    def decidable(self, row: AccessRequest) -> bool | None:
        return getattr(row, "mine_to_decide", None)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        for row in found.result_list:
            row.mine_to_decide = deciders.may_decide(request.user, row) if row.state == "pending" else None
        return found

    # -- one request ----------------------------------------------------------------------------------------------
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        one = self.get_object(request, object_id)
        if one is None or not self.has_view_permission(request, one):
            return super().change_view(request, object_id, form_url, extra_context)
        if request.method == "POST":
            return self._decide(request, one)
        extra = {**(extra_context or {}), **_shown(request.user, one), "show_close": True}
        return super().change_view(request, object_id, form_url, extra)

    def _decide(self, request: HttpRequest, one: AccessRequest) -> HttpResponse:
        wish, note, seen = (request.POST.get(name, "") for name in ("do", "note", "sha256"))
        try:
            if wish in {"approve", "alone"}:
                decisions.approve(actor=request.user, request=one, sha256=seen, note=note, alone=wish == "alone")
            elif wish == "review":
                decisions.review(actor=request.user, request=one, note=note)
            elif wish == "reject":
                decisions.reject(actor=request.user, request=one, sha256=seen, note=note)
        except AppError as error:
            self.message_user(request, say(error.sentence), level=messages.ERROR)
        else:
            self.message_user(request, str(_("Decided.")))
        return HttpResponseRedirect(request.path)

    # -- many -----------------------------------------------------------------------------------------------------
    @admin.action(description=_("Approve…"))
    def approve_chosen(self, request: HttpRequest, rows: QuerySet[AccessRequest]) -> HttpResponse | None:
        return self._many(request, rows, "approve_chosen", decisions.approve)

    @admin.action(description=_("Reject…"))
    def reject_chosen(self, request: HttpRequest, rows: QuerySet[AccessRequest]) -> HttpResponse | None:
        return self._many(request, rows, "reject_chosen", decisions.reject)

    def _many(
        self, request: HttpRequest, rows: QuerySet[AccessRequest], action: str, decide: Callable[..., Any]
    ) -> HttpResponse | None:
        """First a page with each request and what it would change; its button comes back here with their hashes."""
        chosen = list(rows.select_related("project", "machine", "requester", "decided_by").order_by("pk")[:MANY])
        if "confirm" in request.POST:
            self._confirmed(request, chosen, decide)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": _("Approve these requests?") if action == "approve_chosen" else _("Reject these requests?"),
            "opts": self.model._meta,
            "action": action,
            "approves": action == "approve_chosen",
            "rows": [(one, _shown(request.user, one)) for one in chosen],
            "able": any(_decidable(request.user, one) for one in chosen),
            "action_name": "action",
        }
        return TemplateResponse(request, "admin/projects/accessrequest/decide.html", context)

    def _confirmed(self, request: HttpRequest, chosen: list[AccessRequest], decide: Callable[..., Any]) -> None:
        note, done = request.POST.get("note", ""), 0
        for one in chosen:
            seen = request.POST.get(f"sha256_{one.pk}")
            if seen is None:  # it was shown as not theirs to decide
                continue
            try:
                decide(actor=request.user, request=one, sha256=seen, note=note)
                done += 1
            except AppError as error:
                self.message_user(request, f"{one}: {say(error.sentence)}", level=messages.ERROR)
        if done:
            self.message_user(request, f"{_('Decided')}: {done}")


def _decidable(actor: Any, one: AccessRequest) -> bool:
    return one.state == "pending" and deciders.may_decide(actor, one)


def _shown(actor: Any, one: AccessRequest) -> dict[str, Any]:
    """What the page of one request, and its line on the page for many, need."""
    return {
        "effect": consequences.of_request(one),
        "past": consequences.history(one),
        "may_decide": _decidable(actor, one),
        "own": one.requester_id == actor.pk,
        "signed": one.emergency and one.state == "pending" and one.decided_by_id is not None,
        "may_review": deciders.reviews_due(actor).filter(pk=one.pk).exists(),
        "changed": one.state == "pending" and requests.fingerprint(one) != one.asked_sha256,
    }
