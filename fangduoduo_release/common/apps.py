"""Names the app for Django."""

from __future__ import annotations

from django.apps import AppConfig


class CommonConfig(AppConfig):
    name = "fangduoduo_release.common"
    label = "common"
    default_auto_field = "django.db.models.BigAutoField"
