"""Deciding a request: once, by somebody who may and who did not ask, about exactly what was asked.

The decision moves the row by compare-and-set (still waiting, still that hash), and the grant follows in the same
transaction. An emergency is signed by two people of ops before it is granted, or by one alone and reviewed afterwards.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from fangduoduo_release.audit import trail
from fangduoduo_release.common.actor import name_of
from fangduoduo_release.common.errors import Conflict, Denied, Invalid, NotFound
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.notifications import outbox
from permissions import policy
from projects import deciders, grants, requests
from projects.models import AccessRequest

MAX_NOTE = 300


def approve(
    *,
    actor: Any,
    request: AccessRequest,
    sha256: str,
    note: str = "",
    until: datetime | None = None,
    alone: bool = False,
) -> AccessRequest:
    """Grant what was asked, at most until an earlier day. `alone` is for emergencies only: grant with one signature,
    to be reviewed. Raises Denied, Conflict, Invalid, NotFound."""
    request = _reread(request)
    require_decider(actor, request)
    note = _checked_note(note)
    ends = _checked_end(request, until)
    with transaction.atomic():
        if request.emergency and not _signed(actor, request, sha256, note, alone):
            return _reread(request)
        if not request.emergency:
            _move(actor, request, sha256, "approved", note)
        decided = _reread(request)
        _refuse_changed(decided, sha256)
        before = {"state": "pending", "holds": _held(decided)}
        _grant(actor, decided, ends)
        after = {**requests.facts(decided), "state": "approved", "granted_until": _iso(ends), "note": note}
        if request.emergency:
            after["review"] = "done" if decided.reviewed_at else "due"
        verb = "emergency.open" if request.emergency else "request.approve"
        trail.record(actor, verb, decided, before=before, after=after)
        if request.emergency:
            _tell_opened(actor, decided)
        _tell_requester(decided, S("%(who)s approved what you asked for: %(what)s.", **_said(actor, decided)))
    return decided


def reject(*, actor: Any, request: AccessRequest, sha256: str, note: str) -> AccessRequest:
    """Refuse it, with a note that says why. Raises Denied, Conflict, Invalid, NotFound."""
    request = _reread(request)
    require_decider(actor, request)
    note = _checked_note(note)
    if not note:
        sentence = S("Say why: who asked reads it.")
        raise Invalid(sentence, fields={"note": [sentence]})
    with transaction.atomic():
        _move(actor, request, sha256, "rejected", note)
        decided = _reread(request)
        after = {**requests.facts(decided), "state": "rejected", "note": note}
        trail.record(actor, "request.reject", decided, before={"state": "pending"}, after=after)
        _tell_requester(decided, S("%(who)s rejected what you asked for: %(what)s.", **_said(actor, decided)))
    return decided


def review(*, actor: Any, request: AccessRequest, note: str) -> AccessRequest:
    """The second person's look at an emergency that one opened alone. Raises Denied, Conflict, Invalid, NotFound."""
    request = _reread(request)
    if not request.emergency or request.state != "approved" or request.reviewed_at is not None:
        raise Conflict(S("It waits for no review."), code="already_reviewed")
    policy.require_ops(actor)
    if actor.pk in {request.requester_id, request.decided_by_id}:
        raise Denied(
            S("Somebody else reviews it: neither who asked nor who opened it."),
            rule="second_person",
            granted_by=["ops"],
        )
    note = _checked_note(note)
    if not note:
        sentence = S("Say what you found.")
        raise Invalid(sentence, fields={"note": [sentence]})
    with transaction.atomic():
        due = AccessRequest.objects.filter(pk=request.pk, emergency=True, state="approved", reviewed_at=None)
        if not due.update(
            reviewed_by=actor, reviewed_by_name=name_of(actor), reviewed_at=timezone.now(), review_note=note
        ):
            raise Conflict(S("It waits for no review."), code="already_reviewed")
        trail.record(actor, "emergency.review", request, before={"review": "due"}, after={"note": note})
    return _reread(request)


def require_decider(actor: Any, request: AccessRequest) -> None:
    """Raises Denied with the rule and who can decide instead."""
    if deciders.may_decide(actor, request):
        return
    able = [person.username for person in deciders.people(request)[:5]] or ["ops"]
    if request.requester_id is not None and request.requester_id == getattr(actor, "pk", None):
        raise Denied(S("Nobody decides their own request."), rule="not_your_own", granted_by=able)
    raise Denied(S("You cannot decide this request."), rule="decider", granted_by=able)


# --- steps of a decision -------------------------------------------------------------------------------------------
def _reread(request: AccessRequest) -> AccessRequest:
    rows = AccessRequest.objects.select_related("project", "machine", "requester", "decided_by")
    found = rows.filter(pk=request.pk).first()
    if found is None:
        raise NotFound(S("There is nothing here, or you may not see it."))
    return found


def _checked_note(note: str) -> str:
    note = " ".join(note.split())
    if len(note) > MAX_NOTE:
        sentence = S("A note has at most %(limit)s characters.", limit=MAX_NOTE)
        raise Invalid(sentence, fields={"note": [sentence]})
    return note


def _checked_end(request: AccessRequest, until: datetime | None) -> datetime | None:
    """When the grant will end: as asked, or earlier when the decider says so; an emergency within hours."""
    now = timezone.now()
    if until is not None and (until <= now or (request.until is not None and until > request.until)):
        sentence = S("The end may be earlier than asked for, not later, and not in the past.")
        raise Invalid(sentence, fields={"until": [sentence]})
    ends = until or request.until
    if request.emergency:
        latest = now + timedelta(hours=settings.EMERGENCY_HOURS)
        ends = min(ends, latest) if ends else latest
    return ends


def _move(
    actor: Any, request: AccessRequest, sha256: str, state: str, note: str, /, first: Any = None, **signed: Any
) -> None:
    """Decide the row if it still waits, as it was shown. Raises Conflict with what happened instead."""
    now = timezone.now()
    _refuse_changed(request, sha256)
    waiting = AccessRequest.objects.filter(pk=request.pk, state="pending", asked_sha256=sha256, expires_at__gt=now)
    if state == "approved":
        waiting = waiting.filter(Q(until=None) | Q(until__gt=now))
    if request.emergency and state != "rejected":
        waiting = waiting.filter(decided_by=first)
    decision = {
        "decided_by": actor,
        "decided_by_name": name_of(actor),
        "decided_at": now,
        "decided_sha256": sha256,
        "note": note,
    }
    if waiting.update(state=state, **{**decision, **signed}):
        return
    current = _reread(request)
    if current.state != "pending":
        raise requests.decided_already()
    if current.expires_at <= now or (current.until is not None and current.until <= now):
        raise Conflict(S("This request has run out; it has to be asked anew."), code="request_expired")
    raise _changed()


def _refuse_changed(request: AccessRequest, sha256: str) -> None:
    if sha256 != request.asked_sha256 or requests.fingerprint(request) != request.asked_sha256:
        raise _changed()


def _changed() -> Conflict:
    return Conflict(
        S("What was asked has changed since you saw it; look again, or let it be asked anew."), code="request_changed"
    )


def _signed(actor: Any, request: AccessRequest, sha256: str, note: str, alone: bool) -> bool:
    """Sign an emergency; whether it is granted now. The first of two signatures only waits for the second."""
    first = request.decided_by if request.decided_by and policy.is_ops(request.decided_by) else None
    if first is not None and first.pk != actor.pk:
        kept = {
            "decided_by": first,
            "decided_by_name": first.username,
            "decided_at": request.decided_at,
            "note": request.note,
            "reviewed_by": actor,
            "reviewed_by_name": name_of(actor),
            "reviewed_at": timezone.now(),
            "review_note": note,
        }
        _move(actor, request, sha256, "approved", note, first=first, **kept)
        return True
    if alone:
        _move(actor, request, sha256, "approved", note, first=request.decided_by, reminded_at=timezone.now())
        return True
    if first is not None:
        raise Conflict(S("You have signed already; a second person from ops signs too."), code="already_signed")
    _move(actor, request, sha256, "pending", note, first=request.decided_by, reminded_at=timezone.now())
    trail.record(actor, "emergency.sign", request, after=requests.facts(request))
    _tell_second(actor, request)
    return False


def _grant(actor: Any, request: AccessRequest, until: datetime | None) -> None:
    """What was asked becomes a grant that points to its request."""
    person, project = request.requester, request.project
    if person is None or not person.is_active:
        raise Conflict(S("Who asked has left; there is nobody to grant it to."), code="requester_left")
    if project is None or project.archived:
        raise Conflict(S("The project is archived; nothing is granted for it."), code="archived")
    if not request.emergency and requests.held_already(person, project, request.role, request.machine, until):
        raise Conflict(S("It is granted already, for at least as long."), code="already_granted")
    how: dict[str, Any] = {
        "granted_by": name_of(actor),
        "reason": request.reason,
        "until": until,
        "request": request,
        "emergency": request.emergency,
    }
    if request.machine is not None:
        if not policy.may(person, "build_project", project):
            raise Conflict(S("Who asked is not a developer of the project any more."), code="requester_left")
        grants.give_machine(project, request.machine, **how)
    else:
        grants.give_role(project, person, request.role, **how)


def _held(request: AccessRequest) -> list[dict[str, Any]]:
    """What there was before, for the audit."""
    if request.machine is not None or request.project is None or request.requester is None:
        return []
    return grants.described(grants.held_by(request.project, request.requester).filter(grants.live()))


# --- who hears of it -----------------------------------------------------------------------------------------------
def _said(actor: Any, request: AccessRequest) -> dict[str, str]:
    what = request.role or (request.machine.name if request.machine else "")
    return {"who": name_of(actor), "what": f"{what} @ {request.slug}"}


def _tell_requester(request: AccessRequest, sentence: Sentence) -> None:
    if request.requester is not None:
        outbox.tell(
            "request.decided", sentence, people=[request.requester], project=request.slug, link=link_of(request)
        )


def _tell_second(actor: Any, request: AccessRequest) -> None:
    others = policy.ops_people().exclude(pk__in=[actor.pk, request.requester_id])
    sentence = S(
        "%(who)s signed an emergency; a second person from ops is needed now: %(what)s.", **_said(actor, request)
    )
    outbox.tell("request.waiting", sentence, people=others, project=request.slug, link=link_of(request))


def _tell_opened(actor: Any, request: AccessRequest) -> None:
    people = {person.pk: person for person in policy.ops_people()}
    if request.project is not None:
        people |= {person.pk: person for person in policy.owners(request.project)}
    sentence = S(
        "%(who)s opened an emergency for %(for)s: %(what)s.", **_said(actor, request), **{"for": request.requester_name}
    )
    outbox.tell("emergency.opened", sentence, people=people.values(), project=request.slug, link=link_of(request))


def link_of(request: AccessRequest) -> str:
    return f"/requests/{request.pk}/"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
