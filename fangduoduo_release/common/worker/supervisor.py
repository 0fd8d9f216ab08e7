"""The worker's parent process: keeps its children alive, kills a queue that hangs, stops everything within 8 s.

Single-threaded and without a database connection, so that it can fork at any moment. Children share Django's memory.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connections
from django.urls import get_resolver
from django.utils.module_loading import import_string

from fangduoduo_release.common.engines import engines

from .children import fork, kill_group, name_process
from .marks import Mark, Marks, marks
from .queue_group import run_queue
from .sweep_loop import run_sweeper

logger = logging.getLogger(__name__)
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
STOP_S = 8.0
LOOK_S = 1.0
HANGS_AFTER_S = 15.0
BUSY_AT_MOST_S = 45.0  # a task's own time limit and then some: whoever "works" longer does not
SILENT_S = 60.0  # a guard or sweeper that makes no round for so long (a locked database stops one for 20 s)
SETTLED_S = 10.0
LONGEST_BACKOFF_S = 5.0


@dataclass(slots=True)
class Child:
    """One child process, its restarts and when it may start again (monotonic seconds)."""

    name: str
    main: Callable[[], object]
    pid: int = 0
    started: float = 0.0
    not_before: float = 0.0
    quick_deaths: int = field(default=0)

    def start(self) -> None:
        connections.close_all()
        self.started = time.monotonic()
        self.pid = fork(self.name, self.main)

    def ended(self) -> None:
        now = time.monotonic()
        self.quick_deaths = 0 if now - self.started > SETTLED_S else self.quick_deaths + 1
        self.not_before = now + min(LONGEST_BACKOFF_S, 0.1 * 2**self.quick_deaths)
        self.pid = 0


def hang(seen: Marks, now: float, since: float) -> str:
    """Why the queue started at `since` must be killed, or "". Times are monotonic seconds."""
    idle = seen[Mark.FINISHED] >= seen[Mark.STARTED] or now - seen[Mark.STARTED] > BUSY_AT_MOST_S
    if now - max(seen[Mark.GUARD], since) > SILENT_S:
        return "its guard is silent"
    if idle and seen[Mark.PULLED] > seen[Mark.STARTED] and now - max(seen[Mark.PULLED], since) > HANGS_AFTER_S:
        return "it took a ring and nobody answers"
    if idle and seen[Mark.OLDEST_WAIT_S] > HANGS_AFTER_S and now - max(seen[Mark.STARTED], since) > HANGS_AFTER_S:
        return "due work waits and nobody takes it"
    return ""


class Supervisor:
    """Starts, watches, restarts and stops the children."""

    def __init__(self) -> None:
        self._children = [Child("queue", run_queue), Child("sweeper", run_sweeper)]
        self._children += [Child(name, main) for name, main in companions().items()]
        self._stopping = False

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        name_process("fdd-worker")
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        preload()
        logger.info("worker %s: %s", os.getpid(), ", ".join(child.name for child in self._children))
        while not self._stopping:
            now = time.monotonic()
            for child in self._children:
                if not child.pid and now >= child.not_before:
                    child.start()
            self._wait(min([LOOK_S, *(max(0.01, c.not_before - now) for c in self._children if not c.pid)]))
            self._look_after_queue()
        self._stop()

    def _wait(self, seconds: float) -> None:
        got = signal.sigtimedwait(SIGNALS, seconds)
        if got is not None and got.si_signo in {signal.SIGTERM, signal.SIGINT}:
            self._stopping = True
        self._reap()

    def _reap(self) -> None:
        """Bury dead children; their groups first, while a dead leader still keeps its number from being reused."""
        while any(child.pid for child in self._children):
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None:
                return
            kill_group(dead.si_pid)
            os.waitpid(dead.si_pid, 0)
            for child in self._children:
                if child.pid == dead.si_pid:
                    self._bury(child, dead.si_status)

    def _bury(self, child: Child, status: int) -> None:
        child.ended()
        if child.name == "queue":  # what the dead one had begun says nothing about the next
            marks[Mark.PULLED] = marks[Mark.STARTED] = marks[Mark.FINISHED] = 0.0
            marks[Mark.QUEUE_RESTARTS] += 1
        if not self._stopping:
            logger.warning("%s ended (%s) and starts again", child.name, status)

    def _look_after_queue(self) -> None:
        now = time.monotonic()
        queue, sweeper = self._children[:2]
        if queue.pid and (reason := hang(marks, now, queue.started)):
            logger.error("the queue hangs (%s): killing its group", reason)
            kill_group(queue.pid)
        if sweeper.pid and now - max(marks[Mark.SWEPT], sweeper.started) > SILENT_S:
            logger.error("the sweeper is silent: killing it")
            kill_group(sweeper.pid)

    def _stop(self) -> None:
        """Ask everyone, wait at most STOP_S for all, then kill what is left."""
        until = time.monotonic() + STOP_S
        for child in self._children:
            if child.pid:
                os.kill(child.pid, signal.SIGTERM)
        while any(child.pid for child in self._children) and time.monotonic() < until:
            self._wait(0.2)
        for child in self._children:
            if child.pid:
                logger.warning("%s did not stop in time: killing it", child.name)
                kill_group(child.pid)
                os.waitpid(child.pid, 0)


def companions() -> dict[str, Callable[[], object]]:
    """The functions named in settings.WORKER_COMPANIONS, imported here so that the children share their memory."""
    found: dict[str, Callable[[], object]] = {}
    for name, path in settings.WORKER_COMPANIONS.items():
        try:
            found[name] = import_string(path)
        except ImportError:
            logger.exception("the companion %s (%s) cannot be imported; going on without it", name, path)
    return found


def preload() -> None:
    """Import what the children need, then keep the collector off it: untouched memory stays shared.

    The queue's broker, who spreads the news of an ended run, and for its links all addresses: a child that imports them
    by itself does so in its first transaction, and holds up everybody who writes.
    """
    try:
        engines()
        for path in (*settings.RUN_ENDINGS.values(), settings.Q_CLUSTER["broker_class"]):
            import_string(str(path))
        get_resolver().reverse_dict  # noqa: B018 - reading it imports every module of addresses
    except ImportError:
        logger.exception("what settings name for the worker cannot be imported")
    connections.close_all()
    if threading.active_count() > 1:
        logger.error("threads run before the first fork: %s", [thread.name for thread in threading.enumerate()])
    gc.collect()
    gc.freeze()
