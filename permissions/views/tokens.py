"""Pages of keys: one's own API tokens, and (ops) service accounts with theirs."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render

from fangduoduo_release.common.errors import AppError, Denied, Invalid, NotFound
from fangduoduo_release.common.http import tell
from fangduoduo_release.common.sentence import S
from permissions import actions, policy
from permissions.enforce import OPS, SIGNED_IN, Page
from permissions.models import ApiToken, User
from permissions.scopes import Scope

LIFE = (7, 30, 90, 365)


def asked_for(given: QueryDict) -> dict[str, Any]:
    """What the form of a new token says. Raises Invalid when scopes are to be chosen and none is."""
    days = given.get("days", "90")
    scopes = given.getlist("scopes")
    if given.get("reach") == "chosen" and not scopes:
        sentence = S("Choose at least one scope.")
        raise Invalid(sentence, fields={"scopes": [sentence]})
    return {
        "name": given.get("name", ""),
        "days": None if days == "never" else int(days) if days.isdecimal() and len(days) < 9 else 90,
        "scopes": scopes if given.get("reach") == "chosen" else [],
    }


def form_facts(given: QueryDict | None = None) -> dict[str, Any]:
    """What the form of a new token shows."""
    return {
        "scopes": [{"name": scope.value, "words": scope.label} for scope in Scope],
        "lives": LIFE,
        "chosen": given.getlist("scopes") if given else [],
        "reach": given.get("reach", "all") if given else "all",
        "name": given.get("name", "") if given else "",
        "days": given.get("days", "90") if given else "90",
    }


class Tokens(Page):
    permission = SIGNED_IN

    def get(
        self, request: HttpRequest, made: str = "", problem: Any = None, given: QueryDict | None = None
    ) -> HttpResponse:
        tokens = self.actor.tokens.order_by("-id")[:100]
        context = {
            "tokens": tokens, "made": made, "problem": problem, "form": form_facts(given), "tab": "tokens",
        }  # fmt: skip
        return render(request, "permissions/tokens.html", context, status=422 if problem else 200)

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            _, text = actions.create_token(actor=self.actor, **asked_for(request.POST))
        except Invalid as error:
            return self.get(request, problem=error.sentence, given=request.POST)
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


class ServiceAccounts(Page):
    """Programs that act here under a name of their own."""

    permission = OPS

    def get(self, request: HttpRequest, problem: Any = None) -> HttpResponse:
        live = Count("tokens", filter=Q(tokens__revoked_at=None))
        accounts = User.objects.filter(is_service=True).annotate(live=live, used=Max("tokens__last_used_at"))
        context = {"accounts": accounts.order_by("username")[:200], "problem": problem, "tab": "service-accounts"}
        return render(request, "permissions/service_accounts.html", context, status=422 if problem else 200)

    def post(self, request: HttpRequest) -> HttpResponse:
        given = request.POST
        try:
            made = actions.create_service_account(
                actor=self.actor, username=given.get("username", ""), name=given.get("name", "")
            )
        except Denied:
            raise
        except AppError as error:
            return self.get(request, problem=error.sentence)
        return redirect("service-account", made.pk)


class ServiceAccountPage(Page):
    """One of them: its tokens, made and revoked here."""

    permission = OPS

    def get(
        self, request: HttpRequest, pk: int, made: str = "", problem: Any = None, given: QueryDict | None = None
    ) -> HttpResponse:
        account = service_account(pk)
        context = {
            "account": account, "tokens": account.tokens.order_by("-id")[:100], "made": made, "problem": problem,
            "form": form_facts(given), "tab": "service-accounts",
            "roles": policy.roles_of(account).select_related("project", "team").order_by("project__slug")[:100],
        }  # fmt: skip
        return render(request, "permissions/service_account.html", context, status=422 if problem else 200)

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        account = service_account(pk)
        if given := request.POST.get("revoke", ""):
            token = ApiToken.objects.filter(user=account, pk=int(given) if given.isdecimal() else 0).first()
            if token is None:
                raise NotFound(S("There is no such token."))
            actions.revoke_token(actor=self.actor, token=token)
            tell(request, S("The token “%(name)s” works no more.", name=token.name))
            return redirect("service-account", pk)
        try:
            _, text = actions.create_token(actor=self.actor, of=account, **asked_for(request.POST))
        except Invalid as error:
            return self.get(request, pk, problem=error.sentence, given=request.POST)
        return self.get(request, pk, made=text)


def service_account(pk: int) -> User:
    """Raises NotFound."""
    found = User.objects.filter(pk=pk, is_service=True).first()
    if found is None:
        raise NotFound(S("There is no such service account."))
    return found
