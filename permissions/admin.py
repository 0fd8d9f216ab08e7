"""The ops screen for people and their tokens."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from permissions import actions
from permissions.admin_base import ReadOnlyAdmin
from permissions.models import ApiToken, User


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    """Django's own user screen."""

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
admin.site.register(Group, GroupAdmin)
admin.site.site_header = _("Fangduoduo Release")
admin.site.site_title = _("Fangduoduo Release")
admin.site.index_title = _("Operations")
