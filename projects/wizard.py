"""The form that makes a project: what it is called, and where its code lives. The rules live in the action."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.common.errors import AppError
from fangduoduo_release.common.http import say
from fangduoduo_release.common.models import Connection
from projects.drivers.source.base import NewRepository, Starter

STARTER, BOUND, NEW_THERE, THERE = "starter", "bound", "gerrit_new", "gerrit"
OF_GERRIT = (NEW_THERE, THERE)
HERE = [(STARTER, _("A new repository here, from a starter")), (BOUND, _("A repository that exists already"))]
ON_GERRIT = [(NEW_THERE, _("A new project in Gerrit")), (THERE, _("A project that is in Gerrit already"))]
# Where the action's refusals belong, by their code.
OF_SLUG = frozenset({"slug_taken", "bad_slug"})
OF_REPOSITORY = frozenset({"repository_exists", "no_such_repository", "repository_reader", "no_repository_name"})


def servers() -> dict[str, list[Connection]]:
    """The Gerrit servers that projects may live on, and the Git servers (`readers`) with whose credentials a repository
    elsewhere may be read; without their secrets."""
    rows = list(Connection.objects.filter(kind__in=("gerrit", "git")).defer("secrets").order_by("name"))
    return {
        "servers": [one for one in rows if one.kind == "gerrit"],
        "readers": [one for one in rows if one.kind == "git"],
    }


class ProjectForm(forms.Form):
    """A name, then one of: a starter, the address of a repository, a new or an old project on a Gerrit."""

    slug = forms.CharField(
        label=_("Short name"), max_length=60, help_text=_("Part of every address: a–z, 0–9 and hyphens.")
    )
    name = forms.CharField(label=_("Name"), max_length=100, required=False)
    description = forms.CharField(label=_("What it does"), max_length=500, required=False)
    origin = forms.ChoiceField(
        label=_("Where its code lives"),
        widget=forms.RadioSelect,
        choices=HERE,
        initial=STARTER,
    )
    connection = forms.ChoiceField(label=_("Gerrit server"), required=False)
    there = forms.CharField(
        label=_("Name in Gerrit"),
        max_length=400,
        required=False,
        widget=forms.TextInput(attrs={"data-follows": "slug", "autocomplete": "off", "spellcheck": "false"}),
        help_text=_("With its folders, for example team/app; empty: the short name."),
    )
    parent = forms.CharField(
        label=_("Parent project"), max_length=400, required=False, help_text=_("Access rights come from it.")
    )
    group = forms.CharField(
        label=_("Access group"), max_length=250, required=False, help_text=_("Its members own the new project.")
    )
    branches = forms.CharField(
        label=_("Branches"),
        max_length=500,
        required=False,
        help_text=_("Separated by spaces; the first is the default. Empty: as Gerrit does it."),
    )
    starter = forms.ChoiceField(label=_("Starter"), required=False, widget=forms.RadioSelect)
    repository = forms.CharField(
        label=_("Address of the repository"), max_length=500, required=False, help_text=_("https://… or ssh://…")
    )
    reader = forms.ChoiceField(
        label=_("Git server"),
        required=False,
        help_text=_("Connected by ops: its credentials read the repository, and its webhooks tell of pushes."),
    )

    def __init__(
        self,
        data: Any = None,
        *,
        starters: Sequence[Starter],
        servers: Sequence[Connection],
        readers: Sequence[Connection] = (),
    ) -> None:
        super().__init__(data)
        self.readers = {one.name: one for one in readers}
        self._choices("reader", [("", _("none; everybody may read it")), *((name, name) for name in self.readers)])
        if not readers:
            del self.fields["reader"]
        self.fields["repository"].names_nothing = True  # type: ignore[attr-defined]  # it is needed where it is shown
        self.servers = {server.name: server for server in servers}
        self._choices("starter", [(one.name, f"{one.title} — {one.summary}") for one in starters])
        named = [one.name for one in starters]
        self.fields["starter"].initial = next((name for name in named if name != "blank"), next(iter(named), None))
        if not servers:
            for name in ("connection", "there", "parent", "group", "branches"):
                del self.fields[name]
            return
        self.fields["connection"].names_nothing = True  # type: ignore[attr-defined]
        self.fields["there"].names_nothing = True  # type: ignore[attr-defined]  # what empty means stands beside it
        self._choices("connection", [(name, name) for name in self.servers])
        if len(servers) == 1:
            self.fields["connection"].widget = forms.HiddenInput()
            self.fields["connection"].initial = servers[0].name
        self._choices("origin", [*HERE, *ON_GERRIT])
        for name in ("parent", "group"):
            said = {str(server.config.get(name) or "") for server in servers}
            self.fields[name].widget.attrs["placeholder"] = said.pop() if len(said) == 1 else ""
        self.fields["branches"].widget.attrs["placeholder"] = "main develop"

    def _choices(self, name: str, choices: list[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def clean_branches(self) -> str:
        return " ".join(self.cleaned_data["branches"].replace(",", " ").split())

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("origin") == BOUND and not data.get("repository", "").strip():
            self.add_error("repository", _("Give the address of the repository."))
        if data.get("origin") in OF_GERRIT:
            data["there"] = data.get("there", "").strip() or data.get("slug", "").strip()
            if not data.get("connection") and len(self.servers) == 1:
                data["connection"] = next(iter(self.servers))
            if "connection" not in self.errors and data.get("connection") not in self.servers:
                self.add_error("connection", _("Choose the server."))
        return data

    def wanted(self) -> dict[str, Any]:
        """What was asked for, as the action wants it."""
        data = self.cleaned_data
        facts = {"slug": data["slug"].strip(), "name": data["name"], "description": data["description"]}
        if data["origin"] == STARTER:
            return {**facts, "starter": data["starter"]}
        if data["origin"] == BOUND:
            found = self.readers.get(data.get("reader", ""))
            connection = Connection.objects.get(pk=found.pk) if found else None
            return {**facts, "repository": data["repository"], "connection": connection}
        there = {"source_kind": "gerrit", "connection": self.server(), "repository": data["there"]}
        if data["origin"] == THERE:
            return {**facts, **there}
        wishes = NewRepository(
            description=data["description"],
            parent=data["parent"].strip(),
            group=data["group"].strip(),
            branches=tuple(data["branches"].split()),
        )
        return {**facts, **there, "create": True, "starter": data["starter"], "wishes": wishes}

    def server(self) -> Connection:
        """The one that was chosen, with its secrets."""
        return Connection.objects.get(pk=self.servers[self.cleaned_data["connection"]].pk)

    def refuse(self, error: AppError) -> None:
        """One sentence, beside the field that it is about."""
        field = self._field_of(error)
        self.add_error(field if field in self.fields else None, say(error.sentence))

    def _field_of(self, error: AppError) -> str | None:
        of_gerrit = self.cleaned_data.get("origin") in OF_GERRIT
        named = next(iter(getattr(error, "fields", {})), None)
        if error.code in OF_SLUG:
            return "slug"
        if of_gerrit and (named == "repository" or error.code in OF_REPOSITORY or error.status == 404):
            return self._whose(str(error.sentence.params.get("name", ""))) or "there"
        if getattr(error, "rule", "") == "connection_server":
            return "repository"
        if of_gerrit and getattr(error, "rule", "") == "repository_reader":
            return "there"
        if of_gerrit and named == "source":
            return "connection" if len(self.servers) > 1 else None
        if of_gerrit and named is None:
            return self._whose(f"{error.sentence} {getattr(error, 'evidence', '')}")
        return named

    def _whose(self, said: str) -> str | None:
        """Parent, group or branches, where what was said names what stands there, and not the name itself."""
        data = self.cleaned_data
        for name in ("parent", "group", *(["branches"] if len(data.get("branches", "").split()) else [])):
            words = data.get(name, "").split() if name == "branches" else [data.get(name, "").strip()]
            if any(word and word in said and word != data.get("there") for word in words):
                return name
        return None
