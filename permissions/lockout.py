"""Wrong passwords: how many, from where, and what then. Every door that takes a password asks `person_of_password`.

django-axes counts, in the database, so that it holds over processes. Two limits: for one name from one address, and for
all names from one address (higher: many people may share one). A stranger elsewhere therefore cannot lock anybody out.
Whether the name exists makes no difference to what is answered, nor to how long it takes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from django.db.models import Max, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone

from fangduoduo_release.audit import trail
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import TooMany
from fangduoduo_release.common.http import current_request
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications import outbox
from permissions.models import User

LONGEST_NAME = 150
_V6_HOME = 64  # whoever has one IPv6 address has all of its network


class Handler(AxesDatabaseHandler):
    """axes' own, with a limit of its own for an address."""

    def get_failures(self, request: HttpRequest, credentials: Any = None) -> int:
        """Failures of the pair, or of the whole address as a share of what it may have, whichever is more."""
        soon = timezone.now() + timedelta(minutes=1)  # when the clock has gone back: what is to come has not been
        attempts = [rows.filter(attempt_time__lte=soon) for rows in self.get_user_attempts(request, credentials)]
        pair, address = (_failures(rows) for rows in attempts)
        return max(pair, address * settings.LOCKOUT_FAILURES // max(1, settings.LOCKOUT_FAILURES_OF_ADDRESS))


def _failures(attempts: QuerySet[AccessAttempt]) -> int:
    return attempts.aggregate(total=Sum("failures_since_start"))["total"] or 0


def address_of(request: HttpRequest) -> str | None:
    """What a stranger is counted by: the address, or the network of an IPv6 address."""
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR") or "")
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _V6_HOME), strict=False).network_address)
    return str(address)


def request_of_facts() -> HttpRequest:
    """A request that says only where it came from, for doors that are not Django's (git)."""
    facts, request = current_request.get(), HttpRequest()
    request.META = {"REMOTE_ADDR": facts.address, "HTTP_USER_AGENT": facts.user_agent, "PATH_INFO": ""}
    request.method = "POST"
    return request


def person_of_password(username: str, password: str, *, request: HttpRequest) -> User | None:
    """Who that is, or None. Raises TooMany while the name or the address is locked."""
    return guarded(username, request, lambda: authenticate(request, username=username, password=password))


def guarded(username: str, request: HttpRequest, attempt: Callable[[], Any]) -> User | None:
    """Make an attempt to sign in that axes watches (through `authenticate`); a success forgets the failures."""
    if len(username) > LONGEST_NAME or "\x00" in username:
        return None
    user = attempt()
    if isinstance(user, User):
        _forget(username, address_of(request))
        return user
    if getattr(request, "axes_locked_out", False):
        if not getattr(request, "locked_before", False):
            _tell(username, request)
        raise too_many(username, request)
    return None


def too_many(username: str, request: HttpRequest) -> TooMany:
    """The refusal, the same for every name; it says when it is worth another try."""
    last = AccessAttempt.objects.filter(ip_address=address_of(request)).aggregate(last=Max("attempt_time"))["last"]
    rest = (last + timedelta(seconds=settings.LOCKOUT_S) - timezone.now()).total_seconds() if last else 0
    seconds = int(min(max(rest, 1), settings.LOCKOUT_S))
    minutes = -(-seconds // 60)
    return TooMany(
        S("Too many wrong passwords. Try again in %(minutes)s min, or ask ops to unlock you.", minutes=minutes),
        retry_after=seconds,
        code="locked_out",
    )


def _tell(username: str, request: HttpRequest) -> None:
    """Once, when the lock falls: the audit, and the person if there is one."""
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        return
    address = request.META.get("REMOTE_ADDR", "")
    with transaction.atomic():
        trail.record(SYSTEM, "person.lockout", user, after={"address": address})
        outbox.tell(
            "security",
            S("Sign-in as %(name)s is locked after wrong passwords from %(address)s.", name=username, address=address),
            people=[user],
            link="/me/sessions/",
        )


def _forget(username: str, address: str | None) -> None:
    """The failures of this name from this address. Those of other names stay: knowing one password opens no flood."""
    AccessAttempt.objects.filter(username=username, ip_address=address).delete()


def unlock(username: str) -> int:
    """Forget all failures of a name, wherever they came from; how many there were."""
    return AccessAttempt.objects.filter(username=username).delete()[0]


def clear_old() -> int:
    """Failures that count no more."""
    return AccessAttempt.objects.filter(
        attempt_time__lt=timezone.now() - timedelta(seconds=settings.LOCKOUT_S)
    ).delete()[0]
