"""From projects and builds to image registries: what a pipeline is to push, what it pushed, and by which digest that stays.

The engines ask `pin` after a success; it raises Unavailable while the registry is out of reach, and whoever asked decides
how long to be patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from builds.drivers.builder.remote import Values
from builds.drivers.registry.base import Registry
from builds.models import Build
from clusters.drivers.runtime.base import PullSecret
from fangduoduo_release.common import image_names
from fangduoduo_release.common.drivers import driver_class
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from projects.models import Project


def registry_of(connection: Connection) -> Registry:
    """The registry behind a connection. Raises Invalid, naming the field that is wrong."""
    driver = driver_class(settings.DRIVERS, "registry", connection.kind)  # its libraries are loaded only now
    config, secrets = connection.config, connection.secrets or {}
    registry: Registry = driver(
        driver.Config(
            url=str(config.get("url") or "").rstrip("/"),
            username=str(config.get("username") or ""),
            password=str(secrets.get("password") or ""),
            ca=str(config.get("ca") or ""),
        )
    )
    return registry


def host_of(connection: Connection) -> str:
    """The registry's host as it stands in images' names; "" when its address is none."""
    try:
        return urlsplit(str(connection.config.get("url") or "")).netloc.lower()
    except ValueError:
        return ""


def image_for(project: Project, number: int, sha: str) -> str:
    """What the pipeline of this build is to push; "" for a project without a registry."""
    connection = project.registry_connection
    host = host_of(connection) if connection is not None else ""
    return f"{host}/{project.image or project.slug}:{number}-{sha[:8]}" if host else ""


def push_values(build: Build) -> Values:
    """What a pipeline needs to push. A person may name another image; where the password goes is never theirs to say."""
    connection = build.project.registry_connection
    plain, secret = {"IMAGE": str(build.parameters.get("IMAGE") or build.image)}, {}
    if connection is not None:
        plain["REGISTRY"] = host_of(connection)
        plain["REGISTRY_USER"] = str(connection.config.get("username") or "")
        secret["REGISTRY_PASSWORD"] = str((connection.secrets or {}).get("password") or "")
    return Values(
        plain={name: value for name, value in plain.items() if value},
        secret={name: value for name, value in secret.items() if value},
    )


def pin(build: Build, facts: Mapping[str, Any]) -> tuple[str, str]:
    """(image, digest) of what a successful build pushed; ("", "") when it pushed none. `facts`: its release.json.

    An image that release.json or a person named has to be there, in a registry that is connected; the one we proposed
    may be missing, since a pipeline need not make an image. Where nothing is connected the name is kept as it was given.
    Raises Unavailable (ask again), Rejected, Invalid (missing, or another digest than was claimed).
    """
    claimed = str(facts.get("digest") or "")
    if claimed and not image_names.is_digest(claimed):
        raise Invalid(S("“%(digest)s” in release.json is not a digest.", digest=claimed[:100]), code="bad_digest")
    named = str(facts.get("image") or "") or str(build.parameters.get("IMAGE") or "")
    image = named or build.image
    if not image:
        return "", ""
    name = image_names.parse(image)
    if name.digest and claimed and name.digest != claimed:
        raise _differs(image, name.digest, claimed)
    connection = connected(build.project, name.host)
    if connection is None:
        return (image, claimed or name.digest) if named or claimed else ("", "")
    found = registry_of(connection).digest(name.repository, name.reference)
    if found is None:
        if not named and not claimed:
            return "", ""
        sentence = S("The registry holds no image “%(image)s”, which this build says it pushed.", image=image[:300])
        raise Invalid(sentence, code="image_missing")
    if claimed and claimed != found:
        raise _differs(image, found, claimed)
    return image, found


def _differs(image: str, found: str, claimed: str) -> Invalid:
    sentence = S(
        "The image “%(image)s” has the digest %(found)s and not %(claimed)s, as release.json says.",
        image=image[:300],
        found=found,
        claimed=claimed,
    )
    return Invalid(sentence, code="digest_differs")


def pull_secret(project: Project, image: str) -> PullSecret | None:
    """How a cluster takes this image: the credentials of the registry it lies in; None where nobody has to sign in."""
    connection = connected(project, image_names.parse(image).host)
    username = str(connection.config.get("username") or "") if connection is not None else ""
    if connection is None or not username:
        return None
    return PullSecret(host_of(connection), username, str((connection.secrets or {}).get("password") or ""))


def connected(project: Project, host: str) -> Connection | None:
    """The registry of that host: the project's own, else another one that ops connected."""
    own = project.registry_connection
    others = Connection.objects.filter(kind__in=settings.DRIVERS["registry"]).order_by("name")
    for connection in [*([own] if own is not None else []), *others]:
        scheme = "http" if str(connection.config.get("url") or "").startswith("http:") else "https"
        if image_names.same_host(host_of(connection), host, scheme):
            return connection
    return None
