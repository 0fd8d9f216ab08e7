"""What every admin of the portal shares: nothing is written past the actions, errors become one sentence.

Rows that people change through actions are read-only here, with the actions as buttons and bulk actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.http import say
from permissions import policy


class PortalAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Ops only; `list_per_page` and `show_full_result_count` keep big tables quick."""

    list_per_page = 50
    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_staff and policy.is_ops(request.user))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    def each(self, request: HttpRequest, rows: QuerySet[Any], act: Callable[[Any], Any], done: str) -> None:
        """Call an action for every chosen row; say how many worked, and each refusal in one sentence."""
        worked = 0
        for row in rows:
            try:
                act(row)
                worked += 1
            except AppError as error:
                self.message_user(request, f"{row}: {say(error.sentence)}", level=messages.ERROR)
        if worked:
            self.message_user(request, f"{done}: {worked}")


class ReadOnlyAdmin(PortalAdmin):
    """Rows nobody edits: what happened, and what only actions change."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> Any:
        # Django hides bulk actions where nothing may be changed; ours go through the portal's own actions.
        return {
            name: found
            for name in self.actions or []
            if (found := self.get_action(name)) is not None  # type: ignore[arg-type]
        }
