"""What a deployment's pins say to those that come after it, beside the five that people see.

An image that no registry could name by its content is deployed by its tag, and what its instances turned out to run is the
pin. Where its registry has it under that digest ("pullable"), whatever makes all instances anew starts it by that
("by_digest") and not by a tag that may have moved; what only scales leaves running instances as they were started, and so
does what restores them, unless the tag brought something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployments.models import Deployment, Service

OURS = frozenset({"doing", "held", "taken_over", "there", "restored", "pullable", "by_digest"})


def shown(pins: Mapping[str, Any]) -> dict[str, Any]:
    """The five: digest, config, manifest_sha256, pipeline_revision, traffic."""
    return {name: value for name, value in pins.items() if name not in OURS}


def of_last(service: Service) -> Mapping[str, Any]:
    last = service.last_deployment
    return last.pins if last is not None else {}


def config_now(service: Service) -> dict[str, Any] | None:
    """What is pinned of the configuration that is wanted now; services from before there were sources have it only in
    their last deployment."""
    return service.config or of_last(service).get("config")


def by_digest(pins: Mapping[str, Any], *, anew: bool) -> bool:
    """Whether what had these pins is started by its digest; `anew`: all its instances are made."""
    return bool(pins.get("by_digest") or (anew and pins.get("pullable")))


def others(service: Service, digests: frozenset[str]) -> list[str]:
    """What of the digests is not what is to run here, as far as that is known."""
    pinned = str(of_last(service).get("digest") or "")
    return sorted(digests - {pinned}) if pinned else []


def go_by_digest(service: Service) -> bool:
    """From now on what is to run here is started by its digest; False when it is so already, or cannot be."""
    last = service.last_deployment
    if last is None or last.pins.get("by_digest") or not last.pins.get("pullable"):
        return False
    last.pins["by_digest"] = True
    Deployment.objects.filter(pk=last.pk).update(pins=last.pins)
    return True


def digest_of(deployment: Deployment) -> str:
    """By which its image is started where the version knows none; "": by the tag."""
    return str(deployment.pins["digest"]) if deployment.pins.get("by_digest") else ""
