"""`manage.py worker`: the queue, the sweeper and the companions, supervised."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from fangduoduo_release.checks import refuse_unsafe
from fangduoduo_release.common.worker.supervisor import Supervisor


class Command(BaseCommand):
    help = "Run the queue, the sweeper and their companions until SIGTERM or SIGINT."
    requires_system_checks: list[Any] = []  # they would import every page into memory that all children share

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_unsafe()
        Supervisor().run()
