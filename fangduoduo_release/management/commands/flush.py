"""`manage.py flush` here empties test databases only, and that is why it may empty the audit trail too."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import flush

from fangduoduo_release.audit.guard import open_door


class Command(flush.Command):
    """Django's own, through the door that the trail's triggers leave (every transactional test ends with it)."""

    def handle(self, **options: Any) -> None:
        if not settings.LOCAL:
            raise CommandError("A production is not flushed: its audit trail would be gone with it.")
        with open_door(options["database"]):
            super().handle(**options)
