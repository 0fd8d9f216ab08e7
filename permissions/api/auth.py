"""`/api/auth/…`: a JWT for the gateway from a name and a password, its renewal and its end; and `/api/me/`."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from permissions import jwts, lockout, policy
from permissions.api.authentication import BrowserAtTheDoor, GatewayJWT, TokenAuthentication
from permissions.api.views import ApiView
from permissions.enforce import PUBLIC, SIGNED_IN
from permissions.scopes import Scope


class CredentialsIn(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=lockout.LONGEST_NAME)
    password = serializers.CharField(max_length=4096, trim_whitespace=False, write_only=True)


class RefreshIn(serializers.Serializer[Any]):
    refresh = serializers.CharField(max_length=4096)


class PairOut(serializers.Serializer[Any]):
    """`access` for minutes; `refresh` once, for the next pair."""

    access = serializers.CharField()
    refresh = serializers.CharField()


class MeOut(serializers.Serializer[Any]):
    """Who this is, and what the token in use limits it to (no scopes: to nothing)."""

    username = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    is_ops = serializers.BooleanField()
    is_service = serializers.BooleanField()
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.values))
    roles = serializers.IntegerField(help_text="how many role grants count for this person now")


class DoorView(ApiView):
    """Comes before anybody is known. Answers carry tokens, so none is remembered."""

    permission = PUBLIC
    remembers = False
    authentication_classes = [BrowserAtTheDoor]
    permission_classes = [AllowAny]

    def given(self, request: Request, kind: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The validated body. Raises ValidationError."""
        serializer = kind(data=request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)


class Obtain(DoorView):
    serializer_class = CredentialsIn

    @extend_schema(operation_id="auth_token", request=CredentialsIn, responses=PairOut, auth=[])
    def post(self, request: Request) -> Response:
        given = self.given(request, CredentialsIn)
        user = lockout.person_of_password(given["username"], given["password"], request=request._request)
        if user is None:
            raise AuthenticationFailed("The name or the password is not right.")
        return Response(jwts.start(user))


class Renew(DoorView):
    serializer_class = RefreshIn

    @extend_schema(operation_id="auth_token_refresh", request=RefreshIn, responses=PairOut, auth=[])
    def post(self, request: Request) -> Response:
        pair = jwts.refresh(self.given(request, RefreshIn)["refresh"])
        if pair is None:
            raise AuthenticationFailed("The refresh token is unknown, expired, revoked or was used before.")
        return Response(pair)


class End(DoorView):
    serializer_class = RefreshIn

    @extend_schema(operation_id="auth_token_revoke", request=RefreshIn, responses={204: None}, auth=[])
    def post(self, request: Request) -> Response:
        """204 also for one that is not known: it opens nothing any more."""
        jwts.revoke(self.given(request, RefreshIn)["refresh"])
        return Response(status=204)


class Me(ApiView):
    permission = SIGNED_IN
    serializer_class = MeOut
    authentication_classes = [GatewayJWT, TokenAuthentication, SessionAuthentication]

    @extend_schema(operation_id="me", responses=MeOut)
    def get(self, request: Request) -> Response:
        me = self.actor
        facts = {name: getattr(me, name) for name in ("username", "label", "is_ops", "is_service")}
        return Response({**facts, "scopes": sorted(me.scopes), "roles": policy.roles_of(me).count()})
