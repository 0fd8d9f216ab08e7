"""Times and durations in words. The same words are handed to the browser (`words.py`), so that both say the same.

Knows no HTML and no request. Durations are milliseconds, as in the API.
"""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

MINUTE, HOUR, DAY = 60, 3600, 86400


def duration_words(ms: float | None) -> str:
    """`850` -> "0.9 s", `72000` -> "1 m 12 s", `7500000` -> "2 h 5 m"; None -> "–"."""
    if ms is None:
        return "–"
    seconds = max(0.0, ms / 1000)
    if seconds < 10 and ms % 1000:
        return _("%(s)s s") % {"s": f"{seconds:.1f}"}
    whole = round(seconds)
    if whole < MINUTE:
        return _("%(s)s s") % {"s": whole}
    if whole < HOUR:
        return _("%(m)s m %(s)s s") % {"m": whole // MINUTE, "s": whole % MINUTE}
    if whole < DAY:
        return _("%(h)s h %(m)s m") % {"h": whole // HOUR, "m": whole % HOUR // MINUTE}
    return _("%(d)s d %(h)s h") % {"d": whole // DAY, "h": whole % DAY // HOUR}


def ago_words(when: datetime, now: datetime | None = None) -> str:
    """How long ago, or in how long; over a week away it is the date."""
    seconds = ((now or timezone.now()) - when).total_seconds()
    future, size = seconds < 0, abs(seconds)
    if size < 10:
        return _("just now")
    if size > 7 * DAY:
        return date_format(timezone.localtime(when), "DATE_FORMAT")
    if size < MINUTE:
        amount = _("%(n)s s") % {"n": int(size)}
    elif size < HOUR:
        amount = _("%(n)s min") % {"n": int(size // MINUTE)}
    elif size < DAY:
        amount = _("%(n)s h") % {"n": int(size // HOUR)}
    else:
        amount = _("%(n)s d") % {"n": int(size // DAY)}
    return (_("in %(amount)s") if future else _("%(amount)s ago")) % {"amount": amount}


def exact_words(when: datetime) -> str:
    """The moment to the second, in the reader's zone."""
    local = timezone.localtime(when)
    return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname() or ''}".strip()


def size_words(size: int | None) -> str:
    """Bytes for people: `1536` -> "1.5 KiB"."""
    if size is None:
        return "–"
    number, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{int(number)} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
