"""Signing in by OpenID Connect, where the settings name a provider. mozilla-django-oidc does the dance; this says who is
who, finds the provider's addresses by itself, and looks at what the library leaves open: issuer, audience, time.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import jwt
import requests
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from permissions import directory
from permissions.models import User

logger = logging.getLogger(__name__)
KNOWN_S = 600.0
LEEWAY_S = 30
ADDRESSES = {
    "OIDC_OP_AUTHORIZATION_ENDPOINT": "authorization_endpoint",
    "OIDC_OP_TOKEN_ENDPOINT": "token_endpoint",
    "OIDC_OP_USER_ENDPOINT": "userinfo_endpoint",
    "OIDC_OP_JWKS_ENDPOINT": "jwks_uri",
}
_known: dict[str, tuple[float, dict[str, Any]]] = {}


def provider() -> dict[str, Any]:
    """The provider's own description. Raises requests.RequestException, ValueError."""
    issuer = settings.OIDC_ISSUER
    when, found = _known.get(issuer, (0.0, {}))
    if not found or time.monotonic() - when > KNOWN_S:
        answer = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=settings.OIDC_TIMEOUT)
        answer.raise_for_status()
        found = answer.json()
        if str(found.get("issuer", "")).rstrip("/") != issuer:
            raise ValueError("the provider describes somebody else")
        _known[issuer] = (time.monotonic(), found)
    return found


class OidcBackend(OIDCAuthenticationBackend):
    """Asks the provider only while somebody signs in, never for somebody who is signed in already."""

    def __init__(self) -> None:
        self.UserModel = User
        self.OIDC_RP_CLIENT_ID = settings.OIDC_RP_CLIENT_ID
        self.OIDC_RP_CLIENT_SECRET = settings.OIDC_RP_CLIENT_SECRET
        self.OIDC_RP_SIGN_ALGO = settings.OIDC_RP_SIGN_ALGO
        self.OIDC_RP_IDP_SIGN_KEY = None

    def authenticate(self, request: HttpRequest | None, **kwargs: Any) -> User | None:
        """None for anything but the answer of a provider we asked. Raises Denied for a name that is taken."""
        if request is None or "nonce" not in kwargs:
            return None
        try:
            found = provider()
            for name, key in ADDRESSES.items():
                setattr(self, name, found.get(key))
            user = super().authenticate(request, **kwargs)
        except (requests.RequestException, jwt.PyJWTError, SuspiciousOperation, ValueError, KeyError) as error:
            logger.warning("sign-in by OpenID Connect failed: %s", type(error).__name__)
            return None
        return user if isinstance(user, User) and self.user_can_authenticate(user) else None

    def get_payload_data(self, token: str, key: Any) -> Any:
        """The claims of an ID token that is for us, from them, and not too old. Raises PyJWTError."""
        return jwt.decode(
            token,
            key,
            algorithms=[settings.OIDC_RP_SIGN_ALGO],
            audience=settings.OIDC_RP_CLIENT_ID,
            issuer=provider()["issuer"],
            leeway=LEEWAY_S,
            options={"require": ["exp", "iat", "sub"]},
        )

    def get_or_create_user(self, access_token: str, id_token: str, payload: dict[str, Any]) -> User:
        """By the provider's own name for them (`sub`), which no other person ever gets. Raises Denied."""
        claims = {**payload}
        if getattr(self, "OIDC_OP_USER_ENDPOINT", None):
            told = self.get_userinfo(access_token, id_token, payload)
            if told.get("sub") != payload["sub"]:
                raise SuspiciousOperation("the provider tells of somebody else")
            claims |= told
        name = str(claims.get(settings.OIDC_USERNAME_CLAIM) or "")
        facts = {
            "first_name": str(claims.get("given_name") or claims.get("name") or ""),
            "last_name": str(claims.get("family_name") or ""),
            "email": str(claims.get("email") or "") if claims.get("email_verified", True) else "",
        }
        user = directory.account_of(f"oidc:{settings.OIDC_ISSUER}#{payload['sub']}"[:255], name, facts)
        groups = claims.get(settings.OIDC_GROUPS_CLAIM) or []
        directory.settle(user, groups if isinstance(groups, list) else [], settings.OIDC_GROUP_TEAMS)
        return user

    def user_can_authenticate(self, user: Any) -> bool:
        return super().user_can_authenticate(user) and not user.is_service

    def get_user(self, user_id: Any) -> User | None:
        user = User.objects.filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
