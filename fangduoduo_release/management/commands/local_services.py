"""Stop what runs on this host when the portal is stopped on purpose, and bring it back at the next start."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from clusters.runtimes import local_runtime, local_traffic
from deployments.reconcile import look_after_services


class Command(BaseCommand):
    """`manage.py local_services stop|start`"""

    help = "Stops the local instances and their proxy (wanted states stay), or starts what is wanted."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("verb", choices=["stop", "start"])

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verb"] == "stop":
            local_runtime().stop_all()
            local_traffic().stop()
        else:
            local_runtime().ensure()
            look_after_services()
