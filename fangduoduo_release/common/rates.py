"""How often something happened in the current minute of the clock: counted by all processes together with Redis, else by each.

With Redis the count is exact. Without, N processes let N times as much through at most. A Redis that is away makes it so too:
a limit is no reason to refuse everybody. Memory is bounded: only this minute is remembered.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings

logger = logging.getLogger(__name__)
MINUTE = 60
MOST_KEYS = 20_000  # with more in a minute, counting begins anew
TIMEOUT_S = 0.3
PREFIX = "fdd:rate"


class Counts:
    """Of this process, for one minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = -1
        self._counts: dict[str, int] = {}

    def add(self, key: str, minute: int) -> int:
        with self._lock:
            if minute != self._minute or (len(self._counts) >= MOST_KEYS and key not in self._counts):
                self._minute, self._counts = minute, {}
            self._counts[key] = self._counts.get(key, 0) + 1
            return self._counts[key]

    def forget(self) -> None:
        with self._lock:
            self._minute, self._counts = -1, {}

    def __len__(self) -> int:
        return len(self._counts)


HERE = Counts()


@lru_cache(maxsize=4)
def _redis(url: str) -> Any:
    return redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)


def count(key: str, now: float | None = None) -> tuple[int, int]:
    """Count one more of `key`: (how many in this minute, seconds until it ends)."""
    at = time.time() if now is None else now
    minute, left = int(at // MINUTE), MINUTE - int(at % MINUTE)
    if settings.REDIS_URL:
        try:
            with _redis(settings.REDIS_URL).pipeline() as line:
                line.incr(f"{PREFIX}:{key}:{minute}")
                line.expire(f"{PREFIX}:{key}:{minute}", 2 * MINUTE)
                return int(line.execute()[0]), left
        except redis.RedisError:
            logger.warning("Redis is away: each process counts by itself")
    return HERE.add(key, minute), left
