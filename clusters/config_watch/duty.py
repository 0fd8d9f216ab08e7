"""The duty that keeps configuration in Consul followed.

Called every second by the one watch process that holds the duty's lease; what it keeps alive ends by itself soon after the
calls stop. Two that follow at once for a moment write the same facts.
"""

from __future__ import annotations

from typing import Any

from django.utils.module_loading import import_string

from clusters.config_use import in_use
from clusters.configs import KIND
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.watch import tenure

HUB = "clusters.config_watch.hub.Hub"  # loaded where there is something to follow
_hubs: list[Any] = []  # the one of this process


def follow() -> int:
    """Keep the thread that waits for changes; how many keys it follows."""
    if _hubs and not _hubs[0].alive:
        _hubs.clear()
    if _hubs:
        _hubs[0].renew(tenure().lost)
    elif Connection.objects.filter(kind=KIND).exists() and in_use():
        _hubs.append(import_string(HUB)(tenure().lost))
    return _hubs[0].follows if _hubs else 0
