"""Who calls the API: `Authorization: Bearer fdd_…`, a browser's session, and at the gateway a short-lived JWT."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from permissions import jwts
from permissions.models import ApiToken, User
from permissions.tokens import used


def bearer_of(request: Any) -> str | None:
    """The bearer's text; None when there is none. Raises AuthenticationFailed for a malformed one."""
    parts = get_authorization_header(request).split()
    if not parts or parts[0].lower() != b"bearer":
        return None
    if len(parts) != 2:
        raise AuthenticationFailed("The Authorization header is not “Bearer <token>”.")
    return str(parts[1].decode("latin-1"))


class TokenAuthentication(BaseAuthentication):
    """Personal and service API tokens; the user carries the token's scopes."""

    def authenticate(self, request: Any) -> tuple[Any, ApiToken] | None:
        text = bearer_of(request)
        if text is None:
            return None
        token = ApiToken.find(text)
        if token is None:
            raise AuthenticationFailed("The token is unknown, expired or revoked.")
        used(token)
        return token.user, token

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


class GatewayJWT(BaseAuthentication):
    """A JWT from `/api/auth/token/`: for the gateway and for asking who one is, nowhere else."""

    def authenticate(self, request: Any) -> tuple[User, None] | None:
        text = bearer_of(request)
        if text is None or text.startswith(ApiToken.MARK):
            return None
        user = jwts.user_of(text)
        if user is None:
            raise AuthenticationFailed("The token is unknown, expired or revoked.")
        return user, None

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


class BrowserAtTheDoor(SessionAuthentication):
    """Where one signs in: a browser that comes along still needs its CSRF token, and a refusal is a 401."""

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"
