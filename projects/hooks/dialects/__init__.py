"""How servers speak, by the kind in the webhook's address."""

from __future__ import annotations

from collections.abc import Mapping

from .base import Dialect
from .generic import Generic
from .gerrit import Gerrit
from .gitea import Gitea
from .github import GitHub
from .gitlab import GitLab

DIALECTS: Mapping[str, Dialect] = {one.kind: one for one in (GitHub(), GitLab(), Gitea(), Generic(), Gerrit())}


def of_connection(kind: str) -> list[Dialect]:
    """What may be spoken to a connection of this kind."""
    return [one for one in DIALECTS.values() if one.connection == kind]
