"""Pages about oneself: who I am, where I am signed in, my password."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.password_validation import password_validators_help_texts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from fangduoduo_release.common.errors import Invalid, NotFound
from fangduoduo_release.common.http import tell
from fangduoduo_release.common.sentence import S
from permissions import actions, policy, sessions
from permissions.enforce import SIGNED_IN, Page
from permissions.views.agents import agent_words


class Profile(Page):
    permission = SIGNED_IN

    def get(self, request: HttpRequest) -> HttpResponse:
        roles = policy.roles_of(self.actor).select_related("project", "team").order_by("project__slug", "-id")[:200]
        return render(request, "permissions/profile.html", {"roles": roles, "tab": "profile"})


class Sessions(Page):
    """Every browser I am signed in with; ends one, or all."""

    permission = SIGNED_IN

    def get(self, request: HttpRequest) -> HttpResponse:
        here = sessions.current_row(request)
        rows = [
            {"row": row, "here": row.pk == here, "agent": agent_words(row.user_agent)}
            for row in sessions.open_sessions(self.actor)[:100]
        ]
        return render(request, "permissions/sessions.html", {"rows": rows, "tab": "sessions"})

    def post(self, request: HttpRequest) -> HttpResponse:
        """Sign out everywhere, here as well."""
        actions.sign_out_everywhere(actor=self.actor, user=self.actor)
        logout(request)
        tell(request, S("You are signed out everywhere."))
        return redirect("sign-in")


class EndSession(Page):
    permission = SIGNED_IN

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self.actor.signed_in.filter(pk=pk).first()
        if row is None:
            raise NotFound(S("There is no such session."))
        actions.end_session(actor=self.actor, row=row)
        if row.pk == sessions.current_row(request):
            logout(request)
            return redirect("sign-in")
        tell(request, S("That session has ended."))
        return redirect("sessions")


class Password(Page):
    """A new password; everywhere else I am signed out."""

    permission = SIGNED_IN

    def get(self, request: HttpRequest, problem: Invalid | None = None) -> HttpResponse:
        kept_here = not self.actor.external and self.actor.has_usable_password()
        fields: dict[str, Any] = problem.fields if problem else {}
        context = {
            "rules": password_validators_help_texts(), "kept_here": kept_here, "tab": "password",
            "problem": problem.sentence if problem and not fields else None, "wrong": fields,
        }  # fmt: skip
        return render(request, "permissions/password.html", context, status=422 if problem else 200)

    def post(self, request: HttpRequest) -> HttpResponse:
        given = request.POST
        new, again = given.get("new", ""), given.get("again", "")
        try:
            if new != again:
                sentence = S("The two are not the same.")
                raise Invalid(sentence, fields={"again": [sentence]})
            actions.change_password(actor=self.actor, old=given.get("old", ""), new=new, request=request)
        except Invalid as error:
            return self.get(request, error)
        update_session_auth_hash(request, self.actor)  # this session goes on, under a new key
        sessions.note(request)
        tell(request, S("Your password is changed; everywhere else you are signed out."))
        return redirect("password")
