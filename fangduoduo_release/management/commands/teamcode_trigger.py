"""`manage.py teamcode_trigger`: hear a Gerrit's events elsewhere and post them to the portal. Needs nothing of its own
portal: no database, no secret, no settings (`manage.py` starts it with the trigger's app alone)."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from projects.trigger import command


class Command(BaseCommand):
    help = command.HELP
    requires_system_checks: list[Any] = []  # there is no portal to check

    def add_arguments(self, parser: CommandParser) -> None:
        command.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(command.run(options))
