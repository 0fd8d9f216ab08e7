"""Names the app for Django."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CommonConfig(AppConfig):
    name = "fangduoduo_release.common"
    label = "common"
    verbose_name = _("Common parts")
    default_auto_field = "django.db.models.BigAutoField"
