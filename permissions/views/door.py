"""In and out: sign-in, sign-out, the reader's language."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.i18n import set_language

from fangduoduo_release.audit import trail
from fangduoduo_release.common.errors import TooMany
from permissions import lockout, policy, revocation, sessions
from permissions.enforce import PUBLIC, Page
from permissions.models import User


class SignInForm(AuthenticationForm):
    """Django's own; the password is judged where wrong ones are counted. `clean` raises TooMany."""

    def clean(self) -> dict[str, Any]:
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if name is not None and password:
            user = lockout.person_of_password(name, password, request=self.request)  # type: ignore[arg-type]
            if user is None:
                raise self.get_invalid_login_error()
            self.confirm_login_allowed(user)
            self.user_cache = user
        return self.cleaned_data


class SignIn(auth_views.LoginView):
    """Django's own sign-in; whoever is signed in already goes home. Where to go next stays on this host."""

    permission = PUBLIC
    redirect_authenticated_user = True
    authentication_form = SignInForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        if settings.OIDC_ISSUER:
            target = urlencode({"next": self.get_redirect_url()}) if self.get_redirect_url() else ""
            context["oidc"] = {"label": settings.OIDC_LABEL, "url": f"{reverse('oidc-start')}?{target}"}
        return {**context, "directory": bool(settings.LDAP_AUTH_URL)}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().post(request, *args, **kwargs)
        except TooMany as error:
            form = SignInForm(request, initial={"username": request.POST.get("username", "")[:150]})
            answer = self.render_to_response(self.get_context_data(form=form, locked=error.sentence))
            answer.status_code = error.status
            answer["Retry-After"] = str(error.retry_after)
            return answer

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        answer = super().form_valid(form)
        settle_in(self.request, "ldap" if form.get_user().external else "password")
        return answer


def settle_in(request: HttpRequest, how: str) -> None:
    """After a sign-in by whatever door: the session is a new one already; note where, and say so in the audit."""
    assert isinstance(request.user, User)
    sessions.note(request, how)
    trail.record(request.user, "person.sign_in", request.user, after={"how": how})


class SignOut(auth_views.LogoutView):
    """Also closes what the person's open pages still listen to."""

    permission = PUBLIC

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = request.user
        answer = super().post(request, *args, **kwargs)
        if isinstance(user, User):
            revocation.access_changed(user)
        return answer


class AdminDoor(Page):
    """The admin has no sign-in of its own: one door, one lockout. Who is signed in and still sent here may not enter."""

    permission = PUBLIC

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            policy.require_ops(request.user)
            return redirect("home")
        return redirect(
            f"{reverse('sign-in')}?{urlencode({'next': request.GET.get('next') or reverse('admin:index')})}"
        )


class Language(Page):
    """Remember the reader's language; Django's own view, with its check of where to go next."""

    permission = PUBLIC

    def post(self, request: HttpRequest) -> HttpResponseBase:
        return set_language(request)
