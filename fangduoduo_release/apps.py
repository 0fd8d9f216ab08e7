"""Names the app for Django and registers what production refuses to start with."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "fangduoduo_release"
    label = "portal"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        import_module("fangduoduo_release.checks")  # not above: it may be read only when the apps are known


class TriggerConfig(AppConfig):
    """The only app where nothing but the trigger runs: commands, and no table."""

    name = "fangduoduo_release"
    label = "portal"
