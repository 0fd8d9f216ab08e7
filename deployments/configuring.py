"""The configuration of a deployment: resolved once when it is asked for, pinned, and given to the runtime from the pin.

What a pin says is in `pins["config"]`. Without a config source it names the spec's revision alone; with one, the key and
revision of the base manifest and of each config file too, so that going back brings the very texts back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builds.models import Version
from clusters import configs
from clusters.drivers.config.binding import PORTAL
from clusters.drivers.runtime.spec import ConfigFile
from clusters.kubernetes import namespace_of
from deployments.models import Service
from projects.models import SpecRevision


def resolve(service: Service, spec: SpecRevision) -> dict[str, Any]:
    """What a new deployment of this spec pins, asking the config source for what it says now. Raises NotFound (no such
    key), Invalid, Unavailable, Rejected."""
    known = {"revision": spec.number, "sha256": spec.sha256}
    binding = spec.spec.get("config")
    if not binding:
        return {"source": PORTAL, "key": "spec", **known}
    found = configs.resolve(binding, values=configs.values_of(service.project.slug, service.machine))
    if found is None:
        return {"source": PORTAL, "key": "spec", **known}
    return {**found.as_json(), "spec": known}


def pinned(pin: Mapping[str, Any] | None) -> configs.Pinned | None:
    """The texts that a pin names; None where it names none."""
    return configs.Pinned.from_json(pin) if pin and pin.get("source") != PORTAL else None


def spec_of(pin: Mapping[str, Any] | None) -> int | None:
    """Which spec revision a pin names."""
    if not pin:
        return None
    inner = pin.get("spec")
    number = inner.get("revision") if isinstance(inner, Mapping) else pin.get("revision")
    return int(number) if number is not None and str(number).isdecimal() else None


def texts(
    pin: Mapping[str, Any] | None, service: Service, version: Version, *, replicas: int, digest: str
) -> tuple[str, tuple[ConfigFile, ...]]:
    """(base manifest, config files) of a pin, filled in for this version. Raises Rejected when a text is gone."""
    found = pinned(pin)
    if found is None:
        return "", ()
    base, files = configs.texts(found)
    values = values_for(service, version, replicas=replicas, digest=digest)
    return configs.fill(base, values), tuple(
        ConfigFile(file.path, configs.fill(file.content, values)) for file in files
    )


def values_for(service: Service, version: Version, *, replicas: int, digest: str) -> dict[str, str]:
    """What a text may ask for by `${NAME}`."""
    machine = service.machine
    return {
        "PROJECT": service.project.slug,
        "MACHINE": machine.name,
        "ENVIRONMENT": machine.environment,
        "NAMESPACE": namespace_of(machine.placement),
        "VERSION": str(version.number),
        "IMAGE": version.image,
        "DIGEST": digest,
        "COMMIT": version.commit_sha,
        "REPLICAS": str(replicas),
    }


def drift(service: Service) -> configs.Drift | None:
    """What the source says by now and did not when this was deployed; asks nobody."""
    found = pinned(service.config)
    if found is None or service.spec_revision is None:
        return None
    values = configs.values_of(service.project.slug, service.machine)
    return configs.drift(found, service.spec_revision.spec.get("config"), values)
