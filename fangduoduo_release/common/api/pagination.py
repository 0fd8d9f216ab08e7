"""Cursor pages {"next", "previous", "results"}: stable while rows arrive, and as cheap on page 1,000 as on page 1."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.pagination import CursorPagination

from fangduoduo_release.common.paging import near_to


class CursorPages(CursorPagination):
    """Newest first by id; `?ordering=` may name a field the view allows in `ordering_fields`."""

    page_size_query_param = "page_size"
    max_page_size = 200
    ordering = "-id"

    def get_ordering(self, request: Any, queryset: Any, view: Any) -> tuple[str, ...]:
        wanted = request.query_params.get("ordering", "")
        allowed = getattr(view, "ordering_fields", ())
        if wanted.removeprefix("-") in allowed:
            sign = "-" if wanted.startswith("-") else ""
            return (wanted, f"{sign}id")
        return (getattr(view, "default_ordering", type(self).ordering),)

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> Any:
        """The rows of the page. A cursor is opaque: one that we did not make is a malformed request (400)."""
        try:
            return self._near(queryset, request, view) or super().paginate_queryset(queryset, request, view)
        except (NotFound, ValueError, ValidationError) as error:
            raise ParseError("This cursor is not one of ours; follow “next” and “previous” as they are.") from error

    def _near(self, queryset: Any, request: Any, view: Any) -> Any:
        """The page as it is found near the newest, as `paging.first_rows` says; None when that does not fill it."""
        cursor = self.decode_cursor(request)
        if self.get_ordering(request, queryset, view) != ("-id",) or (cursor and (cursor.reverse or cursor.offset)):
            return None
        position = getattr(cursor, "position", None)
        rows = super().paginate_queryset(near_to(queryset, int(position) if position else None), request, view)
        return rows if self.has_next else None
