"""Pages about oneself: sign in and out, profile, API tokens."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import views as auth_views
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.i18n import set_language

from fangduoduo_release.common.errors import Invalid, NotFound
from fangduoduo_release.common.http import tell
from fangduoduo_release.common.sentence import S
from permissions import actions, policy
from permissions.enforce import PUBLIC, SIGNED_IN, Page


class SignIn(auth_views.LoginView):
    """Django's own sign-in; whoever is signed in already goes home."""

    permission = PUBLIC
    redirect_authenticated_user = True


class SignOut(auth_views.LogoutView):
    permission = PUBLIC


class Language(Page):
    """Remember the reader's language; Django's own view, with its check of where to go next."""

    permission = PUBLIC

    def post(self, request: HttpRequest) -> HttpResponseBase:
        return set_language(request)


class Profile(Page):
    permission = SIGNED_IN

    def get(self, request: HttpRequest) -> HttpResponse:
        roles = self.actor.role_grants.filter(policy.live()).select_related("project").order_by("project__slug")[:200]
        return render(request, "permissions/profile.html", {"roles": roles})


class Tokens(Page):
    permission = SIGNED_IN

    def get(self, request: HttpRequest, made: str = "", problem: Any = None) -> HttpResponse:
        tokens = self.actor.tokens.order_by("-id")[:100]
        context = {"tokens": tokens, "made": made, "problem": problem}
        return render(request, "permissions/tokens.html", context, status=422 if problem else 200)

    def post(self, request: HttpRequest) -> HttpResponse:
        days = request.POST.get("days", "90")
        try:
            _, text = actions.create_token(
                actor=self.actor,
                name=request.POST.get("name", ""),
                days=int(days) if days.isdecimal() and len(days) < 9 else 90,
            )
        except Invalid as error:
            return self.get(request, problem=error.sentence)
        return self.get(request, made=text)  # shown once, in the answer to this very request


class RevokeToken(Page):
    permission = SIGNED_IN

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        token = self.actor.tokens.filter(pk=pk).first()
        if token is None:
            raise NotFound(S("There is no such token."))
        actions.revoke_token(actor=self.actor, token=token)
        tell(request, S("The token “%(name)s” works no more.", name=token.name))
        return redirect("tokens")
