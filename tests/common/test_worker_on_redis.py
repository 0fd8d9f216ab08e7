"""With the Redis broker the doorbell rings at once; without Redis the sweeper does the work, and a ring does not hang."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.portal import free_port
from tests.require import need
from tests.waiting import until

from .test_worker import all_done, forget_rings, queue_jobs, ready, states
from .workshop.shop import Shop

pytestmark = pytest.mark.slow


class Redis:
    """A server of one's own, that can be killed and started again on its port."""

    def __init__(self, folder: Path) -> None:
        (self._program,) = need("redis-server")
        self._folder = folder
        self.port = free_port()  # nobody else is given it while the server is away
        self.start()

    def start(self) -> None:
        command = [
            self._program,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self._folder),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self._answers, what="redis")

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    yield server
    server.kill()


def ring_takes() -> float:
    """How long a ring takes for the one who rings."""
    began = time.monotonic()
    queue_jobs(1, 1)
    return time.monotonic() - began


def test_runs_end_with_redis_without_it_and_after_it_came_back(sqlite_shop: Shop, redis: Redis) -> None:
    sqlite_shop.more["REDIS_URL"] = f"redis://127.0.0.1:{redis.port}/0"
    worker = sqlite_shop.worker()
    ready(sqlite_shop)
    sqlite_shop.call(queue_jobs, 10, 2)
    assert sqlite_shop.call(forget_rings) == 0  # no ring went through the database
    all_done(sqlite_shop, 10)
    redis.kill()
    assert sqlite_shop.call(ring_takes) < 60  # waiting for Redis would have no end
    all_done(sqlite_shop, 11)
    redis.start()
    sqlite_shop.call(queue_jobs, 10, 2)
    all_done(sqlite_shop, 21)
    assert sqlite_shop.call(states) == {"done": 21}
    worker.terminate()
    assert worker.wait(60) == 0
    sqlite_shop.wait_gone()
