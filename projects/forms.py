"""Forms of the project pages. They only read what was typed; the rules live in the actions."""

from __future__ import annotations

import json
import shlex
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from permissions.roles import Role
from projects import building
from projects.kubernetes_form import KubernetesForm
from projects.models import AccessRequest, Project


class Unrepeated(forms.Textarea):
    """A text of secrets: it goes in and is never shown again, also when the form comes back with a complaint."""

    def format_value(self, value: Any) -> str | None:
        return None


class SettingsForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Project
        fields = ["name", "description", "default_branch", "pipeline_origin"]
        labels = {
            "name": _("Name"),
            "description": _("What it does"),
            "default_branch": _("Default branch"),
            "pipeline_origin": _("Where the pipeline comes from"),
        }


class RebindForm(forms.Form):
    """The repository's new name on its server, or its new address."""

    repository = forms.CharField(
        label=_("Repository"), max_length=500, widget=forms.TextInput(attrs={"spellcheck": "false"})
    )


class BuildingForm(forms.Form):
    """What builds, and where images go. Whoever may not change it sees what is chosen and no other name."""

    builder = forms.ChoiceField(label=_("Builds run"), required=False)
    registry = forms.ChoiceField(label=_("Images go to"), required=False)
    image = forms.CharField(
        label=_("Name of the image"),
        max_length=200,
        required=False,
        help_text=_("Within the registry, for example team/app; empty: the short name."),
    )

    def __init__(self, data: Any = None, *, project: Project, may_change: bool) -> None:
        chosen = {"builder": project.builder_connection, "registry": project.registry_connection}
        initial = {what: one.name if one else "" for what, one in chosen.items()}
        super().__init__(data, initial={**initial, "image": project.image})
        offered = building.offered() if may_change else {w: [one] if one else [] for w, one in chosen.items()}
        empty = {"builder": _("here, in the portal itself"), "registry": _("no registry")}
        for what, rows in offered.items():
            field = self.fields[what]
            assert isinstance(field, forms.ChoiceField)
            names = [(row.name, building.label_of(row) if what == "builder" else row.name) for row in rows]
            field.choices = [("", empty[what]), *names]
            field.names_nothing = True  # type: ignore[attr-defined]  # its empty choice says what it means

    def choices(self) -> dict[str, Any]:
        """What was chosen, as the action wants it. Raises Invalid."""
        data = self.cleaned_data
        return {**{w: building.named(w, data[w]) for w in building.FAMILIES}, "image": data["image"]}


class SpecForm(KubernetesForm):
    """The everyday part of a spec as fields; the rest keeps what it was."""

    command = forms.CharField(
        label=_("Command"),
        max_length=4000,
        required=False,
        help_text=_(
            "The program and its arguments; ${PORT} is the port to listen on. Empty: what the image itself starts."
        ),
    )
    replicas = forms.IntegerField(label=_("Replicas"), min_value=0, max_value=100)
    port = forms.IntegerField(label=_("Port"), min_value=1, max_value=65535)
    health_path = forms.CharField(
        label=_("Health check path"),
        max_length=300,
        required=False,
        help_text=_("Ready when it answers 200; empty: when the port opens."),
    )
    env = forms.CharField(
        label=_("Environment"), required=False, widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
        help_text=_("One NAME=value on each line."),
    )  # fmt: skip
    secrets = forms.CharField(
        label=_("New secrets"), required=False, widget=Unrepeated(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=_("One NAME=value on each line; stored encrypted, never shown again. NAME= removes one."),
    )  # fmt: skip
    memory = forms.CharField(
        label=_("Memory limit"), max_length=20, required=False, help_text=_("For example 256Mi; empty: none.")
    )
    drain_s = forms.FloatField(label=_("Seconds to finish requests"), min_value=0, max_value=3600)
    start_deadline_s = forms.FloatField(label=_("Seconds to become ready"), min_value=1, max_value=3600)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "\n" in str(self["command"].value() or ""):  # browsers take line ends out of a field of one line
            self.fields["command"].widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})
        if unshown := self.initial.get("unshown"):
            told = _("Kept as they are, since a line cannot show them: %(names)s.") % {"names": ", ".join(unshown)}
            self.fields["env"].help_text = f"{self.fields['env'].help_text} {told}"

    @classmethod
    def initial_from(cls, spec: dict[str, Any]) -> dict[str, Any]:
        readiness = _health(spec).get("readiness") or {}
        env, unshown = _by_lines(spec)
        return {
            "command": shlex.join(spec.get("command", [])),
            "replicas": spec.get("replicas", 1),
            "port": spec.get("port", 8080),
            "health_path": (readiness.get("http") or {}).get("path", ""),
            "env": "\n".join(f"{name}={value}" for name, value in env.items()),
            "unshown": sorted(unshown),
            "memory": (spec.get("resources") or {}).get("memory", ""),
            "drain_s": f"{spec.get('drain_s', 10):.15g}",
            "start_deadline_s": f"{spec.get('start_deadline_s', 60):.15g}",
            **cls.cluster_initial(spec),
        }

    def clean_command(self) -> list[str]:
        try:
            return shlex.split(self.cleaned_data["command"].replace("\r\n", "\n"))
        except ValueError as error:
            raise ValidationError(_("A quotation mark is not closed.")) from error

    def clean_env(self) -> dict[str, str]:
        return read_pairs(self.cleaned_data["env"])

    def clean_secrets(self) -> dict[str, str]:
        return read_pairs(self.cleaned_data["secrets"])

    def merged(self, before: dict[str, Any]) -> dict[str, Any]:
        """The spec as it was, with what the form changed."""
        data = self.cleaned_data
        spec: dict[str, Any] = json.loads(json.dumps(before))
        spec.update(
            {name: data[name] for name in ("command", "replicas", "port", "env", "drain_s", "start_deadline_s")}
        )
        if not data["command"]:
            del spec["command"]
        spec["env"] = {**_by_lines(before)[1], **data["env"]}
        self.put(spec)
        health = dict(_health(spec))
        spec.pop("health", None)
        if data["health_path"]:
            kept = dict(health.get("readiness") or {"period_s": 2, "timeout_s": 2})
            kept.pop("tcp", None)
            kept.pop("exec", None)
            health["readiness"] = {**kept, "http": {**(kept.get("http") or {}), "path": data["health_path"]}}
        elif "http" in (health.get("readiness") or {}):
            health.pop("readiness")
        spec["health_check"] = health
        resources = dict(spec.get("resources") or {})
        resources.pop("memory", None)
        if data["memory"]:
            resources["memory"] = data["memory"]
        spec["resources"] = resources
        if data["secrets"]:
            spec["secrets"] = {name: value or None for name, value in data["secrets"].items()}
        return spec


def _health(spec: dict[str, Any]) -> dict[str, Any]:
    """The checks, by either of the names that a spec may give them."""
    return spec.get("health_check", spec.get("health")) or {}


def _by_lines(spec: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """(what a line can show and give back, the rest) of the environment: values may have several lines."""
    shown: dict[str, str] = {}
    rest: dict[str, str] = {}
    for name, value in (spec.get("env") or {}).items():
        plain = len(value.splitlines()) <= 1 and value == value.strip()
        (shown if plain else rest)[name] = value
    return shown, rest


def read_pairs(text: str) -> dict[str, str]:
    """NAME=value on each line. Raises ValidationError."""
    found = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip():
            raise ValidationError(_("“%(line)s” is not NAME=value."), params={"line": line.strip()[:60]})
        found[name.strip()] = value.strip()
    return found


class MemberForm(forms.Form):
    """A role for a person (by user name) or for a team."""

    user = forms.CharField(label=_("User name"), max_length=150, required=False)
    team = forms.ModelChoiceField(label=_("or team"), queryset=Group.objects.order_by("name"), required=False)
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)
    until = forms.DateField(label=_("Until"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def clean_until(self) -> datetime | None:
        return end_of(self.cleaned_data["until"])

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if bool(data.get("user", "").strip()) == bool(data.get("team")):
            self.add_error("user", _("Name a person or choose a team."))
        return data


class AskForm(forms.Form):
    """What one asks for; `kind` and `emergency` are chosen by the address that led here."""

    project = forms.CharField(label=_("Project"), max_length=60, help_text=_("Its short name, as in its address."))
    kind = forms.ChoiceField(choices=AccessRequest.Kind.choices, widget=forms.HiddenInput)
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, required=False)
    machine = forms.ChoiceField(label=_("Machine"), required=False)
    days = forms.ChoiceField(label=_("For how long"), required=False)
    reason = forms.CharField(
        label=_("Why"), max_length=300, widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Whoever decides reads this."),
    )  # fmt: skip
    emergency = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, machines: list[tuple[str, str]], given: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        days = {7: _("7 days"), 30: _("30 days"), 90: _("90 days")}
        asked = given.get("days", "")
        if asked.isdecimal() and 0 < int(asked[:5]) <= 3650:
            days.setdefault(int(asked[:5]), _("as long as before"))
        self._choices("days", [("", _("without an end")), *((str(n), label) for n, label in sorted(days.items()))])
        self._choices("machine", machines)
        unused = ["role", "machine"]
        wanted = "machine" if given.get("kind") == "machine" else "role"
        unused.remove(wanted)
        self.fields[wanted].required = True
        for name in [*unused, *(["days"] if given.get("emergency") else [])]:
            del self.fields[name]

    def _choices(self, name: str, choices: list[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def until(self) -> datetime | None:
        """The end that was chosen."""
        days = self.cleaned_data.get("days")
        return timezone.now() + timedelta(days=int(days)) if days else None


def end_of(day: date | None) -> datetime | None:
    """The last moment of a day, where the reader is."""
    return timezone.make_aware(datetime.combine(day, time.max)) if day else None
