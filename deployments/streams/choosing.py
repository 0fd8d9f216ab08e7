"""Which instance and container are meant when an address leaves that open."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from deployments.models import Instance, Service

NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,252})?")


def rows() -> Any:
    return Service.objects.select_related("project", "machine__cluster__connection")


def chosen(instances: Iterable[Instance], instance: str, container: str) -> tuple[str, str]:
    """The named ones; else an instance that is ready, the oldest of them, and its main container."""
    known = list(instances)
    if not instance:
        known.sort(
            key=lambda one: (not one.ready, one.state != "running", one.started_at is None, one.started_at, one.name)
        )
        instance = known[0].name if known else ""
    return instance, container or main_container(known, instance)


def main_container(instances: Iterable[Instance], instance: str = "") -> str:
    """Of that instance, or of any; "" where instances have none by name."""
    lists = [one.containers for one in instances if instance in ("", one.name) and one.containers]
    return str(lists[0][0]) if lists else ""
