"""Names the app for Django."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BuildsConfig(AppConfig):
    name = "builds"
    label = "builds"
    verbose_name = _("Builds")
    default_auto_field = "django.db.models.BigAutoField"
