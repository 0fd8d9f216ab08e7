"""The form of a project's build rules, and the line above which one tries a name. The rules of the rules are the action's."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from builds.models import BuildRules
from builds.rule_actions import FIELDS, PATTERNS, has_reviews
from builds.rules import LONGEST_DEBOUNCE_S
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.http import say
from projects.models import Project

LABEL = "Verified"
OF_REVIEWS = ("changes", "vote", "comment")


def _lines() -> forms.CharField:
    area = forms.Textarea(attrs={"rows": 5, "spellcheck": "false", "class": "patterns", "autocapitalize": "off"})
    return forms.CharField(required=False, widget=area, max_length=50 * 220)


class RulesForm(forms.Form):
    """One pattern a line. Without reviews where the repository lives, nothing is asked about them."""

    branches, tags, paths = _lines(), _lines(), _lines()
    skip_marker = forms.BooleanField(label=_("A commit whose message says [skip ci] is not built"), required=False)
    debounce_s = forms.IntegerField(
        label=_("Wait for further pushes (seconds)"),
        min_value=0,
        max_value=LONGEST_DEBOUNCE_S,
        help_text=_("0 builds at once; else only the last of several quick pushes is built."),
    )
    cancel = forms.ChoiceField(
        label=_("A newer build cancels older ones"),
        choices=BuildRules.Cancel.choices,
        help_text=_("Never a build of a branch whose version is being deployed."),
    )
    changes = forms.BooleanField(label=_("Build every new patch set of an open change"), required=False)
    vote = forms.BooleanField(required=False)
    comment = forms.BooleanField(label=_("Comment with the link to the build"), required=False)

    def __init__(self, data: Any = None, *, project: Project, rules: BuildRules) -> None:
        shown = {name: getattr(rules, name) for name in FIELDS}
        super().__init__(data, initial={**shown, **{name: "\n".join(shown[name]) for name in PATTERNS}})
        labels = {"branches": _("Branches"), "tags": _("Tags"), "paths": _("Only when these files changed")}
        for name, label in labels.items():
            self.fields[name].label = label
            self.fields[name].names_nothing = True  # type: ignore[attr-defined]  # what empty means stands beside it
        self.reviews = has_reviews(project)
        if self.reviews:
            self.fields["vote"].label = format_lazy(_("Vote “{label}”: +1 or −1"), label=label_of(project))
        else:
            for name in OF_REVIEWS:
                del self.fields[name]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        for name in PATTERNS:
            data[name] = [line.strip() for line in data.get(name, "").splitlines() if line.strip()]
        return data

    def refuse(self, error: Invalid) -> None:
        """Show what the action found wrong, each beside its field."""
        for name, sentences in (error.fields or {"": [error.sentence]}).items():
            for sentence in sentences:
                self.add_error(name if name in self.fields else None, say(sentence))


class TryForm(forms.Form):
    """A name to try the rules on."""

    kind = forms.ChoiceField(
        choices=[("branches", _("branch")), ("tags", _("tag")), ("paths", _("changed file"))],
        widget=forms.Select(attrs={"class": "form-select", "aria-label": _("What it is")}),
    )
    name = forms.CharField(
        required=False,
        max_length=500,
        widget=forms.TextInput(
            attrs={"class": "form-control", "aria-label": _("Its name"), "autocomplete": "off", "spellcheck": "false"}
        ),
    )


def label_of(project: Project) -> str:
    """What the votes of the project's server are called."""
    connection = project.source_connection
    return str((connection.config.get("label") if connection else "") or LABEL)
