"""Names the app for Django."""

from __future__ import annotations

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "fangduoduo_release"
    label = "portal"
    default_auto_field = "django.db.models.BigAutoField"
