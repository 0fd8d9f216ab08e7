"""django-q2's brokers, made patient: an outage is waited out, the bell replaces polling, and pulls leave a mark.

Only the doorbell's transport; knows nothing of runs.
"""

from __future__ import annotations

import logging
import os
import time
from functools import cache
from typing import Any

import redis
from django.db import DatabaseError, InterfaceError, connections
from django_q.brokers.orm import ORM
from django_q.brokers.redis_broker import Redis
from django_q.conf import Conf

from . import bell
from .marks import Mark, marks

logger = logging.getLogger(__name__)
LOOK_AGAIN_S = 0.5  # for rings from other hosts, which no bell announces
OUTAGE_WAIT_S = 1.0


@cache
def _bell_of(pid: int) -> bell.Bell:
    return bell.Bell()


class BellOrm(ORM):  # type: ignore[misc]
    """Rings in the database. Wants `poll: 0`: it waits by itself, on the bell."""

    def enqueue(self, task: str) -> Any:
        pk = super().enqueue(task)
        bell.ring()
        return pk

    def dequeue(self) -> list[tuple[Any, str]] | None:
        listener = _bell_of(os.getpid())  # before the look, so that a ring in between is not missed
        try:
            tasks: list[tuple[Any, str]] | None = super().dequeue()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the queue cannot be read: %s", error)
            connections.close_all()
            time.sleep(OUTAGE_WAIT_S)
            return None
        if tasks:
            marks.touch(Mark.PULLED)
        elif tasks is None:
            listener.wait(LOOK_AGAIN_S)
        return tasks


@cache
def _redis_of(pid: int, url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=5, socket_keepalive=True)


class PatientRedis(Redis):  # type: ignore[misc]
    """Rings in Redis, over one connection per process and with time limits on everything."""

    @staticmethod
    def get_connection(list_key: str | None = None) -> redis.Redis:
        return _redis_of(os.getpid(), Conf.REDIS)

    def dequeue(self) -> list[tuple[Any, str]] | None:
        try:
            tasks: list[tuple[Any, str]] | None = super().dequeue()
        except redis.RedisError as error:
            logger.warning("the queue cannot be read: %s", error)
            time.sleep(OUTAGE_WAIT_S)
            return None
        if tasks:
            marks.touch(Mark.PULLED)
        return tasks
