"""Names the app for Django."""

from __future__ import annotations

from django.apps import AppConfig


class DurableConfig(AppConfig):
    name = "benchmarks.durable"
    label = "bench_durable"
    default_auto_field = "django.db.models.BigAutoField"
