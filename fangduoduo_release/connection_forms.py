"""The ops screen's forms of connections: fields where we know what a kind needs, JSON where we do not.

Secrets go in and never come out: an empty field keeps what is stored.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from copy import copy
from functools import cache
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.forms.models import ModelFormMetaclass
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from clusters import connecting
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.http import say
from fangduoduo_release.common.models import Connection
from fangduoduo_release.connection_parts import PARTS, Part
from projects.forms import Unrepeated, read_pairs


class _ConnectionForm(forms.ModelForm):  # type: ignore[type-arg]
    """What every kind's form does: judge by the kind's rules, and hand the action plain values."""

    fixed_kind: ClassVar[str] = ""
    kind = forms.CharField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = Connection
        fields = ("name",)
        labels: ClassVar[dict[str, Any]] = {"name": _("Name")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored: dict[str, str] = dict(self.instance.secrets or {}) if self.instance.pk else {}
        if "kind" in self.fields:
            self.fields["kind"].initial = self.fixed_kind

    @property
    def to_pin(self) -> dict[str, Any]:
        """The SSH host that was given without its key. It is stored once the key is pinned: until then nobody could
        tell it from another."""
        data = self.cleaned_data
        wanted = "known_hosts" in self.fields and data.get("ssh_host") and not str(data.get("known_hosts", "")).strip()
        return {"ssh_host": data["ssh_host"]} if wanted else {}

    def wanted_config(self) -> dict[str, Any]:
        raise NotImplementedError

    def wanted_secrets(self) -> dict[str, str | None]:
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if self.errors:
            return data
        would_be = copy(self.instance)
        would_be.kind, would_be.config = self.fixed_kind, {**self.wanted_config(), **self.to_pin}
        would_be.secrets = {k: v for k, v in {**self.stored, **self.wanted_secrets()}.items() if v is not None}
        try:
            connecting.check(would_be)
        except Invalid as error:
            for name, sentences in (error.fields or {"": [error.sentence]}).items():
                if name == "known_hosts" and self.to_pin:
                    continue  # the next page asks for it
                for sentence in sentences or [error.sentence]:
                    self.add_error(name if name in self.fields else None, say(sentence))
        return data


class FieldsForm(_ConnectionForm):
    """A kind whose values we know by name."""

    parts: ClassVar[tuple[Part, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for part in self.parts:
            field = self.fields[part.name]
            if not part.secret:
                self.initial.setdefault(part.name, self.instance.config.get(part.name, "") if self.instance.pk else "")
            elif part.name in self.stored:
                field.widget.attrs["placeholder"] = _("set; leave empty to keep it")
                field.required = False
            if part.made:
                field.help_text = format_html("{} {}", part.help, good_secret())
            if f"remove_{part.name}" in self.fields and part.name not in self.stored:
                del self.fields[f"remove_{part.name}"]

    def wanted_config(self) -> dict[str, Any]:
        known = {part.name: self.cleaned_data[part.name] for part in self.parts if not part.secret}
        kept = {k: v for k, v in (self.instance.config or {}).items() if k not in known}  # set through the API
        told = {
            name: value for name, value in known.items() if value not in ("", None, False) and name not in self.to_pin
        }
        return {**kept, **told}

    def wanted_secrets(self) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for part in (part for part in self.parts if part.secret):
            if self.cleaned_data.get(f"remove_{part.name}"):
                found[part.name] = None
            if self.cleaned_data.get(part.name):
                found[part.name] = self.cleaned_data[part.name]
        return found


class JsonForm(_ConnectionForm):
    """A kind we have no fields for."""

    config = forms.JSONField(
        label=_("Config"), required=False, widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"})
    )
    new_secrets = forms.CharField(
        label=_("New secrets"),
        required=False,
        widget=Unrepeated(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=_("One NAME=value on each line; stored encrypted, never shown again. NAME= removes one."),
    )

    class Meta:
        model = Connection
        fields = ("name", "config")
        labels: ClassVar[dict[str, Any]] = {"name": _("Name")}

    def clean_config(self) -> dict[str, Any]:
        found = self.cleaned_data["config"] or {}
        if not isinstance(found, dict):
            raise ValidationError(_("The config is an object: {…}."))
        return found

    def clean_new_secrets(self) -> dict[str, str]:
        return read_pairs(self.cleaned_data["new_secrets"])

    def wanted_config(self) -> dict[str, Any]:
        return dict(self.cleaned_data["config"])

    def wanted_secrets(self) -> dict[str, str | None]:
        return {name: value or None for name, value in self.cleaned_data["new_secrets"].items()}


@cache
def form_for(kind: str) -> Any:
    """The form of this kind's connections."""
    if kind not in PARTS:
        return ModelFormMetaclass("JsonForm", (JsonForm,), {"fixed_kind": kind, "__module__": __name__})
    fields: dict[str, Any] = {"fixed_kind": kind, "parts": PARTS[kind], "__module__": __name__}
    for part in PARTS[kind]:
        fields[part.name] = _field(part)
        if part.secret and not part.required:
            fields[f"remove_{part.name}"] = forms.BooleanField(label=_("Remove what is stored"), required=False)
    return ModelFormMetaclass("FieldsForm", (FieldsForm,), fields)


def names(kind: str, stored: Mapping[str, str] | None = None) -> list[str]:
    """The fields of `form_for(kind)` in their order; `stored`: the secrets that are set."""
    if kind not in PARTS:
        return ["name", "config", "new_secrets"]
    found = ["name"]
    for part in PARTS[kind]:
        found.append(part.name)
        if part.secret and not part.required and part.name in (stored or {}):
            found.append(f"remove_{part.name}")
    return found


def good_secret() -> Any:
    """A hint with a secret nobody can guess; another one each time it is shown."""
    made = format_html("<code>{}</code>", secrets.token_urlsafe(32))
    return format_html(gettext("A good one, made just now: {}"), made)


def _field(part: Part) -> forms.Field:
    if part.yes:
        return forms.BooleanField(label=part.label, help_text=part.help, required=False)
    if part.number:
        return forms.IntegerField(
            label=part.label, help_text=part.help, required=part.required, min_value=1, max_value=65535
        )
    widget: forms.Widget = forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off", "spellcheck": "false"})
    if part.secret and part.lines > 1:
        widget = Unrepeated(attrs={"class": "vLargeTextField pem", "rows": part.lines, "spellcheck": "false"})
    elif part.secret:
        widget = forms.PasswordInput(attrs={"class": "vTextField", "autocomplete": "new-password"})
    elif part.lines > 1:
        widget = forms.Textarea(attrs={"class": "vLargeTextField pem", "rows": part.lines, "spellcheck": "false"})
    return forms.CharField(
        label=part.label, help_text=part.help, required=part.required, widget=widget, max_length=64 * 1024, strip=True
    )
