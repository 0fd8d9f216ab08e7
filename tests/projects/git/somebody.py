"""Somebody else who fetches into a mirror and has taken long already, for tests of those who meet them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from fangduoduo_release.common.processes import start_ticks

SO_LONG_S = 400.0  # more than anybody here waits, less than a fetch may take


@contextlib.contextmanager
def fetching(mirror: Path) -> Iterator[None]:
    """A living process holds the mirror's lock, as a fetch does that nobody waits for any more."""
    lock = mirror.with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = subprocess.Popen(["sleep", "600"], pass_fds=(held.fileno(),), start_new_session=True)
        try:
            held.write(json.dumps({"pid": process.pid, "ticks": start_ticks(process.pid)}))
            held.flush()
            os.utime(lock, (time.time() - SO_LONG_S, time.time() - SO_LONG_S))
            yield
        finally:
            process.kill()
            process.wait()
