"""The ops screen's forms of clusters, machines and freeze windows: every mistake stands beside its field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy as _

from clusters import freeze_rules, placed, placing
from clusters.models import Cluster, Environment, FreezeWindow, Machine
from fangduoduo_release.common.errors import Conflict, Invalid
from fangduoduo_release.common.http import say
from fangduoduo_release.common.models import Connection

KINDS = {"local": _("this host"), "kubernetes": "Kubernetes"}


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


class ClusterForm(forms.ModelForm):  # type: ignore[type-arg]
    """Says beside the field what `placed` says about it."""

    kind = forms.ChoiceField(label=_("Kind"))

    class Meta:
        model = Cluster
        fields = ("name", "kind", "connection", "description")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = [(kind, KINDS.get(kind, kind)) for kind in settings.DRIVERS["runtime"]]  # type: ignore[attr-defined]
        connection = self.fields["connection"]
        connection.queryset = Connection.objects.filter(kind__in=placing.CONNECTED)  # type: ignore[attr-defined]
        connection.label = _("Connection")
        connection.help_text = _("How a Kubernetes is reached. Several clusters may share one; this host needs none.")

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            _judge(self, placed.check_cluster, {})


class MachineForm(forms.ModelForm):  # type: ignore[type-arg]
    """A namespace in a field of its own; what else a placement says is kept."""

    namespace = forms.CharField(
        label=_("Namespace"),
        required=False,
        max_length=63,
        help_text=_("On a Kubernetes: the namespace that this machine is. It must exist; the portal makes none."),
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off", "spellcheck": "false"}),
    )

    class Meta:
        model = Machine
        exclude = ("placement", "created_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("namespace", placing.namespace_of(self.instance.placement))

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        kept = {k: v for k, v in (self.instance.placement or {}).items() if k != "namespace"}
        given = self.cleaned_data["namespace"]
        if given and self.instance.cluster.kind != placing.KUBERNETES:
            self.add_error("namespace", _("Only a Kubernetes has namespaces."))
            return
        self.instance.placement = {**kept, **({"namespace": given} if given else {})}
        _judge(self, placed.check_machine, {"placement": "namespace"})


def _judge(form: Any, rules: Callable[[Any], None], names: Mapping[str, str]) -> None:
    """Say beside its field what the rules refuse; the action asks them again."""
    try:
        rules(form.instance)
    except Invalid as error:
        for field, sentences in error.fields.items():
            name = names.get(field, field)
            for sentence in sentences or [error.sentence]:
                form.add_error(name if name in form.fields else None, say(sentence))
    except Conflict as error:
        form.add_error(None, say(error.sentence))
