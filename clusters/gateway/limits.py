"""How often one caller may ask: so many reads and writes in a minute of the clock, for each person or token.

With Redis all web processes count together, exactly. Without, each counts by itself, so that N processes let through N times
as much at most. A Redis that is away makes it so too: a limit is no reason to refuse everybody.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings

from fangduoduo_release.common.errors import TooMany
from fangduoduo_release.common.sentence import S

logger = logging.getLogger(__name__)
MINUTE = 60
MOST_CALLERS = 20_000  # counted at a time; with more, counting begins anew
TIMEOUT_S = 0.3
PREFIX = "fdd:gateway"


class Counts:
    """Of one process, for the current minute only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = -1
        self._counts: dict[str, int] = {}

    def add(self, key: str, minute: int) -> int:
        with self._lock:
            if minute != self._minute or (len(self._counts) >= MOST_CALLERS and key not in self._counts):
                self._minute, self._counts = minute, {}
            self._counts[key] = self._counts.get(key, 0) + 1
            return self._counts[key]


HERE = Counts()


@lru_cache(maxsize=4)
def _redis(url: str) -> Any:
    return redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)


def count(key: str, minute: int) -> int:
    """Which call of this minute this is."""
    if settings.REDIS_URL:
        try:
            with _redis(settings.REDIS_URL).pipeline() as line:
                line.incr(f"{PREFIX}:{key}:{minute}")
                line.expire(f"{PREFIX}:{key}:{minute}", 2 * MINUTE)
                return int(line.execute()[0])
        except redis.RedisError:
            logger.warning("Redis is away: calls of the gateway are counted by each process")
    return HERE.add(key, minute)


def caller_of(actor: Any, token: Any) -> str:
    """Who is counted: a token by itself, else the person, wherever they come from."""
    return f"token-{token.pk}" if token is not None else f"person-{actor.pk}"


def take(caller: str, *, writes: bool) -> None:
    """Count one call. Raises TooMany."""
    most = settings.GATEWAY_WRITES_PER_MINUTE if writes else settings.GATEWAY_READS_PER_MINUTE
    now = time.time()
    if most and count(f"{caller}:{'w' if writes else 'r'}", int(now // MINUTE)) > most:
        what = S("More than %(most)s changes in a minute; try again in the next one.", most=most)
        if not writes:
            what = S("More than %(most)s questions in a minute; try again in the next one.", most=most)
        raise TooMany(what, retry_after=MINUTE - int(now % MINUTE))
