"""Text from outside as every database takes it: PostgreSQL refuses NUL, UTF-8 refuses lone surrogates."""

from __future__ import annotations

import re
from typing import Any

REFUSED = re.compile("[\x00\ud800-\udfff]")


def storable(value: Any) -> Any:
    """The same value with what cannot be stored replaced by U+FFFD, in all strings of dicts and lists too."""
    if isinstance(value, str):
        return REFUSED.sub("\ufffd", value)
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value
