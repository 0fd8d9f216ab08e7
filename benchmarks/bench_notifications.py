"""What telling costs an action, and how many messages a worker gets out.

The action is one that ends a build: a transaction with its event. It is measured without news, with news that nobody
wants, and with news that ten people and a project hear of (with a mail server that is never asked: nothing is sent
here). Then a worker sends 1,000 messages to a web server on this machine; the clock runs from the first to the last.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.portal import ROOT
from tests.simulators.receiver import Receiver
from tests.waiting import until

from .measure import Number

MESSAGES = 1000
LIMIT_S = 180.0


def measure(scratch: Path) -> Iterator[Number]:
    env = environment(scratch)
    manage(env, "manage.py", "migrate", "-v0")
    cost = json.loads(manage(env, "-m", "benchmarks.telling.cost"))
    base = {"baseline": cost["without"], "baseline_name": "the same without news"}
    yield Number("ending a build that nobody hears of", cost["nobody"], "ms", **base)
    yield Number("ending a build that 11 hear of", cost["eleven"], "ms", **base)
    receiver = Receiver()
    with receiver.serving():
        manage(env, "-m", "benchmarks.telling.fill", receiver.url, str(MESSAGES))
        yield Number(f"{MESSAGES:,} messages through the worker to one webhook", rate(env, receiver), "per s")


def environment(scratch: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    more = {"FDD_ENV": "local", "FDD_VAR": str(scratch / "var"), "FDD_PROCESS": "worker", "LOG_LEVEL": "ERROR"}
    mail = {"EMAIL_HOST": "127.0.0.1", "EMAIL_FROM": "release@example.org"}
    return {**inherited, **more, **mail, "DJANGO_SETTINGS_MODULE": "fangduoduo_release.settings"}


def manage(env: Mapping[str, str], *arguments: str) -> str:
    run = [sys.executable, *arguments]
    return subprocess.run(run, cwd=ROOT, env=env, check=True, timeout=300, capture_output=True, text=True).stdout


def rate(env: Mapping[str, str], receiver: Receiver) -> float:
    """Messages per second between the first and the last; each arrives once."""
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "worker"], cwd=ROOT, env=env, start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        until(lambda: receiver.posts, timeout=60, every=0.002, what="the first message")
        first, began = len(receiver.posts), time.monotonic()
        until(lambda: len(receiver.posts) >= MESSAGES, timeout=LIMIT_S, every=0.005, what=f"{MESSAGES} messages")
        took = time.monotonic() - began
    finally:
        worker.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
    assert len({post.headers["X-FDD-Delivery"] for post in receiver.posts}) == MESSAGES
    return (MESSAGES - first) / took
