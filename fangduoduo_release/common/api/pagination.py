"""Cursor pages {"next", "previous", "results"}: stable while rows arrive, and as cheap on page 1,000 as on page 1."""

from __future__ import annotations

from typing import Any

from rest_framework.pagination import CursorPagination


class CursorPages(CursorPagination):
    """Newest first by id; `?ordering=` may name a field the view allows in `ordering_fields`."""

    page_size_query_param = "page_size"
    max_page_size = 200
    ordering = "-id"

    def get_ordering(self, request: Any, queryset: Any, view: Any) -> tuple[str, ...]:
        wanted = request.query_params.get("ordering", "")
        allowed = getattr(view, "ordering_fields", ())
        if wanted.lstrip("-") in allowed:
            sign = "-" if wanted.startswith("-") else ""
            return (wanted, f"{sign}id")
        return (getattr(view, "default_ordering", self.ordering),)
