"""Names the app for Django."""

from __future__ import annotations

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "fangduoduo_release.notifications"
    label = "notifications"
    default_auto_field = "django.db.models.BigAutoField"
