"""The ops screen for people and their tokens."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.audit import trail
from permissions import actions
from permissions.admin_base import PortalAdmin, ReadOnlyAdmin
from permissions.models import ApiToken, User


class _PeopleAdmin(PortalAdmin):
    """Ops look; only a superuser writes, and every write is in the audit: who may do what begins here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.has_add_permission(request)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        trail.record(request.user, f"{obj._meta.model_name}.create", obj, after=self._change(request)[1])
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        before, after = self._change(request)
        trail.record(request.user, f"{obj._meta.model_name}.update", obj, before=before, after=after)
        return super().log_change(request, obj, message)

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        sides = (form.initial, form.cleaned_data)
        facts = [{name: _shown(side.get(name)) for name in form.changed_data} for side in sides]
        request.audit_change = facts  # type: ignore[attr-defined]  # the two below are told of the message alone
        return super().construct_change_message(request, form, formsets, add)

    def _change(self, request: HttpRequest) -> tuple[dict[str, Any], dict[str, Any]]:
        before, after = getattr(request, "audit_change", ({}, {}))
        return before, after


def _shown(value: Any) -> Any:
    """Of several rows their names."""
    return [str(row) for row in value] if isinstance(value, QuerySet | list) else value


@admin.register(User)
class PersonAdmin(_PeopleAdmin, UserAdmin):  # type: ignore[type-arg]
    """Django's own user screen. People are made inactive, not deleted: what they did stays theirs."""

    list_display = ("username", "email", "first_name", "last_name", "is_staff", "is_active", "last_login")


@admin.register(ApiToken)
class TokenAdmin(ReadOnlyAdmin):
    list_display = ("name", "user", "prefix", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("revoked_at",)
    list_select_related = ("user",)
    search_fields = ("name", "user__username", "prefix")
    fields = ("user", "name", "prefix", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
    actions = ["revoke"]

    @admin.action(description=_("Revoke"))
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> None:
        def act(token: ApiToken) -> None:
            actions.revoke_token(actor=request.user, token=token)

        self.each(request, rows, act, str(_("Revoked")))


def hide(*models: Any) -> None:
    """Take tables out of the admin that would let one run code or bypass the actions."""
    for model in models:
        try:
            admin.site.unregister(model)
        except NotRegistered:
            continue


hide(Group)


@admin.register(Group)
class TeamAdmin(_PeopleAdmin, GroupAdmin):
    """Teams and what they may do."""


admin.site.site_header = _("Fangduoduo Release")
admin.site.site_title = _("Fangduoduo Release")
admin.site.index_title = _("Operations")
