"""What the pages about channels show and read: the table of events × channels, the form for a new one, what was sent.

Shared by the page of a person and the page of a project, which live in rooms above and check whose right it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.http import say

from . import channels, events, sending
from .models import Channel, Delivery

SHOWN = 20
MAIL = "mail"
KINDS = {
    "webhook": _("Webhook"),
    "feishu": _("Feishu robot"),
    "dingtalk": _("DingTalk robot"),
    "wecom": _("WeCom robot"),
    "email": _("Email"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A way to be told: `key` names its boxes, `heard` are the events it hears of."""

    key: str
    name: str
    leads_to: str
    heard: frozenset[str]
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    key: str
    column: str
    checked: bool


def column_of(channel: Channel) -> Column:
    return Column(f"c{channel.pk}", channel.name, channel.shown, frozenset(channel.events), channel.enabled)


def table(audience: str, columns: Iterable[Column]) -> list[tuple[events.EventKind, list[Cell]]]:
    """A row for each event this audience may hear of, with a box for each column."""
    listed = list(columns)
    return [
        (kind, [Cell(column.key, column.name, kind.name in column.heard) for column in listed])
        for kind in events.for_whom(audience)
    ]


def save_table(actor: Any, rows: Iterable[Channel], given: QueryDict) -> None:
    """What the boxes say now, for every channel that was on the page (`shown`). Raises Invalid."""
    shown = set(given.getlist("shown"))
    for channel in rows:
        key = f"c{channel.pk}"
        if key in shown:
            channels.change(actor=actor, channel=channel, heard=given.getlist(key), enabled=key in given.getlist("on"))


class ChannelForm(forms.Form):
    """A new channel. It only reads what was typed; the rules live in `channels.py` and the drivers."""

    kind = forms.ChoiceField(label=_("Kind"))
    name = forms.CharField(label=_("Name"), max_length=80)
    address = forms.CharField(
        label=_("Address"),
        max_length=2000,
        help_text=_("As the robot's settings show it; of a mailing list its email address. It is stored encrypted."),
    )
    secret = forms.CharField(
        label=_("Signing secret"),
        max_length=200,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=_("Of the robot's signature check. For a webhook one is made when this is empty."),
    )
    language = forms.ChoiceField(label=_("Language"), required=False)

    def __init__(self, *args: Any, personal: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = [(kind, KINDS.get(kind, kind)) for kind in offered(personal=personal)]  # type: ignore[attr-defined]
        if personal:
            del self.fields["language"]  # a person has one for everything
        else:
            self.fields["language"].choices = languages()  # type: ignore[attr-defined]

    def save(self, add: Callable[..., tuple[Channel, str]]) -> tuple[Channel, str] | None:
        """What `add` made of a valid form; None when a rule refused it, with the reason at its field."""
        try:
            return add(**self.cleaned_data)
        except Invalid as error:
            named: Mapping[str, Any] = error.fields or {"": [error.sentence]}
            for name, sentences in named.items():
                for sentence in sentences or [error.sentence]:
                    self.add_error(name if name in self.fields else None, say(sentence))
            return None


def offered(*, personal: bool) -> list[str]:
    """The kinds one may add. People have their own address already, and lend the portal's mail to nobody else."""
    mail = bool(settings.MAIL["host"]) and not personal
    return [kind for kind in sending.kinds() if kind != "email" or mail]


def languages() -> list[tuple[str, Any]]:
    return [("", _("The portal's")), *settings.LANGUAGES]


def latest(rows: QuerySet[Delivery]) -> dict[str, Any]:
    """The context of `notifications/deliveries.html`: the newest messages, and whether one is still on its way."""
    found = list(rows.select_related("channel", "user").defer("channel__secrets").order_by("-pk")[:SHOWN])
    return {"deliveries": found, "moving": any(row.state == Delivery.State.QUEUED for row in found)}
