"""The ops screen for clusters, machines and freeze windows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from clusters import actions, feed_admin, freezing
from clusters.forms import ClusterForm, FreezeForm, MachineForm
from clusters.kubernetes import KIND
from clusters.models import Cluster, FreezeWindow, Machine
from clusters.placing import namespace_of, warnings
from fangduoduo_release.common.http import say
from permissions.admin_base import PortalAdmin


class _Placed(PortalAdmin):
    """Added and changed through the action; deleting is not offered: what ran there stays told."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    has_change_permission = PortalAdmin.has_view_permission

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool) -> None:
        actions.save_row(actor=request.user, row=obj)


@admin.register(Cluster)
class ClusterAdmin(_Placed):
    form = ClusterForm
    list_display = ("name", "kind", "connection", "description", "created_at")
    list_filter = ("kind",)
    list_select_related = ("connection",)
    search_fields = ("name", "description")
    fields = ("name", "kind", "connection", "description")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*self.fields, *(["followed"] if obj is not None and obj.kind == KIND else [])]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("followed",)

    @admin.display(description=_("how it is followed"))
    def followed(self, cluster: Cluster) -> str | SafeString:
        return feed_admin.followed(cluster)


@admin.register(Machine)
class MachineAdmin(_Placed):
    form = MachineForm
    list_display = (
        "name", "cluster", "namespace", "environment", "approvals_needed", "approver_role", "description", "order",
    )  # fmt: skip
    list_filter = ("environment", "cluster")
    list_select_related = ("cluster",)
    search_fields = ("name", "description")
    fieldsets = (
        (None, {"fields": ("name", "cluster", "namespace", "environment", "description", "order")}),
        (
            _("Approval of changes"),
            {
                "fields": ("approvals_needed", "approver_role", "approve_restoring"),
                "description": _("Nobody approves what they asked for themselves. Ops may approve whatever the role."),
            },
        ),
    )

    @admin.display(description=_("namespace"))
    def namespace(self, machine: Machine) -> str:
        return namespace_of(machine.placement) or "–"

    def save_model(self, request: HttpRequest, obj: Machine, form: ModelForm[Any], change: bool) -> None:
        super().save_model(request, obj, form, change)
        request.saved_machine = obj  # type: ignore[attr-defined]
        for sentence in warnings(obj.cluster.kind, obj.placement):
            self.message_user(request, say(sentence), level=messages.WARNING)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Afterwards, outside the transaction, the cluster is asked whether we may do in that namespace what we must."""
        answer = super().changeform_view(request, *args, **kwargs)
        saved = getattr(request, "saved_machine", None)
        found = actions.look_at_placed(saved) if saved is not None else None
        if found is not None and not found["ok"]:
            self.message_user(request, " ".join([found["sentence"], *found["missing"][:1]]), level=messages.WARNING)
        return answer


@admin.register(FreezeWindow)
class FreezeWindowAdmin(PortalAdmin):
    """Filled in by hand, judged by the rules, stored by the action; shows when it will hold next."""

    form = FreezeForm
    list_display = ("name", "kind", "active", "timezone", "everywhere", "blocks_restoring", "next_time")
    list_filter = ("active", "kind", "everywhere")
    search_fields = ("name", "reason")
    filter_horizontal = ("machines",)
    readonly_fields = ("coming",)
    fieldsets = (
        (None, {"fields": ("name", "reason", "active", "blocks_restoring")}),
        (_("Where"), {"fields": ("everywhere", "environments", "machines")}),
        (
            _("When"),
            {
                "fields": (
                    "timezone", "kind", "weekdays", ("first_day", "start_time"), ("last_day", "end_time"),
                    "duration_minutes", "exceptions", "coming",
                )
            },
        ),
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    has_change_permission = has_delete_permission = PortalAdmin.has_view_permission

    @admin.display(description=_("next"))
    def next_time(self, row: FreezeWindow) -> str:
        found = freezing.preview(row, 1) if row.active else []
        return f"{found[0].from_words} – {found[0].until_words}" if found else "–"

    @admin.display(description=_("next 10 times"))
    def coming(self, row: FreezeWindow) -> str | SafeString:
        if row.pk is None:
            return gettext("Save it (“Save and continue editing”) to see when it will hold.")
        found = freezing.preview(row)
        if not found:
            return gettext("It does not hold any more.")
        lines = format_html_join(
            "",
            "<li>{} – {}</li>",
            (
                (date_format(one.local_begins, "D j M Y H:i"), date_format(one.local_ends, "D j M Y H:i"))
                for one in found
            ),
        )
        return format_html("<ol>{}</ol><p>{}</p>", lines, row.timezone)

    def save_model(self, request: HttpRequest, obj: FreezeWindow, form: ModelForm[Any], change: bool) -> None:
        actions.save_freeze(actor=request.user, window=obj, machines=form.cleaned_data["machines"])

    def save_related(self, request: HttpRequest, form: ModelForm[Any], formsets: Any, change: bool) -> None:
        """The action has stored the machines already."""

    def delete_model(self, request: HttpRequest, obj: FreezeWindow) -> None:
        actions.delete_freeze(actor=request.user, window=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[FreezeWindow]) -> None:
        def act(window: FreezeWindow) -> None:
            actions.delete_freeze(actor=request.user, window=window)

        self.each(request, queryset, act, str(_("Deleted")))
