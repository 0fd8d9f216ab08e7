"""People who come from elsewhere (OIDC, LDAP): which account is theirs, and which teams their groups make them part of.

An account made here is not taken over by a namesake from elsewhere unless the settings say so, and one of ops never.
Teams follow groups only where the settings map one to the other; all other memberships are ours to give.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction

from fangduoduo_release.audit import trail
from fangduoduo_release.common.actor import SYSTEM
from fangduoduo_release.common.errors import Denied
from fangduoduo_release.common.sentence import S
from permissions import revocation
from permissions.models import User


def account_of(external: str, username: str, facts: Mapping[str, str]) -> User:
    """The account of somebody from elsewhere, made at their first sign-in. Raises Denied."""
    user = User.objects.filter(external=external).first()
    if user is None:
        user = User.objects.filter(username=username).first()
        if user is not None:
            require_free(user, external)
    before = None if user is None else {name: getattr(user, name) for name in ("external", *facts)}
    if user is None:
        user = User(username=username)
        user.set_unusable_password()
    user.external = external
    for name, value in facts.items():
        setattr(user, name, value[: longest(name)])
    after = {name: getattr(user, name) for name in ("external", *facts)}
    if before != after:
        _check(user)
        with transaction.atomic():
            user.save()
            trail.record(
                SYSTEM, "person.create" if before is None else "person.update", user, before=before, after=after
            )
    return user


def longest(field: str) -> int:
    """How much text fits into a field of a person."""
    return int(getattr(User._meta.get_field(field), "max_length", None) or 150)


def _check(user: User) -> None:
    try:
        user.clean_fields(exclude=["password", "email"])
    except ValidationError as error:
        raise Denied(
            S("The name “%(name)s” from elsewhere cannot be a name here.", name=user.username[:60]),
            rule="external_name",
            granted_by=["ops"],
        ) from error


def require_free(user: User, external: str) -> None:
    """Whether this account may become theirs. Raises Denied."""
    if user.external == external:
        return
    if user.external or user.is_service or user.is_ops or user.is_staff or not settings.LINK_EXISTING_ACCOUNTS:
        raise Denied(
            S("The name “%(name)s” belongs to another account here; ask ops to settle it.", name=user.username),
            rule="external_account",
            granted_by=["ops"],
        )


def settle(user: User, groups: Iterable[str], mapping: Mapping[str, str]) -> None:
    """Make the person's teams follow their groups, as far as `mapping` (group -> team) goes."""
    if not mapping:
        return
    wanted = {team for group, team in mapping.items() if group in set(groups)}
    with transaction.atomic():
        mapped = {name: Group.objects.get_or_create(name=name)[0] for name in set(mapping.values())}
        before = set(user.groups.values_list("name", flat=True))
        add, remove = wanted - before, (set(mapped) - wanted) & before
        if not add and not remove:
            return
        user.groups.add(*(mapped[name] for name in add))
        user.groups.remove(*(mapped[name] for name in remove))
        revocation.access_changed(user)
        user.is_staff = user.is_superuser or user.is_ops
        user.save(update_fields=["is_staff"])
        after: dict[str, Any] = {"teams": sorted((before | add) - remove), "is_staff": user.is_staff}
        trail.record(SYSTEM, "person.teams", user, before={"teams": sorted(before)}, after=after)
