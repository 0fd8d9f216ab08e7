"""Times as Kubernetes writes them."""

from __future__ import annotations

import functools
import random
import time
import uuid
from datetime import UTC, datetime

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def now() -> str:
    return _spelt(int(time.time()))


@functools.lru_cache(4)
def _spelt(seconds: int) -> str:
    return stamp(seconds)


def stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def uid() -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def suffix(length: int = 5) -> str:
    """The end of a generated name."""
    return "".join(random.choices(_LETTERS, k=length))


def safe(text: str) -> str:
    """A hash spelt so that no bad words come of it, as Kubernetes does."""
    return "".join(_LETTERS[ord(letter) % len(_LETTERS)] for letter in text)
