"""`manage.py templates`: bring the pipeline templates that ship with this portal into its database."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from builds.templates import sync_library


class Command(BaseCommand):
    """Run it after every upgrade, when the database is up to date; `manage.py serve` does."""

    help = (
        "Bring the shipped pipeline templates into the database. Safe to repeat; makes a revision where a text changed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for revision in sync_library():
            self.stdout.write(f"Template {revision.template.slug}: revision {revision.number}")
