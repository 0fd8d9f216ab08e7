"""What every admin of the portal shares: nothing is written past the actions, errors become one sentence.

Rows that people change through actions are read-only here, with the actions as buttons and bulk actions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.text import capfirst

from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.http import say
from permissions import policy

COUNTED = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than anybody turns pages: a million rows cost as much as ten thousand."""

    @cached_property
    def count(self) -> int:  # type: ignore[override]
        rows = self.object_list
        return rows.order_by()[:COUNTED].count() if isinstance(rows, QuerySet) else len(rows)


class PortalAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Ops only; newest first by id, counted up to a bound, big columns left in the database."""

    list_per_page = 50
    show_full_result_count = False
    paginator = BoundedPaginator
    ordering = ("-pk",)
    big_columns: ClassVar[tuple[str, ...]] = ()  # not fetched for lists

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_staff and policy.is_ops(request.user))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer(*self.big_columns)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """One without a name of its own is named as what it points to is: that has one in every language."""
        if db_field.verbose_name == db_field.name.replace("_", " "):
            kwargs.setdefault("label", capfirst(str(db_field.related_model._meta.verbose_name)))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """An action's refusal is a message above the form; nothing was written."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except AppError as error:
            self.message_user(request, say(error.sentence), level=messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

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

    def get_actions(self, request: HttpRequest) -> Any:
        # Django hides bulk actions where nothing may be changed; ours go through the portal's own actions.
        return {
            name: found
            for name in self.actions or []
            if (found := self.get_action(name)) is not None  # type: ignore[arg-type]
        }
