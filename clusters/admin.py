"""The ops screen for clusters and machines."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from clusters import actions
from clusters.models import Cluster, Machine
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
    list_display = ("name", "kind", "connection", "description", "created_at")
    list_filter = ("kind",)
    list_select_related = ("connection",)
    search_fields = ("name", "description")
    fields = ("name", "kind", "connection", "description")


@admin.register(Machine)
class MachineAdmin(_Placed):
    list_display = ("name", "cluster", "environment", "description", "order")
    list_filter = ("environment", "cluster")
    list_select_related = ("cluster",)
    search_fields = ("name", "description")
    fields = ("name", "cluster", "environment", "placement", "description", "order")
