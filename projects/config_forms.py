"""Forms of the configuration pages: what a project is bound to, and a text of its own."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from clusters.drivers.config.base import LARGEST_TEXT, LONGEST_KEY
from clusters.drivers.config.binding import EMBEDDED, ConfigBinding

SPELLED = {"spellcheck": "false", "autocomplete": "off"}


class BindingForm(forms.Form):
    """Source, base manifest and files; the rules are the spec's."""

    source = forms.ChoiceField(label=_("Where it lies"), required=False)
    key = forms.CharField(
        label=_("Base manifest"),
        max_length=LONGEST_KEY,
        required=False,
        widget=forms.TextInput(attrs=SPELLED),
        help_text=_("YAML that a deployment to Kubernetes begins with; empty: everything comes from the spec."),
    )
    files = forms.CharField(  # type: ignore[assignment]  # a form's own `files` are uploads, and there are none
        label=_("Files"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, **SPELLED}),
        help_text=_("One “path = key” on each line; written beside the process before it starts."),
    )

    def __init__(self, data: Any = None, *, sources: list[str], binding: ConfigBinding | None, slug: str) -> None:
        files = "\n".join(f"{one.path} = {one.key}" for one in binding.files) if binding else ""
        initial = {"source": binding.source, "key": binding.key, "files": files} if binding else {}
        super().__init__(data, initial=initial)
        field = self.fields["source"]
        assert isinstance(field, forms.ChoiceField)
        named = [(name, _("here, with its history") if name == EMBEDDED else f"Consul · {name}") for name in sources]
        field.choices = [("", _("nothing but the spec")), *named]
        field.names_nothing = True  # type: ignore[attr-defined]  # its empty choice says what it means
        self.fields["key"].widget.attrs["placeholder"] = f"{slug}/${{MACHINE}}.yaml"
        self.fields["files"].widget.attrs["placeholder"] = f"conf/app.yaml = {slug}/app.yaml"

    def clean_files(self) -> list[dict[str, str]]:
        found = []
        for line in self.cleaned_data["files"].splitlines():
            path, equals, key = line.rpartition("=")  # a path may hold one, a key never does
            if line.strip() and (not equals or not path.strip() or not key.strip()):
                raise ValidationError(_("“%(line)s” is not path = key."), params={"line": line.strip()[:60]})
            if line.strip():
                found.append({"path": path.strip(), "key": key.strip()})
        return found

    def binding(self) -> dict[str, Any] | None:
        """As a spec has it; None: nothing but the spec."""
        data = self.cleaned_data
        if not data["source"]:
            return None
        return {name: data[name] for name in ("source", "key", "files") if data[name]}


class NewKeyForm(forms.Form):
    """The name of a text that is to be written."""

    key = forms.CharField(label=_("New key"), max_length=LONGEST_KEY, widget=forms.TextInput(attrs=SPELLED))


class TextForm(forms.Form):
    """A text, why it changed, and the revision it replaces."""

    text = forms.CharField(required=False, strip=False, max_length=LARGEST_TEXT)
    note = forms.CharField(required=False, max_length=300)
    expected = forms.CharField(required=False, max_length=40)

    def clean_text(self) -> str:
        return str(self.cleaned_data["text"]).replace("\r\n", "\n")
