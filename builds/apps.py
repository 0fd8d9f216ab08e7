"""Names the app for Django."""

from __future__ import annotations

from django.apps import AppConfig


class BuildsConfig(AppConfig):
    name = "builds"
    label = "builds"
    default_auto_field = "django.db.models.BigAutoField"
