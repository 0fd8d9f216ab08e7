"""The ops screen's form for a template: its words, and the text of its next revision."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from builds import pipelines
from builds.models import Template
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.http import say

FACTS = ("name", "description", "language")


class TemplateForm(forms.ModelForm):  # type: ignore[type-arg]
    """Saving another text makes a new revision; the rules are the action's."""

    text = forms.CharField(
        label=_("Jenkinsfile"),
        strip=False,
        widget=forms.Textarea(
            attrs={"rows": 40, "cols": 120, "spellcheck": "false", "class": "vLargeTextField pipeline-text"}
        ),
        help_text=_("A declarative pipeline with a parameters block. Saving another text makes a new revision."),
    )
    note = forms.CharField(label=_("What changed"), required=False, max_length=200)

    class Meta:
        model = Template
        fields = ("slug", *FACTS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            return
        latest = self.instance.latest  # what is edited is the newest text
        self.fields["text"].initial = latest.text if latest else ""
        for name in ("slug", *(FACTS if self.instance.builtin else ())):
            if name in self.fields:
                self.fields[name].disabled = True

    def clean_text(self) -> str:
        """Judged here too, so that what was typed stays in the form."""
        text = str(self.cleaned_data["text"]).replace("\r\n", "\n")
        try:
            pipelines.check(text)
        except Invalid as error:
            raise forms.ValidationError([say(sentence) for sentence in error.fields["text"]]) from error
        return text
