"""Names the app for Django."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DeploymentsConfig(AppConfig):
    name = "deployments"
    label = "deployments"
    verbose_name = _("Deployments")
    default_auto_field = "django.db.models.BigAutoField"
