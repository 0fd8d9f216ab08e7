"""Names the app for Django."""

from __future__ import annotations

from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "projects"
    label = "projects"
    default_auto_field = "django.db.models.BigAutoField"
