"""Duties and companions for tests; each says in a file that it was called, when and by whom."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from django.conf import settings

from fangduoduo_release.common.watch import tenure


def note(name: str, *facts: object) -> None:
    line = " ".join(map(str, (f"{time.monotonic():.3f}", os.getpid(), *facts)))
    with (Path(settings.VAR) / name).open("a") as file:
        file.write(line + "\n")


def tick() -> None:
    note("ticks", tenure().fence)


def broken() -> None:
    note("broken")
    raise ValueError("this duty cannot")


def long() -> None:
    note("long", "begin")
    lost = tenure().lost.wait(3600)
    note("long", "end", "lost" if lost else "by itself")


def pulse() -> None:
    note("pulse")


def stuck() -> None:
    note("stuck")
    threading.Event().wait()


def companion() -> None:
    """Says hello, then waits for SIGTERM and says goodbye."""
    said = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: said.set())
    note("companion", "hello")
    while not said.wait(0.1):
        pass
    note("companion", "goodbye")


def frail() -> None:
    note("frail")
    raise SystemExit(3)
