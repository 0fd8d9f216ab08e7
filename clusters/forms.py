"""The ops screen's form of a freeze window: lists as boxes and lines, every mistake beside its field."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy as _

from clusters import freeze_rules
from clusters.models import Environment, FreezeWindow
from fangduoduo_release.common.http import say


class DaysField(forms.CharField):
    """A list of days, one a line (commas and blanks will do)."""

    widget = forms.Textarea(attrs={"rows": 4, "cols": 20})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return sorted(set(str(super().to_python(value)).replace(",", " ").split()))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return self.to_python(data) != (initial or [])


class FreezeForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses what `freeze_rules` refuses, in the same words as the API."""

    weekdays = forms.TypedMultipleChoiceField(
        label=_("Begins on"),
        required=False,
        coerce=int,
        choices=[(number, WEEKDAYS[number]) for number in range(7)],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Every week only."),
    )
    environments = forms.MultipleChoiceField(
        label=_("In environments"),
        required=False,
        choices=Environment.choices,
        widget=forms.CheckboxSelectMultiple,
    )
    exceptions = DaysField(
        label=_("Except on"),
        required=False,
        help_text=_("Days on which it would begin and does not, one a line: 2026-12-24."),
    )

    class Meta:
        model = FreezeWindow
        exclude = ("created_at",)

    def _post_clean(self) -> None:
        """After the row has been filled in: what the rules say about the whole of it."""
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        for field, sentence in freeze_rules.mistakes(self.instance, self.cleaned_data["machines"]):
            self.add_error(field, say(sentence))
