"""A JSON field that is encrypted at rest and never shown again.

Keys come from `settings.FIELD_ENCRYPTION_KEYS` (first encrypts, all decrypt: rotation is adding one in front).
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from .errors import Rejected
from .sentence import S

NOTHING = "{}"


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key.encode()) for key in keys])


def cipher() -> MultiFernet:
    """The cipher of the configured keys."""
    return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS))


if TYPE_CHECKING:
    _Text = models.Field[Any, Any]
else:
    _Text = models.TextField


class EncryptedJSONField(_Text):
    """Stores JSON (dict by default) as one Fernet token; nothing ({}) as it is, for lists of rows that mostly hold
    nothing. Raises Rejected when no configured key opens it."""

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        if value == {}:
            return NOTHING
        return cipher().encrypt(json.dumps(value, ensure_ascii=False).encode()).decode()

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Any:
        if value is None:
            return None
        if value == NOTHING:
            return {}
        try:
            return json.loads(cipher().decrypt(value.encode()))
        except InvalidToken as error:
            raise Rejected(
                S("A stored secret cannot be opened with the configured FIELD_ENCRYPTION_KEYS."),
                code="secret_unreadable",
            ) from error

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> str:
        # Serialisation (dumpdata, admin history) must never show the content.
        return "••••"
