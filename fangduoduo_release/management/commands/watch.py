"""`manage.py watch`: the periodic duties of settings.DUTIES, by group."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from fangduoduo_release.checks import refuse_unsafe
from fangduoduo_release.common.watch.watcher import Watcher


class Command(BaseCommand):
    help = "Do the periodic duties until SIGTERM or SIGINT; any number of copies share them."
    requires_system_checks: list[Any] = []  # they would import every page

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--only", default="", help="groups of duties, separated by commas")

    def handle(self, *args: Any, only: str = "", **options: Any) -> None:
        refuse_unsafe()
        groups = {group.strip() for group in only.split(",") if group.strip()}
        known = {"sources", "builders", "clusters", "portal"} | {duty.group for duty in settings.DUTIES}
        if not groups <= known:
            raise CommandError(f"unknown group: {', '.join(sorted(groups - known))}; known: {', '.join(sorted(known))}")
        Watcher(duty for duty in settings.DUTIES if not groups or duty.group in groups).run()
