"""Signing in with the company's directory, where the settings name one. django-python3-ldap asks it; this says who may
become whom. An account that was made here is never asked for there, so that one of ops can come in without it.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django_python3_ldap.auth import LDAPBackend
from django_python3_ldap.ldap import LDAPException

from fangduoduo_release.common.errors import Denied
from permissions import directory
from permissions.models import User

MARK = "ldap:"


class DirectoryBackend(LDAPBackend):
    """Second after passwords kept here."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if not username or not password or not self._may_be_theirs(username):
            return None
        try:
            user = super().authenticate(request, username=username, password=password)
        except Denied:
            return None
        return user if isinstance(user, User) and self.user_can_authenticate(user) else None

    def _may_be_theirs(self, username: str) -> bool:
        """Whether the name is one that may be asked for there: plain, and not that of an account made here."""
        try:
            UnicodeUsernameValidator()(username)
        except ValidationError:
            return False
        try:
            require_free(username)
        except Denied:
            return False
        return True

    def user_can_authenticate(self, user: Any) -> bool:
        return super().user_can_authenticate(user) and not user.is_service


def require_free(username: str) -> None:
    """Raises Denied when the name is that of an account made here."""
    known = User.objects.filter(username=username).first()
    if known is not None and not known.external.startswith(MARK):
        directory.require_free(known, MARK)


def checked(fields: dict[str, Any]) -> dict[str, Any]:
    """What the directory calls somebody is not always what they typed (it ignores case): asked again with its name."""
    require_free(str(fields.get("username", "")))
    return {name: str(value)[: directory.longest(name)] for name, value in fields.items()}


def adopt(user: User, attributes: Any, *, connection: Any, dn: str) -> None:
    """After the directory let somebody in: whose account this is, and which teams follow from their groups."""
    external = f"{MARK}{dn}"[:255]
    if user.external != external:
        User.objects.filter(pk=user.pk).update(external=external)
        user.external = external
    directory.settle(user, groups_of(attributes, connection, dn), settings.LDAP_GROUP_TEAMS)


def groups_of(attributes: Any, connection: Any, dn: str) -> set[str]:
    """Short names of the groups somebody is in: told by `memberOf`, or by the groups that name them."""
    told = attributes.get("memberOf", []) if hasattr(attributes, "get") else []
    names = {common_name(group) for group in ([told] if isinstance(told, str) else told)}
    if settings.LDAP_GROUPS:
        escaped = "".join(f"\\{ord(letter):02x}" if letter in "\\*()\0" else letter for letter in dn)
        search = f"(|(member={escaped})(uniqueMember={escaped}))"
        try:
            connection.search(search_base=settings.LDAP_GROUPS, search_filter=search, attributes=["cn"])
        except LDAPException:
            return names
        names |= {common_name(entry["dn"]) for entry in connection.response if entry.get("type") == "searchResEntry"}
    return names


def common_name(dn: str) -> str:
    """`cn=release-ops,ou=groups,…` -> `release-ops`."""
    return str(dn).partition(",")[0].partition("=")[2]
