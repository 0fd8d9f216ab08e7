"""Find rows of the trail without ever reading all of it: one index leads, the rest is looked for within a bound.

Knows nobody's rights: `permissions` narrows the rows first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from .models import AuditEntry

BOUND = 20_000  # rows of the leading index that one page looks through
SKEW = 1_000  # rows around a moment: clocks of several hosts may differ, ids may not
SLICE = 1_000
COLUMNS = {"kind": "object_kind", "id": "object_id", "project": "project", "actor": "actor", "verb": "verb"}
SEARCHED = ("actor", "verb", "object_label", "before", "after", "address", "request_id")
FILTERS = ("actor", "verb", "kind", "id", "label", "project", "q", "since", "until")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody looks for; every value is text as it stood in the address, "" for anything."""

    actor: str = ""
    verb: str = ""  # one verb, or "build." for all of builds
    kind: str = ""
    id: str = ""
    label: str = ""
    project: str = ""
    q: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Wanted:
        return cls(**{name: str(given.get(name, ""))[:200].strip() for name in FILTERS})

    def as_dict(self) -> dict[str, str]:
        return {name: value for name in FILTERS if (value := getattr(self, name))}


def moment(text: str, *, end: bool = False) -> datetime | None:
    """A date (its beginning, or with `end` the beginning of the next day) or a time; None for anything else."""
    try:
        day = parse_date(text)
        if day is not None:
            found: datetime | None = datetime(day.year, day.month, day.day) + timedelta(days=end)  # noqa: DTZ001
        else:
            found = parse_datetime(text.replace(" ", "+") if "T" in text else text)
        return timezone.make_aware(found) if found is not None and timezone.is_naive(found) else found
    except (ValueError, OverflowError):
        return None


def _leading(wanted: Wanted) -> tuple[str, ...]:
    """Which filters one index answers, in the order of ids."""
    if wanted.kind and wanted.id:
        return ("kind", "id")
    exact = (name for name in ("project", "actor", "verb") if getattr(wanted, name))
    return tuple(name for name in exact if not getattr(wanted, name).endswith("."))[:1]


def lead(wanted: Wanted, rows: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    """The rows that one index finds."""
    return rows.filter(**{COLUMNS[name]: getattr(wanted, name) for name in _leading(wanted)})


def rest(wanted: Wanted) -> Q:
    """What remains to be asked of each row that `lead` found; an empty Q when the index answers all of it."""
    found = Q()
    for name, column in COLUMNS.items():
        value = getattr(wanted, name)
        if value and name not in _leading(wanted):
            group = name == "verb" and value.endswith(".")
            found &= Q(**{f"{column}__startswith" if group else column: value})
    if wanted.label:
        found &= Q(object_label__icontains=wanted.label)
    for word in wanted.q.split()[:5]:
        found &= Q(*((f"{place}__icontains", word) for place in SEARCHED), _connector=Q.OR)
    return found


def within(wanted: Wanted, rows: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    """Narrow by time; the ids around the moment let the walk begin and end there."""
    since, until = moment(wanted.since), moment(wanted.until, end=True)
    if since is not None:
        first = AuditEntry.objects.filter(at__gte=since).order_by("at", "id").values_list("id", flat=True).first()
        rows = rows.filter(at__gte=since, id__gte=first - SKEW) if first is not None else rows.none()
    if until is not None:
        last = AuditEntry.objects.filter(at__lt=until).order_by("-at", "-id").values_list("id", flat=True).first()
        rows = rows.filter(at__lt=until, id__lte=last + SKEW) if last is not None else rows.none()
    return rows


@dataclass(frozen=True, slots=True)
class Bounded:
    """Rows to make a page of; `edge` is the id where the search stopped although there is more behind it."""

    rows: QuerySet[AuditEntry]
    edge: int | None


def bounded(wanted: Wanted, rows: QuerySet[AuditEntry], *, before: int | None, after: int | None) -> Bounded:
    """What matches among the next BOUND rows from the cursor on."""
    found = within(wanted, lead(wanted, rows))
    asked = rest(wanted)
    if not asked:
        return Bounded(found, None)
    ids = found.values_list("id", flat=True)
    if after is not None:
        edge = next(iter(ids.filter(id__gt=after).order_by("id")[BOUND : BOUND + 1]), None)
        return Bounded(found.filter(asked, **({"id__lte": edge} if edge is not None else {})), None)
    older = ids if before is None else ids.filter(id__lt=before)
    edge = next(iter(older.order_by("-id")[BOUND : BOUND + 1]), None)
    return Bounded(found.filter(asked, **({"id__gt": edge} if edge is not None else {})), edge)


def everything(wanted: Wanted, rows: QuerySet[AuditEntry], last: int) -> Iterator[AuditEntry]:
    """All that matches up to the row `last`, newest first, a slice in memory at a time."""
    found = within(wanted, lead(wanted, rows)).filter(rest(wanted), id__lte=last)
    before = last + 1
    while slice_ := list(found.filter(id__lt=before).order_by("-id")[:SLICE]):
        yield from slice_
        before = slice_[-1].pk
