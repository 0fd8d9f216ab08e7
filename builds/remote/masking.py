"""What Jenkins says in words may quote a secret (`error "no access with $PASSWORD"`): masked before it is kept or shown."""

from __future__ import annotations

from typing import Any

from builds.drivers.builder.embedded.mask import forms, mask_text
from builds.models import Build
from builds.remote.values import secrets_of
from fangduoduo_release.common.sentence import Sentence


class Words:
    """The words of one build. Its secrets are looked up only when there is something to mask."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._patterns: list[bytes] | None = None

    def text(self, text: str) -> str:
        if not text:
            return text
        if self._patterns is None:
            self._patterns = [pattern for secret in secrets_of(self._build) for pattern in forms(secret)]
        return mask_text(text, self._patterns) if self._patterns else text

    def sentence(self, sentence: Sentence | None) -> dict[str, Any] | None:
        """As it is stored."""
        if sentence is None:
            return None
        params = {
            name: self.text(value) if isinstance(value, str) else value for name, value in sentence.params.items()
        }
        return Sentence(sentence.msgid, params).as_json()
