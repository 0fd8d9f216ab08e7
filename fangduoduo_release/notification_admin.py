"""The ops screen for who is told: the channels of ops themselves, everybody's in sight, what was sent, closed routes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.common.errors import Conflict, Invalid
from fangduoduo_release.common.http import say
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.notifications import channels, choices, events
from fangduoduo_release.notifications.models import Channel, Circuit, Delivery
from permissions import policy
from permissions.admin_base import PortalAdmin, ReadOnlyAdmin


class OpsChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    """What ops may change of their channel."""

    events = forms.MultipleChoiceField(
        label=_("Hears of"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(kind.name, kind.label) for kind in events.for_whom(events.OPS)],
        initial=events.defaults(events.OPS),
    )
    language = forms.ChoiceField(label=_("Language"), required=False, choices=choices.languages)

    class Meta:
        model = Channel
        fields = ("name", "events", "language", "enabled")


class NewOpsChannelForm(OpsChannelForm):
    """Where it leads is given once, when it is made, and never shown again."""

    kind = forms.ChoiceField(label=_("Kind"), choices=lambda: [(k, choices.KINDS.get(k, k)) for k in _kinds()])
    address = forms.CharField(label=_("Address"), max_length=2000)
    secret = forms.CharField(
        label=_("Signing secret"),
        max_length=200,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=_("Of the robot's signature check; at least 16 characters for a webhook."),
    )

    class Meta:
        model = Channel
        fields = ("kind", "name", "events", "language")

    def clean(self) -> dict[str, Any]:
        """Judged here, so that what is wrong stands at its field."""
        data: dict[str, Any] = super().clean() or {}
        if self.errors:
            return data
        if data["kind"] == "webhook" and not data["secret"]:
            self.add_error("secret", _("A webhook of ops needs a secret that its receiver knows."))
            return data
        try:
            channels.judge(data["kind"], data["address"], data["secret"])
        except Invalid as error:
            field = next((name for name in error.fields if name in self.fields), None)
            self.add_error(field, say(error.sentence))
        return data


def _kinds() -> list[str]:
    return choices.offered(personal=False)


@admin.register(Channel)
class ChannelAdmin(PortalAdmin):
    """Ops make, change and test their own; those of people and projects are theirs, and only seen."""

    form = OpsChannelForm
    list_display = ("name", "kind", "whose", "shown", "enabled", "created_by", "created_at")
    list_filter = ("kind", "enabled")
    list_select_related = ("user",)
    search_fields = ("name", "project", "user__username")
    big_columns = ("secrets",)
    actions = ["send_test", "switch_off", "switch_on"]

    @admin.display(description=_("Whose"))
    def whose(self, channel: Channel) -> str:
        return str(channel.user or channel.project or _("ops"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request) and (obj is None or obj.audience == events.OPS)

    has_delete_permission = has_change_permission

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["form"] = OpsChannelForm if change else NewOpsChannelForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("kind", "name", "address", "secret", "events", "language")
        mine = obj.audience == events.OPS
        return (
            ("kind", "shown", "name", "events", "language", "enabled")
            if mine
            else self.get_readonly_fields(request, obj)
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ()
        if obj.audience == events.OPS:
            return ("kind", "shown")
        return ("kind", "shown", "name", "whose", "events", "language", "enabled", "created_by", "created_at")

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        policy.require_ops(request.user)
        data = form.cleaned_data
        if change:
            stored = Channel.objects.get(pk=obj.pk)
            channels.change(
                actor=request.user,
                channel=stored,
                heard=data["events"],
                enabled=data.get("enabled", stored.enabled),
                language=data["language"],
                name=data["name"],
            )
            return
        made, _secret = channels.add(
            actor=request.user,
            kind=data["kind"],
            name=data["name"],
            address=data["address"],
            secret=data["secret"],
            language=data["language"],
            heard=data["events"],
        )
        obj.pk = made.pk

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What was sent goes with its channel, although nobody may delete a message by itself."""
        listed, counts, _needed, protected = super().get_deleted_objects(objs, request)
        return listed, counts, set(), protected

    def delete_model(self, request: HttpRequest, obj: Channel) -> None:
        policy.require_ops(request.user)
        channels.remove(actor=request.user, channel=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        self.each(request, queryset, lambda channel: self._remove(request, channel), str(_("Deleted")))

    def _remove(self, request: HttpRequest, channel: Channel) -> None:
        if channel.audience != events.OPS:
            raise Conflict(S("This channel is not yours; whoever it belongs to takes it away."))
        channels.remove(actor=request.user, channel=channel)

    @admin.action(description=_("Send a test"))
    def send_test(self, request: HttpRequest, rows: QuerySet[Channel]) -> None:
        def act(channel: Channel) -> None:
            channels.send_test(actor=request.user, channel=channel)

        self.each(request, rows.filter(user=None, project=""), act, str(_("On their way")))

    @admin.action(description=_("Switch off"))
    def switch_off(self, request: HttpRequest, rows: QuerySet[Channel]) -> None:
        self._switch(request, rows, enabled=False)

    @admin.action(description=_("Switch on"))
    def switch_on(self, request: HttpRequest, rows: QuerySet[Channel]) -> None:
        self._switch(request, rows, enabled=True)

    def _switch(self, request: HttpRequest, rows: QuerySet[Channel], *, enabled: bool) -> None:
        def act(channel: Channel) -> None:
            channels.change(actor=request.user, channel=channel, enabled=enabled)

        self.each(request, rows, act, str(_("Saved.")))


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "event", "to", "project", "state", "tries", "needs_ops", "reason")
    list_filter = ("state", "needs_ops", "event")
    list_select_related = ("channel", "user")
    search_fields = ("=project", "=user__username", "=dedupe_key")
    fields = (
        *("created_at", "event", "to", "project", "text", "link", "state", "tries", "needs_ops", "reason", "evidence"),
        *("key", "deadline_at", "next_at", "finished_at"),
    )
    readonly_fields = fields
    actions = ["try_again"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).defer("channel__secrets")

    @admin.display(description=_("To"))
    def to(self, row: Delivery) -> str:
        return str(row.channel or row.user or "–")

    @admin.display(description=_("Text"))
    def text(self, row: Delivery) -> str:
        return say(Sentence.from_json(row.sentence))

    @admin.display(description=_("Reason"))
    def reason(self, row: Delivery) -> str:
        return say(Sentence.from_json((row.error or {}).get("sentence") or {}))

    @admin.display(description=_("Evidence"))
    def evidence(self, row: Delivery) -> str:
        return str((row.error or {}).get("evidence", ""))

    @admin.action(description=_("Try again"))
    def try_again(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        def act(row: Delivery) -> None:
            channels.try_again(actor=request.user, delivery=row)

        self.each(request, rows, act, str(_("Queued again")))


@admin.register(Circuit)
class CircuitAdmin(ReadOnlyAdmin):
    list_display = ("route", "failures", "until", "since")
    fields = ("route", "failures", "until", "since", "error")
