"""Where people reach a service."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from deployments.models import Service


def address_of(service: Service) -> str:
    """The stable address in front of the service; "" when it has none or nothing runs."""
    if service.port is None or service.version_id is None:
        return service.url if service.version_id is not None else ""
    host = urlsplit(settings.PUBLIC_URL).hostname or "127.0.0.1"
    return f"http://{host}:{service.port}/"
