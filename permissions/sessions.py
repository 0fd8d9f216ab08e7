"""Where people are signed in: noted at the first request of a session, kept fresh once a minute, ended by its person.

What is needed on every request lies in the session itself, so that looking costs no question.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.contrib.auth import SESSION_KEY, logout
from django.contrib.sessions.models import Session
from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from fangduoduo_release.common.http import away, current_request
from fangduoduo_release.common.session_age import BEGAN, outlived
from permissions.models import SignedIn, User

ROW, SEEN, HOW = "signed_in_row", "seen", "signed_in_how"
FRESH_S = 60


class SessionMiddleware:
    """After Django knows the user: ends what is too old, notes what is new, refreshes what was long not seen."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            self._look(request)
        except (OperationalError, InterfaceError):
            return away(request)
        return self.get_response(request)

    def _look(self, request: HttpRequest) -> None:
        session = request.session
        if SESSION_KEY not in session:  # nobody is signed in, and nothing is asked
            return
        if outlived(session):
            logout(request)
        elif abs(time.time() - session.get(SEEN, 0)) > FRESH_S and request.user.is_authenticated:
            note(request)


def note(request: HttpRequest, how: str = "") -> None:
    """Write down that the session's person is here, now, from there. Also right after the session's key has changed."""
    session, facts, now = request.session, current_request.get(), timezone.now()
    if session.session_key is None:
        session.save()
    session.setdefault(BEGAN, time.time())
    session[SEEN] = time.time()
    if how:
        session[HOW] = how
    fields = {
        "key": session.session_key, "address": facts.address, "user_agent": facts.user_agent, "seen_at": now,
        "how": session.get(HOW, ""),
    }  # fmt: skip
    person = int(request.user.pk or 0)
    rows = SignedIn.objects.filter(pk=session.get(ROW) or 0, user_id=person)
    if not rows.update(**fields):
        session[ROW] = SignedIn.objects.update_or_create(
            key=session.session_key, defaults={**fields, "user_id": person}
        )[0].pk


def open_sessions(user: User) -> QuerySet[SignedIn]:
    """The person's sessions that still live, the last used first."""
    living = Session.objects.filter(expire_date__gt=timezone.now())
    return SignedIn.objects.filter(user=user, key__in=living.values("session_key")).order_by("-seen_at")


def end(rows: Iterable[SignedIn]) -> int:
    """End these sessions: whoever holds their cookies is nobody from now on. How many."""
    keys = [row.key for row in rows]
    Session.objects.filter(session_key__in=keys).delete()
    return SignedIn.objects.filter(key__in=keys).delete()[0]


def clear_old() -> int:
    """Remove sessions that have run out, and our notes of those that are gone; how many."""
    now = timezone.now()
    gone = Session.objects.filter(expire_date__lt=now).delete()[0]
    before = now - timedelta(minutes=5)  # one that is just being made has no row of Django's yet
    gone += (
        SignedIn.objects.filter(seen_at__lt=before).exclude(key__in=Session.objects.values("session_key")).delete()[0]
    )
    return gone


def current_row(request: HttpRequest) -> Any:
    """The primary key of the note about this very session."""
    return request.session.get(ROW)
