"""How often one may ask: each by themselves, reads and writes apart, with a time to come back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.handlers.asgi import ASGIRequest
from django.test import Client

from clusters.gateway import bodies
from clusters.gateway.statuses import Refused
from clusters.models import Cluster
from fangduoduo_release.common import rates
from permissions.models import ApiToken
from projects.models import Project
from tests import world
from tests.portal import free_port
from tests.require import need
from tests.waiting import until

from .conftest import PODS_OF_SHOP, at_the_gateway
from .rows import pod, put
from .test_reading import assert_status

pytestmark = pytest.mark.django_db


def test_the_one_too_many_is_told_when_to_come_back(settings: Any, cluster: Cluster, viewer: Client) -> None:
    settings.GATEWAY_READS_PER_MINUTE = 3
    put(cluster, pod("a"))
    answers = [viewer.get(PODS_OF_SHOP) for _ in range(8)]  # a new minute may begin among them
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 2 <= len(refused) <= 5
    body = assert_status(refused[0], 429, "TooManyRequests", "More than 3 questions in a minute")
    assert 1 <= int(refused[0]["Retry-After"]) <= 60
    assert body["details"]["retryAfterSeconds"] == int(refused[0]["Retry-After"])


def test_reads_writes_people_and_tokens_are_counted_apart(settings: Any, cluster: Cluster, shop: Project) -> None:
    settings.GATEWAY_READS_PER_MINUTE = settings.GATEWAY_WRITES_PER_MINUTE = 1
    put(cluster, pod("a"))
    user = world.member(shop, "viewer")
    _row, text = ApiToken.make(user, "t")
    clients = [at_the_gateway(user), Client(headers={"Authorization": f"Bearer {text}"}), at_the_gateway(world.member(shop, "viewer"))]  # fmt: skip
    assert [client.get(PODS_OF_SHOP).status_code for client in clients] == [200, 200, 200]
    assert (
        clients[0].delete(f"{PODS_OF_SHOP}/a").status_code == 403
    )  # counted as a write, and refused for its own reason
    at_another_door = at_the_gateway(user)  # the same person, another JWT
    statuses = {at_another_door.get(PODS_OF_SHOP).status_code for _ in range(2)}
    assert 429 in statuses


def test_no_limit_is_none(settings: Any, cluster: Cluster, viewer: Client) -> None:
    settings.GATEWAY_READS_PER_MINUTE = 0
    put(cluster, pod("a"))
    assert {viewer.get(PODS_OF_SHOP).status_code for _ in range(5)} == {200}
    assert len(rates.HERE) == 0


def test_a_minute_is_one_of_the_clock() -> None:
    assert [rates.count("k", 119.0), rates.count("k", 119.9), rates.count("k", 120.0)] == [(1, 1), (2, 1), (1, 60)]


def test_counting_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_KEYS", 10)
    counts = rates.Counts()
    for number in range(25):
        counts.add(f"caller-{number}", 1)
    assert len(counts) <= 10


@pytest.fixture
def redis_url(short_path: Path, settings: Any) -> Iterator[str]:
    port = free_port()
    server = subprocess.Popen(
        [need("redis-server")[0], "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(short_path)],
        stdout=subprocess.DEVNULL,
    )
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    try:
        _up(settings.REDIS_URL)
        yield settings.REDIS_URL
    finally:
        server.kill()
        server.wait()


def _up(url: str) -> None:
    def answers() -> bool:
        try:
            return bool(redis.Redis.from_url(url).ping())
        except redis.RedisError:
            return False

    until(answers, what="redis")


def test_with_redis_all_processes_count_together(
    redis_url: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "TIMEOUT_S", 60.0)  # a Redis that is slow counts as one that is away
    now = time.time()
    first = rates.count("shared", now)[0]
    script = (
        "import os, django; django.setup()\n"
        "from fangduoduo_release.common import rates\n"
        "rates.TIMEOUT_S = 60.0\n"
        f"print(rates.count('shared', {now})[0])"
    )
    env = {
        **os.environ,
        "REDIS_URL": redis_url,
        "FDD_VAR": str(settings.VAR),
        "DJANGO_SETTINGS_MODULE": "fangduoduo_release.settings",
    }
    told = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=280, check=True
    )
    assert (first, int(told.stdout)) == (1, 2)


def test_a_redis_that_is_away_refuses_nobody(settings: Any) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert [rates.count("alone", 60.0)[0], rates.count("alone", 60.0)[0]] == [1, 2]


class Endless:
    """A body in chunks whose end nobody has said."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        assert 0 <= size <= 2 * bodies.MAX_BYTES, "everything was asked for"
        self.taken += size
        return b" " * size

    def close(self) -> None:
        """Holds nothing."""


def test_a_body_that_says_no_size_is_not_taken_into_memory() -> None:
    body = Endless()
    scope = {
        "type": "http",
        "method": "POST",
        "path": PODS_OF_SHOP,
        "headers": [(b"content-type", b"application/json")],
    }
    with pytest.raises(Refused) as refused:
        bodies.raw_of(ASGIRequest(scope, body))  # type: ignore[arg-type]
    assert refused.value.status == 413
    assert body.taken <= bodies.MAX_BYTES + 1
