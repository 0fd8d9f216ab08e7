"""JSON kept as the very text that was signed: a database's own JSON type would write it down in other words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    _Text = models.Field[Any, Any]
else:
    _Text = models.TextField


class JSONText(_Text):
    """A dict in Python, compact JSON text in the database, byte for byte the same on every engine."""

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else text_of(value)

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Any:
        if value is None:
            return None
        try:
            return json.loads(value)
        except ValueError:  # somebody wrote into the table by hand: the page must still open, the chain tells
            return {"?": value}

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> str:
        return text_of(self.value_from_object(obj))


def text_of(value: Any) -> str:
    """The one way in which a value is written down."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
