"""Cursor pages for server-rendered lists: newest first by id, as cheap on page 1,000 as on page 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

PER_PAGE = 30
NEAR = 2_000


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
        found = first_rows(rows, size + 1, before)
        older = len(found) > size
        found = found[:size]
        newer = before is not None
    return ListPage(
        found,
        _address(request, "after", found[0].pk) if newer and found else None,
        _address(request, "before", found[-1].pk) if older and found else None,
    )


def first_rows(rows: QuerySet[Any], count: int, before: int | None = None) -> list[Any]:
    """The newest `count` rows, looked for among the newest of the table first.

    Databases would rather sort all that somebody may see than walk the table from its end, and that grows with years;
    only for people whose rows are old or few is all of it looked at.
    """
    near = near_to(rows, before)
    found = list(near.order_by("-pk")[:count])
    return found if len(found) == count else list(rows.order_by("-pk")[:count])


def near_to(rows: QuerySet[Any], before: int | None = None) -> QuerySet[Any]:
    """Those of the rows whose id is among the NEAR ids below `before`, or below the newest in the table."""
    if before is None:
        newest = rows.model._default_manager.order_by("-pk").values_list("pk", flat=True).first()
        before = (newest or 0) + 1
    return rows.filter(pk__gte=before - NEAR)


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _address(request: HttpRequest, name: str, pk: int) -> str:
    query = request.GET.copy()
    query.pop("before", None)
    query.pop("after", None)
    query[name] = str(pk)
    return f"{request.path}?{query.urlencode()}"
