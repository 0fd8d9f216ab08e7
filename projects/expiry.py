"""The duty over what ends: warn before a grant ends, end it, end requests nobody decided, ask again for due reviews.

Nothing here is what stops an expired grant: `policy` and `grants.live` ask the clock at every use. This writes down
that it ended and tells people. What runs stays as it is; a deployment under way goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from fangduoduo_release.audit import trail
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications import outbox
from permissions import policy
from permissions.models import User
from projects import deciders, grants
from projects.models import AccessRequest, MachineGrant, RoleGrant

logger = logging.getLogger(__name__)
AT_ONCE = 200
Given = RoleGrant | MachineGrant


def look_after_grants() -> int:
    """One round; returns how many rows it moved."""
    return end_grants() + warn() + end_requests() + tell_owners() + remind_of_reviews()


def end_grants() -> int:
    """Delete grants that have run out, with an audit line; their request keeps the story."""
    ended = 0
    for model in (RoleGrant, MachineGrant):
        for pk in model._default_manager.filter(until__lte=Now()).values_list("pk", flat=True)[:AT_ONCE]:
            with transaction.atomic():
                ended += _end(model, pk)
    return ended


def _end(model: type[Given], pk: int) -> int:
    rows: Any = model._default_manager.select_for_update()
    grant = rows.filter(pk=pk, until__lte=Now()).first()
    if grant is None:
        return 0  # renewed or taken away meanwhile
    facts = {"what": what_of(grant), "project": grant.project.slug, "until": grant.until.isoformat()}
    trail.record(SYSTEM, "grant.expired", grant, before={**facts, "emergency": grant.emergency})
    outbox.tell(
        "grant.expired",
        S("%(what)s on %(project)s has ended.", what=facts["what"], project=facts["project"]),
        people=concerned(grant),
        project=grant.project.slug,
        link=renewal_of(grant),
    )
    project, holder = grant.project, grant.holder if isinstance(grant, RoleGrant) else None
    grant.delete()
    if holder is not None:
        grants.sync(project, holder)
    return 1


def warn() -> int:
    """Say once, 3 days and 1 day before, that a grant will end; after a jump of the clock the nearer one alone."""
    warned = 0
    for days in sorted(grants.WARN_DAYS):
        for model in (RoleGrant, MachineGrant):
            near = Q(until__gt=Now(), until__lte=timezone.now() + timedelta(days=days), emergency=False)
            new = Q(warned_days=None) | Q(warned_days__gt=days)
            for grant in model._default_manager.filter(near, new).select_related("project")[:AT_ONCE]:
                with transaction.atomic():
                    if model._default_manager.filter(new, pk=grant.pk).update(warned_days=days):
                        _warn(grant)
                        warned += 1
    return warned


def _warn(grant: Given) -> None:
    ends = grant.until.isoformat(timespec="minutes") if grant.until else ""
    outbox.tell(
        "grant.expiring",
        S("%(what)s on %(project)s ends at %(when)s.", what=what_of(grant), project=grant.project.slug, when=ends),
        people=concerned(grant),
        project=grant.project.slug,
        link=renewal_of(grant),
    )


def end_requests() -> int:
    """Requests that nobody decided in time, whose end has passed, or whose requester has left."""
    left = Q(requester=None) | Q(requester__is_active=False)
    rows = AccessRequest.objects.filter(Q(expires_at__lte=Now()) | Q(until__lte=Now()) | left, state="pending")
    ended = 0
    for request in rows.select_related("requester")[:AT_ONCE]:
        with transaction.atomic():
            if not AccessRequest.objects.filter(pk=request.pk, state="pending").update(state="expired"):
                continue
            trail.record(SYSTEM, "request.expire", request, before={"state": "pending"}, after={"state": "expired"})
            if request.requester is not None and request.requester.is_active:
                outbox.tell(
                    "request.decided",
                    S("Nobody decided what you asked for in time (%(project)s); ask anew.", project=request.slug),
                    people=[request.requester],
                    link=f"/requests/{request.pk}/",
                )
            ended += 1
    return ended


def tell_owners() -> int:
    """Requests by people who may not see the project: told from here, so that asking takes the same time for names
    that exist and for names that do not."""
    told = 0
    rows = AccessRequest.objects.filter(state="pending", project__isnull=False, reminded_at=None)
    for request in rows.select_related("project", "machine")[:AT_ONCE]:
        with transaction.atomic():
            if AccessRequest.objects.filter(pk=request.pk, reminded_at=None).update(reminded_at=timezone.now()):
                deciders.tell(request)
                told += 1
    return told


def remind_of_reviews() -> int:
    """Every day, all ops but the two concerned, until somebody reviews an emergency that was opened alone."""
    told = 0
    before = timezone.now() - timedelta(hours=settings.REVIEW_HOURS)
    rows = AccessRequest.objects.filter(emergency=True, state="approved", reviewed_at=None)
    for request in rows.filter(Q(reminded_at=None) | Q(reminded_at__lte=before)).select_related("machine")[:AT_ONCE]:
        with transaction.atomic():
            still = AccessRequest.objects.filter(pk=request.pk, reviewed_at=None, reminded_at=request.reminded_at)
            if still.update(reminded_at=timezone.now()):
                outbox.tell(
                    "emergency.review",
                    S(
                        "The emergency that %(who)s opened for %(for)s on %(project)s still waits for its review.",
                        **{"who": request.decided_by_name, "for": request.requester_name, "project": request.slug},
                    ),
                    people=policy.ops_people().exclude(pk__in=[request.requester_id or 0, request.decided_by_id or 0]),
                    project=request.slug,
                    link=f"/requests/{request.pk}/",
                )
                told += 1
    return told


# --- about a grant -------------------------------------------------------------------------------------------------
def what_of(grant: Given) -> str:
    """The role, or the machine's name."""
    return grant.role if isinstance(grant, RoleGrant) else grant.machine.name


def concerned(grant: Given) -> Iterable[User]:
    """Who loses something: the person, everybody in the team, or the project's owners and who asked for the machine."""
    if isinstance(grant, RoleGrant):
        return [grant.user] if grant.user else list(grant.team.user_set.filter(is_active=True)) if grant.team else []
    people = {person.pk: person for person in policy.owners(grant.project)}
    asker = grant.request.requester if grant.request else None
    if asker is not None and asker.is_active:
        people[asker.pk] = asker
    return people.values()


def renewal_of(grant: Given) -> str:
    """The form, filled in with the same facts and the same length: one click asks."""
    if isinstance(grant, RoleGrant) and grant.user_id is None:
        return f"/projects/{grant.project.slug}/settings/#members"  # a team's role is an owner's to give
    wish = {"reason": grant.reason}
    if grant.until is not None and not grant.emergency:
        wish["days"] = str(max(1, round((grant.until - grant.created_at) / timedelta(days=1))))
    if isinstance(grant, RoleGrant):
        return f"{policy.request_url(grant.project, grant.role)}&{urlencode(wish)}"
    return f"{policy.request_url(grant.project, machine=grant.machine.name)}&{urlencode(wish)}"
