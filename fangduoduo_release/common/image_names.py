"""How container images are named: registry, repository, tag and digest, by the grammar registries themselves hold to.

Django-free: drivers, rules and pages all ask here, so that a name one of them takes is taken by all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import Invalid
from .sentence import S

MAX_NAME = 255
HUB = "docker.io"
_HUB_HOSTS = frozenset({HUB, "index.docker.io", "registry-1.docker.io"})
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PORTS = {"https": ":443", "http": ":80"}


@dataclass(frozen=True, slots=True)
class ImageName:
    """An image's name taken apart; `reference` is what a registry is asked for."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def reference(self) -> str:
        return self.digest or self.tag or "latest"


def parse(text: str) -> ImageName:
    """`[host/]repository[:tag][@digest]`; without a host it is Docker's own registry. Raises Invalid."""
    rest, at, digest = text.partition("@")
    first, slash, after = rest.partition("/")
    has_host = bool(slash) and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    host, path = (first, after) if has_host else (HUB, rest)
    repository, colon, tag = path.partition(":")
    fine = (
        _HOST.fullmatch(host)
        and is_repository(repository)
        and (not colon or is_tag(tag))
        and (not at or is_digest(digest))
    )
    if not fine:
        raise Invalid(S("“%(image)s” is not the name of an image.", image=text[:300]), code="bad_image")
    if host in _HUB_HOSTS and "/" not in repository:
        repository = f"library/{repository}"
    return ImageName(host, repository, tag, digest)


def is_repository(text: str) -> bool:
    """Whether this is an image's name within a registry."""
    return len(text) <= MAX_NAME and _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def same_host(one: str, other: str, scheme: str = "https") -> bool:
    """Whether two hosts, as they stand in images' names, are the same registry; `scheme` says which port goes unsaid."""
    return _plain(one, scheme) == _plain(other, scheme)


def _plain(host: str, scheme: str) -> str:
    host = host.lower().removesuffix(_PORTS.get(scheme, ""))
    return HUB if host in _HUB_HOSTS else host


def without_reference(text: str) -> str:
    """The name as it is written, without its tag and digest."""
    name = text.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"
