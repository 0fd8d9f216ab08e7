"""Wait for something to become true, with a deadline and a clear complaint. Tests never sleep for luck."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(predicate: Callable[[], T | None], timeout: float = 60.0, every: float = 0.02, what: str = "") -> T:
    """Poll `predicate` until it answers something true; return that. Raises AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what or predicate}; last answer: {answer!r}")
        time.sleep(every)
