"""The two pages of signing in by OpenID Connect; imported only where it is switched on."""

from __future__ import annotations

import logging
from typing import Any

import requests
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from fangduoduo_release.common.errors import AppError, Invalid
from fangduoduo_release.common.http import tell
from fangduoduo_release.common.sentence import S
from permissions import lockout, oidc
from permissions.enforce import PUBLIC
from permissions.views.door import settle_in

logger = logging.getLogger(__name__)


class Start(OIDCAuthenticationRequestView):
    """To the provider, with state, nonce and a PKCE challenge kept in the session."""

    permission = PUBLIC

    def __init__(self, **kwargs: Any) -> None:
        self.OIDC_RP_CLIENT_ID = self.get_settings("OIDC_RP_CLIENT_ID")

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            self.OIDC_OP_AUTH_ENDPOINT = oidc.provider()["authorization_endpoint"]
        except (requests.RequestException, ValueError, KeyError) as error:
            logger.warning("the OpenID Connect provider cannot be asked: %s", type(error).__name__)
            tell(
                request,
                S("The sign-in service cannot be reached now; sign in with a password or try again."),
                level=messages.ERROR,
            )
            return redirect("sign-in")
        answer: HttpResponse = super().get(request)
        return answer


class Callback(OIDCAuthenticationCallbackView):
    """Back from the provider."""

    permission = PUBLIC

    def get(self, request: HttpRequest) -> HttpResponse:
        self.problem: AppError | None = None
        try:
            answer: HttpResponse = super().get(request)
        except AppError as error:  # a name that is taken
            self.problem = error
            return self.login_failure()
        return answer

    def login_success(self) -> HttpResponse:
        answer: HttpResponse = super().login_success()
        self.request.session.pop("oidc_login_next", None)
        settle_in(self.request, "oidc")
        return answer

    def login_failure(self) -> HttpResponse:
        if getattr(self.request, "axes_locked_out", False):
            self.problem = lockout.too_many("", self.request)
        said = self.problem or Invalid(S("The sign-in service did not let you in."))
        tell(self.request, said.sentence, level=messages.ERROR)
        return redirect("sign-in")
