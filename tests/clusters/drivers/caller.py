"""Callers to be killed: each advances a goal in a process of its own until it is reached or a kill -9 finds it.

Reads (runtime config, traffic config, goal, seconds until each kill) pickled from stdin; the kills done, the last caller
works on to the end. Run as a module in its own process, so that callers fork from one without threads.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import time

from clusters.drivers.runtime.base import Wanted
from clusters.drivers.runtime.local.runtime import LocalRuntime
from clusters.drivers.traffic.traefik.driver import TraefikTraffic
from fangduoduo_release.common.errors import Unavailable


def main() -> None:
    runtime_config, traffic_config, wanted, delays = pickle.load(sys.stdin.buffer)
    runtime = LocalRuntime(runtime_config, TraefikTraffic(traffic_config) if traffic_config else None)
    print("up", flush=True)
    for delay in delays:
        pid = os.fork()
        if pid == 0:
            work(runtime, wanted)
            os._exit(0)
        time.sleep(delay)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    work(runtime, wanted)


def work(runtime: LocalRuntime, wanted: Wanted) -> None:
    """As an engine does: what is busy, or has not come up in time, is tried again."""
    settled = False
    while not settled:
        with contextlib.suppress(Unavailable):
            settled = runtime.advance(wanted, 5.0).settled


if __name__ == "__main__":
    main()
