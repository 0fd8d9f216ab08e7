"""The ops screen for what servers told by webhook: what came of each delivery, its body, and a button to replay it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.common.errors import AppError, NotFound
from fangduoduo_release.common.http import say
from fangduoduo_release.common.sentence import S
from permissions.admin_base import ReadOnlyAdmin
from projects.hooks import actions as hooks
from projects.hooks.shown import came_of, pretty
from projects.models import HookDelivery
from projects.source_admin import moment

MARKS = {HookDelivery.State.DONE: ("good", "✓"), HookDelivery.State.FAILED: ("bad", "✗")}


@admin.register(HookDelivery)
class HookDeliveryAdmin(ReadOnlyAdmin):
    change_form_template = "admin/projects/hookdelivery/change_form.html"
    list_display = ("id", "received_at", "how", "came_of", "connection", "what")
    list_filter = ("state", "kind", "connection", "received_at")
    list_select_related = ("connection",)
    search_fields = ("=delivery_id", "=event")
    big_columns = ("body",)
    fields = (
        ("connection", "kind", "event"), "ident", ("received_at", "size"), ("how", "came_of"),
        ("handled", "replays"), "shown_body",
    )  # fmt: skip
    readonly_fields = ("ident", "handled", "how", "came_of", "shown_body")
    actions = ["replay"]

    @admin.display(description=_("state"), ordering="state")
    def how(self, row: HookDelivery) -> SafeString:
        style, mark = MARKS.get(HookDelivery.State(row.state), ("quiet", "…"))
        return format_html('<strong class="{}">{} {}</strong>', style, mark, row.get_state_display())

    @admin.display(description=_("kind"), ordering="kind")
    def what(self, row: HookDelivery) -> str:
        return f"{row.kind} {row.event}"

    @admin.display(description=_("id of the delivery"))
    def ident(self, row: HookDelivery) -> str:
        return row.delivery_id or "–"

    @admin.display(description=_("done at"))
    def handled(self, row: HookDelivery) -> str:
        return moment(row.handled_at)

    @admin.display(description=_("what came of it"))
    def came_of(self, row: HookDelivery) -> str:
        return came_of(row)

    @admin.display(description=_("body"))
    def shown_body(self, row: HookDelivery) -> SafeString:
        return format_html('<pre class="delivery-body">{}</pre>', pretty(row))

    @admin.action(description=_("Replay"))
    def replay(self, request: HttpRequest, rows: QuerySet[HookDelivery]) -> None:
        def act(row: HookDelivery) -> None:
            hooks.replay(actor=request.user, delivery=row)

        self.each(request, rows, act, str(_("Queued again")))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.replay_view)
        return [path("<path:object_id>/replay/", view, name="projects_hookdelivery_replay"), *super().get_urls()]

    def replay_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The button on the page of a delivery."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        found: Any = self.get_object(request, object_id)
        if found is None or not self.has_view_permission(request, found):
            raise NotFound(S("There is no such delivery, or it is not kept any more."))
        try:
            hooks.replay(actor=request.user, delivery=found)
        except AppError as error:
            self.message_user(request, say(error.sentence), level=messages.ERROR)
        else:
            self.message_user(request, gettext("Queued again."))
        return HttpResponseRedirect(reverse("admin:projects_hookdelivery_change", args=[found.pk]))
