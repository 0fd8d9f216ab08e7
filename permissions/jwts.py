"""Short-lived JWTs for the gateway, and the refresh tokens they come from.

The keys are ours alone (`JWT_KEYS`: the first signs, all verify, named in the header), so that they rotate without
signing anybody out of the portal. A refresh token is good once; one that comes a second time ends its whole family,
because one of the two who sent it has stolen it. A JWT carries its person's epoch and dies with it.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timedelta
from typing import Any, Final

import jwt
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from fangduoduo_release.audit import trail
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.http import current_request
from fangduoduo_release.common.sentence import S
from fangduoduo_release.notifications import outbox
from permissions.models import JwtFamily, User

ALGORITHM: Final = "HS256"
ACCESS, REFRESH = "access", "refresh"
CLAIMS: Final = ["sub", "exp", "iat", "iss", "kind", "family", "epoch"]


def name_of(key: str) -> str:
    """A key's name in headers; says nothing about the key."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def sign(claims: dict[str, Any]) -> str:
    """With the first key."""
    key = settings.JWT_KEYS[0]
    return jwt.encode({**claims, "iss": settings.JWT_ISSUER}, key, algorithm=ALGORITHM, headers={"kid": name_of(key)})


def read(text: str, kind: str) -> dict[str, Any] | None:
    """The claims of a token of ours of that kind that has not run out; None for anything else."""
    try:
        wanted = str(jwt.get_unverified_header(text).get("kid"))
        key = next((key for key in settings.JWT_KEYS if name_of(key) == wanted), None)
        if key is None:
            return None
        claims: dict[str, Any] = jwt.decode(
            text, key, algorithms=[ALGORITHM], issuer=settings.JWT_ISSUER, options={"require": CLAIMS}
        )
    except jwt.InvalidTokenError:
        return None
    return claims if claims["kind"] == kind else None


def start(user: User) -> dict[str, str]:
    """A new family for somebody who has just proved who they are: `access` and `refresh`."""
    facts, now = current_request.get(), timezone.now()
    with transaction.atomic():
        family = JwtFamily.objects.create(
            user=user, used_at=now, expires_at=now + timedelta(seconds=settings.JWT_REFRESH_S),
            address=facts.address, user_agent=facts.user_agent,
        )  # fmt: skip
        trail.record(user, "gateway.sign_in", user)
    return _pair(family)


def refresh(text: str) -> dict[str, str] | None:
    """The next pair of the family, or None: unknown, expired, revoked, or used before (which revokes the family)."""
    found = _family_of(text, REFRESH)
    if found is None:
        return None
    family, claims = found
    number = int(claims["number"])
    turned = JwtFamily.objects.filter(pk=family.pk, number=number, revoked_at=None).update(
        number=number + 1, used_at=timezone.now()
    )
    if not turned:
        _used_twice(family)
        return None
    family.number = number + 1
    return _pair(family)


def revoke(text: str) -> bool:
    """End the family of a refresh token; whether there was one."""
    found = _family_of(text, REFRESH)
    if found is None:
        return False
    family, _claims = found
    with transaction.atomic():
        JwtFamily.objects.filter(pk=family.pk, revoked_at=None).update(revoked_at=timezone.now())
        trail.record(family.user, "gateway.sign_out", family.user)
    return True


def user_of(text: str) -> User | None:
    """The person behind a live access token, or None."""
    found = _family_of(text, ACCESS)
    return found[0].user if found else None


def _family_of(text: str, kind: str) -> tuple[JwtFamily, dict[str, Any]] | None:
    """The live family of a valid token of that kind, and the token's claims."""
    claims = read(text, kind)
    if claims is None:
        return None
    try:
        ident = uuid.UUID(str(claims["family"]))
    except ValueError:
        return None
    family = JwtFamily.objects.select_related("user").filter(ident=str(ident), revoked_at=None).first()
    if family is None or family.expires_at <= timezone.now() or not family.user.is_active:
        return None
    return (family, claims) if family.user.epoch == claims["epoch"] else None


def _pair(family: JwtFamily) -> dict[str, str]:
    """A family does not outlive the time of its sign-in, however often it is renewed."""
    now = timezone.now()
    soon = now + timedelta(seconds=settings.JWT_ACCESS_S)
    return {
        "access": _token(family, ACCESS, now, min(soon, family.expires_at)),
        "refresh": _token(family, REFRESH, now, family.expires_at, number=family.number),
    }


def _token(family: JwtFamily, kind: str, now: datetime, until: datetime, **more: Any) -> str:
    return sign(
        {
            "sub": str(family.user_id), "kind": kind, "family": str(family.ident), "epoch": family.user.epoch,
            "iat": int(now.timestamp()), "exp": int(until.timestamp()), "jti": uuid.uuid4().hex, **more,
        }
    )  # fmt: skip


def _used_twice(family: JwtFamily) -> None:
    with transaction.atomic():
        if not JwtFamily.objects.filter(pk=family.pk, revoked_at=None).update(revoked_at=timezone.now()):
            return
        trail.record(SYSTEM, "gateway.reuse", family.user, after={"address": current_request.get().address})
        outbox.tell(
            "security",
            S("A gateway sign-in of %(name)s was ended: its refresh token came twice.", name=family.user.username),
            people=[family.user],
            link="/me/sessions/",
        )
