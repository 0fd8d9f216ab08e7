"""Who calls the API: `Authorization: Bearer fdd_…`. Sessions are DRF's own."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from permissions.models import ApiToken
from permissions.tokens import used


class TokenAuthentication(BaseAuthentication):
    """Personal and service API tokens."""

    def authenticate(self, request: Any) -> tuple[Any, ApiToken] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        if len(parts) != 2:
            raise AuthenticationFailed("The Authorization header is not “Bearer <token>”.")
        token = ApiToken.find(parts[1].decode("latin-1"))
        if token is None:
            raise AuthenticationFailed("The token is unknown, expired or revoked.")
        used(token)
        return token.user, token

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"
