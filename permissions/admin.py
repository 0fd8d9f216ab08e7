"""The ops screen for people, teams, service accounts, their tokens, and who is locked out."""

from __future__ import annotations

from typing import Any

from axes.models import AccessAttempt
from django import forms
from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import FilteredSelectMultiple
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.audit import trail
from permissions import actions, revocation
from permissions.admin_base import PortalAdmin, ReadOnlyAdmin
from permissions.models import ApiToken, JwtFamily, ServiceAccount, SignedIn, User
from permissions.views.door import AdminDoor


class _PeopleAdmin(PortalAdmin):
    """Ops look; only a superuser writes, and every write is in the audit with what was before: who may do what begins
    here. Whoever's rights changed is told, so that what they hold open is asked again."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.has_add_permission(request)

    def get_actions(self, request: HttpRequest) -> Any:
        return ReadOnlyAdmin.get_actions(self, request)  # type: ignore[arg-type]

    def facts(self, obj: Any) -> dict[str, Any]:
        """What the audit compares: everything that decides what somebody may do."""
        raise NotImplementedError

    def touched(self, obj: Any, before: dict[str, Any], after: dict[str, Any]) -> list[User]:
        """Whose rights follow from the change."""
        raise NotImplementedError

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        # On the form, which is this request's alone: an admin's own attributes are everybody's.
        form.before = self.facts(self.model._default_manager.get(pk=form.instance.pk)) if change else {}
        return super().save_form(request, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        obj, before = form.instance, form.before
        after = self.facts(self.model._default_manager.get(pk=obj.pk))
        changed = {name for name in after if before.get(name) != after[name]}
        kind = obj._meta.model_name
        trail.record(
            request.user,
            f"{kind}.update" if change else f"{kind}.create",
            obj,
            before={name: before[name] for name in sorted(changed & set(before))} if change else None,
            after={name: after[name] for name in sorted(changed)},
        )
        if changed:
            revocation.access_changed(*self.touched(obj, before, after))


@admin.register(User)
class PersonAdmin(_PeopleAdmin, UserAdmin):  # type: ignore[type-arg]
    """Django's own user screen. People are made inactive, not deleted: what they did stays theirs."""

    list_display = (
        "username", "email", "first_name", "last_name", "is_staff", "is_superuser", "is_service", "is_active", "last_login",
    )  # fmt: skip
    list_filter = ("is_active", "is_staff", "is_superuser", "is_service", "groups")
    actions = ["unlock", "sign_out_everywhere", "deactivate", "activate"]

    def facts(self, obj: User) -> dict[str, Any]:
        fields = ("username", "first_name", "last_name", "email", "is_active", "is_staff", "is_superuser")
        teams = obj.groups.order_by("name").values_list("name", flat=True)
        rights = obj.user_permissions.order_by("codename").values_list("codename", flat=True)
        return {**{name: getattr(obj, name) for name in fields}, "teams": list(teams), "rights": list(rights)}

    def touched(self, obj: User, before: dict[str, Any], after: dict[str, Any]) -> list[User]:
        return [obj]

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Django's own, and what follows a new password: signed out everywhere, told, written down."""
        with transaction.atomic():
            before = User.objects.filter(pk=unquote(id)).values_list("password", flat=True).first()
            answer: HttpResponse = super().user_change_password(request, id, form_url)
            user = User.objects.filter(pk=unquote(id)).first()
            if user is not None and user.password != before:
                actions.password_was_set(actor=request.user, user=user)
        return answer

    @admin.action(description=_("Unlock: forget wrong passwords"))
    def unlock(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        def act(user: User) -> None:
            actions.unlock(actor=request.user, username=user.username)

        self.each(request, rows, act, str(_("Unlocked")))

    @admin.action(description=_("Sign out everywhere"))
    def sign_out_everywhere(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        def act(user: User) -> None:
            actions.sign_out_everywhere(actor=request.user, user=user)

        self.each(request, rows, act, str(_("Signed out")))

    @admin.action(description=_("Deactivate: nothing of theirs opens anything"))
    def deactivate(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        def act(user: User) -> None:
            actions.set_active(actor=request.user, user=user, active=False)

        self.each(request, rows, act, str(_("Deactivated")))

    @admin.action(description=_("Activate"))
    def activate(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        def act(user: User) -> None:
            actions.set_active(actor=request.user, user=user, active=True)

        self.each(request, rows, act, str(_("Activated")))


class ServiceAccountForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = ServiceAccount
        fields = ["username", "first_name"]
        labels = {"first_name": _("What it is for")}


@admin.register(ServiceAccount)
class ServiceAccountAdmin(PortalAdmin):
    """Made here by ops; its tokens are made and shown once on its page in the portal."""

    list_display = ("username", "first_name", "is_active", "date_joined")
    search_fields = ("username", "first_name")
    form = ServiceAccountForm

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(is_service=True)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made = actions.create_service_account(actor=request.user, username=obj.username, name=obj.first_name)
        obj.pk, obj._state.adding = made.pk, False

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("service-account", args=[obj.pk]))


@admin.register(ApiToken)
class TokenAdmin(ReadOnlyAdmin):
    list_display = ("name", "user", "prefix", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("revoked_at",)
    list_select_related = ("user",)
    search_fields = ("name", "user__username", "prefix")
    fields = (
        "user", "name", "prefix", "scopes", "made_by", "created_at", "expires_at", "last_used_at", "revoked_at",
    )  # fmt: skip
    actions = ["revoke"]

    @admin.action(description=_("Revoke"))
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> None:
        def act(token: ApiToken) -> None:
            actions.revoke_token(actor=request.user, token=token)

        self.each(request, rows, act, str(_("Revoked")))


@admin.register(SignedIn)
class SessionAdmin(ReadOnlyAdmin):
    list_display = ("user", "address", "how", "made_at", "seen_at")
    list_select_related = ("user",)
    search_fields = ("user__username", "address")
    fields = ("user", "address", "user_agent", "how", "made_at", "seen_at")
    actions = ["end"]

    @admin.action(description=_("End these sessions"))
    def end(self, request: HttpRequest, rows: QuerySet[SignedIn]) -> None:
        def act(row: SignedIn) -> None:
            actions.end_session(actor=request.user, row=row)

        self.each(request, rows, act, str(_("Ended")))


@admin.register(JwtFamily)
class GatewaySignInAdmin(ReadOnlyAdmin):
    list_display = ("user", "address", "made_at", "used_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("user__username", "address")
    fields = ("user", "address", "user_agent", "number", "made_at", "used_at", "expires_at", "revoked_at")


class LockoutAdmin(ReadOnlyAdmin):
    """Wrong passwords that count now. To unlock a name that is nobody's, or everybody behind an address, forget them."""

    list_display = ("username", "ip_address", "failures_since_start", "attempt_time")
    search_fields = ("username", "ip_address")
    fields = ("username", "ip_address", "user_agent", "path_info", "failures_since_start", "attempt_time")
    actions = ["forget"]

    @admin.action(description=_("Unlock: forget wrong passwords"))
    def forget(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        def act(row: Any) -> None:
            actions.unlock(actor=request.user, username=row.username or "")

        self.each(request, rows, act, str(_("Unlocked")))


def hide(*models: Any) -> None:
    """Take tables out of the admin that would let one run code or bypass the actions."""
    for model in models:
        try:
            admin.site.unregister(model)
        except NotRegistered:
            continue


hide(Group)
admin.site.register(AccessAttempt, LockoutAdmin)


class TeamForm(forms.ModelForm):  # type: ignore[type-arg]
    """A team with its members, which Django's own screen leaves to each person's."""

    members = forms.ModelMultipleChoiceField(
        label=_("Members"),
        queryset=User.objects.filter(is_active=True).order_by("username"),
        widget=FilteredSelectMultiple(_("Members"), is_stacked=False),
        required=False,
    )

    class Meta:
        model = Group
        fields = ["name", "permissions"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["members"] = self.instance.user_set.all()

    def _save_m2m(self) -> None:
        super()._save_m2m()  # type: ignore[misc]
        chosen, team = self.cleaned_data["members"], self.instance
        kept_out = team.user_set.filter(is_active=False)  # the form does not show them, so it does not lose them
        team.user_set.set([*chosen, *kept_out])


@admin.register(Group)
class TeamAdmin(_PeopleAdmin, GroupAdmin):
    """Teams and what they may do."""

    form = TeamForm

    def facts(self, obj: Group) -> dict[str, Any]:
        rights = obj.permissions.order_by("codename").values_list("codename", flat=True)
        members = User.objects.filter(groups=obj).order_by("username").values_list("username", flat=True)
        return {"name": obj.name, "rights": list(rights), "members": list(members)}

    def touched(self, obj: Group, before: dict[str, Any], after: dict[str, Any]) -> list[User]:
        """Who came and went; all members when the team itself may do something else now."""
        names = set(before.get("members", [])) ^ set(after["members"])
        if before.get("rights") != after["rights"]:
            names |= set(after["members"])
        return list(User.objects.filter(username__in=names))


admin.site.site_header = _("Fangduoduo Release")
admin.site.site_title = _("Fangduoduo Release")
admin.site.index_title = _("Operations")
admin.site.login = AdminDoor.as_view()  # type: ignore[method-assign, assignment]
