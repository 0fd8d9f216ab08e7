"""Names the app for Django and registers what production refuses to start with."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.utils.functional import lazy
from django.utils.translation import get_language


class PortalConfig(AppConfig):
    default = True  # of two in one file Django takes none of itself
    name = "fangduoduo_release"
    label = "portal"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        import_module("fangduoduo_release.checks")  # not above: it may be read only when the apps are known
        _name_many()


def _name_many() -> None:
    """Django makes a plural by an "s" at the end; in Chinese there is none."""
    for model in apps.get_models():
        options = model._meta
        if "verbose_name_plural" not in options.original_attrs:
            options.verbose_name_plural = _many(options.verbose_name)


def _of_many(one: object) -> str:
    return str(one) if (get_language() or "").startswith("zh") else f"{one}s"


_many = lazy(_of_many, str)


class TriggerConfig(AppConfig):
    """The only app where nothing but the trigger runs: commands, and no table."""

    default = False
    name = "fangduoduo_release"
    label = "portal"
