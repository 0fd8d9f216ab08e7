"""The part of a spec that only clusters of kind Kubernetes need, as fields. Only reads what was typed; rules are the spec's."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clusters.drivers.runtime.spec import FILES_AT

# Which field shows what the spec's rules say of a part.
SHOWN_AT = {"autoscale": "autoscale_max", "ingress": "ingress_host", "files_at": "files_at"}


class KubernetesForm(forms.Form):
    """Fields of autoscaling, of the address from outside, and of where config files lie. All may stay empty."""

    autoscale_min = forms.IntegerField(label=_("At least"), required=False, min_value=1, max_value=100)
    autoscale_max = forms.IntegerField(
        label=_("At most"), required=False, min_value=1, max_value=100,
        help_text=_("Empty: no autoscaling, the replicas above count."),
    )  # fmt: skip
    autoscale_cpu = forms.IntegerField(label=_("CPU use aimed at, in %"), required=False, min_value=1, max_value=1000)
    ingress_host = forms.CharField(
        label=_("Host"), required=False, max_length=253,
        help_text=_(
            "For example ${MACHINE}.shop.example.com, for one host on each machine; empty: it is not reached from outside."
        ),
    )  # fmt: skip
    ingress_path = forms.CharField(label=_("Path"), required=False, max_length=1000)
    ingress_class = forms.CharField(
        label=_("Ingress class"), required=False, max_length=253, help_text=_("Empty: the cluster's own.")
    )
    ingress_tls = forms.CharField(
        label=_("Secret of the certificate"), required=False, max_length=253, help_text=_("Empty: no TLS.")
    )
    files_at = forms.CharField(
        label=_("Folder of config files"), required=False, max_length=200,
        help_text=_("Where they lie in the container; empty: /app."),
    )  # fmt: skip

    @staticmethod
    def cluster_initial(spec: dict[str, Any]) -> dict[str, Any]:
        scale, ingress = spec.get("autoscale") or {}, spec.get("ingress") or {}
        return {
            "autoscale_min": scale.get("min"),
            "autoscale_max": scale.get("max"),
            "autoscale_cpu": scale.get("cpu_percent"),
            "ingress_host": ingress.get("host", ""),
            "ingress_path": ingress.get("path", ""),
            "ingress_class": ingress.get("class_name", ""),
            "ingress_tls": ingress.get("tls_secret", ""),
            "files_at": spec.get("files_at", ""),
        }

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        scale = [name for name in ("autoscale_min", "autoscale_cpu") if data.get(name)]
        if scale and not data.get("autoscale_max") and "autoscale_max" not in self.errors:
            self.add_error("autoscale_max", _("Say how many instances there may be at most."))
        if not data.get("ingress_host") and any(data.get(f"ingress_{part}") for part in ("path", "class", "tls")):
            self.add_error("ingress_host", _("Say under which host it is reached."))
        return data

    def put(self, spec: dict[str, Any]) -> None:
        """Write what was typed into the spec; what is empty is taken out of it."""
        data = self.cleaned_data
        for name in SHOWN_AT:
            spec.pop(name, None)
        if data.get("autoscale_max"):
            spec["autoscale"] = {
                "min": data.get("autoscale_min") or 1,
                "max": data["autoscale_max"],
                "cpu_percent": data.get("autoscale_cpu") or 80,
            }
        if data.get("ingress_host"):
            ingress = {"host": data["ingress_host"].strip(), "path": data.get("ingress_path") or "/"}
            named = {"class_name": data.get("ingress_class"), "tls_secret": data.get("ingress_tls")}
            spec["ingress"] = ingress | {name: text for name, text in named.items() if text}
        if data.get("files_at") and data["files_at"] != FILES_AT:
            spec["files_at"] = data["files_at"]

    @property
    def on_kubernetes(self) -> bool:
        """Whether anything of it is set or wrong, so that the section is shown open."""
        names = KubernetesForm.base_fields
        return any(self[name].value() or self[name].errors for name in names)
