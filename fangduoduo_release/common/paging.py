"""Cursor pages for server-rendered lists: newest first by id, as cheap on page 1,000 as on page 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

PER_PAGE = 30


@dataclass(frozen=True, slots=True)
class ListPage:
    """`rows` of this page; `previous` and `next` are addresses or None."""

    rows: list[Any]
    previous: str | None
    next: str | None


def page_of(request: HttpRequest, rows: QuerySet[Any], *, size: int = PER_PAGE) -> ListPage:
    """The page that `?before=ID` or `?after=ID` names; anything else is the first page."""
    before, after = _number(request, "before"), _number(request, "after")
    if after is not None:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: size + 1])
        more = len(found) > size
        found = found[:size][::-1]
        newer, older = more, True
    else:
        if before is not None:
            rows = rows.filter(pk__lt=before)
        found = list(rows.order_by("-pk")[: size + 1])
        older = len(found) > size
        found = found[:size]
        newer = before is not None
    return ListPage(
        found,
        _address(request, "after", found[0].pk) if newer and found else None,
        _address(request, "before", found[-1].pk) if older and found else None,
    )


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _address(request: HttpRequest, name: str, pk: int) -> str:
    query = request.GET.copy()
    query.pop("before", None)
    query.pop("after", None)
    query[name] = str(pk)
    return f"{request.path}?{query.urlencode()}"
