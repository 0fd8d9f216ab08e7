"""The border to an image registry: is it one, does it let us in, and which digest stands behind a tag.

Every call ends within 10 s and raises Unavailable (try again) or Rejected (final, with the registry's reason), each with
a code of its own. Nothing here knows Django, a model, or what an image is for. Images are pushed and pulled by others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fangduoduo_release.common.sentence import Sentence


@dataclass(frozen=True, slots=True)
class RegistryFacts:
    """What `check` found. `user` empty: the registry did not ask who we are, or lets anybody in."""

    version: str
    user: str
    sentence: Sentence


class Registry(Protocol):
    """A registry of images."""

    kind: str

    @property
    def host(self) -> str:
        """As it stands in images' names: host, or host:port."""

    def check(self) -> RegistryFacts:
        """Try the connection."""

    def digest(self, repository: str, reference: str) -> str | None:
        """The digest behind a tag (or a digest); None when the registry holds no such image. Raises Invalid for names
        that no registry takes."""
