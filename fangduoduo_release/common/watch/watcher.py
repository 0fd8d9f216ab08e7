"""The watch's main loop: keep the leases of the duties held, take free ones, call what is due in a small pool.

A dead process loses its duties to another one within LEASE_S + ROUND_S; every call is bound to the tenure it began in.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connections

from fangduoduo_release.common import leases
from fangduoduo_release.common.models import Beat
from fangduoduo_release.common.worker.children import Stop, name_process

from .duty import Duty
from .posts import Post

logger = logging.getLogger(__name__)
LEASE_S = 10.0
ROUND_S = 3.0
BEAT_S = 6.0
STOP_S = 6.0
HANDS = 4
STUCK = 75


class Watcher:
    """Runs in one main thread; duties run in the pool."""

    def __init__(self, duties: Iterable[Duty]) -> None:
        self._owner = f"{settings.HOST_ID}:{os.getpid()}:{os.urandom(3).hex()}"
        self._posts = {f"duty:{duty.name}": Post(duty, self._owner) for duty in duties}
        self._leased = [name for name, post in self._posts.items() if not post.duty.everywhere]
        self._pool = ThreadPoolExecutor(max_workers=HANDS, thread_name_prefix="duty")
        self._kept_at = 0.0
        self._beat_at = 0.0
        self._trouble = False

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        stop = Stop()
        stop.on_signals(signal.SIGTERM, signal.SIGINT)
        name_process("fdd-watch")
        gc.collect()
        gc.freeze()
        logger.info("watch %s: %s", os.getpid(), ", ".join(self._posts) or "no duties")
        round_at = 0.0
        while True:
            now = time.monotonic()
            if now >= round_at:
                self._round()
                round_at = now + ROUND_S
            for post in self._posts.values():
                post.tend(self._pool, now)
                if post.is_stuck(now):
                    self._leave_stuck(post)
            wake = min([round_at, *(max(post.wakes_at(), now + 0.02) for post in self._posts.values())])
            running = any(post.running is not None for post in self._posts.values())
            if stop.wait(max(0.0, min(wake - time.monotonic(), 0.2 if running else ROUND_S))):
                break
        self._stop()

    def _round(self) -> None:
        try:
            close_old_connections()
            self._keep()
            if time.monotonic() - self._beat_at >= BEAT_S:
                if not self._beat_at:
                    leases.forget_old_beats()
                held = sorted(post.duty.name for post in self._posts.values() if post.tenure is not None)
                leases.beat(f"watch:{self._owner}", "watch", duties=held)
                self._beat_at = time.monotonic()
            self._trouble = False
        except (DatabaseError, InterfaceError) as error:
            connections.close_all()
            if not self._trouble:
                logger.warning("the watch cannot reach its database: %s", error)
                self._trouble = True
            if time.monotonic() - self._kept_at > LEASE_S:  # somebody else may hold them by now
                for name in self._leased:
                    self._posts[name].lose()

    def _keep(self) -> None:
        asked_at = time.monotonic()
        held = leases.keep(self._leased, self._owner, LEASE_S)
        for name, post in self._posts.items():
            if post.duty.everywhere:
                held[name] = 0
            elif post.tenure is not None and held.get(name) != post.tenure.fence:
                logger.warning("the duty %s went to another process", post.duty.name)
                post.lose()
        for name in leases.free(set(self._posts) - set(held)):
            fence = leases.hold(name, self._owner, LEASE_S)
            if fence is not None:
                held[name] = fence
        for name, fence in held.items():
            post = self._posts[name]
            if post.tenure is None and post.running is None:
                post.take(fence)
        self._kept_at = asked_at

    def _leave_stuck(self, post: Post) -> None:
        """A thread cannot be killed; its process can. The lease runs out and the duty starts anew elsewhere."""
        logger.critical("the duty %s is stuck: the watch ends itself, to be started again", post.duty.name)
        sys.stderr.flush()
        os._exit(STUCK)

    def _stop(self) -> None:
        for post in self._posts.values():
            if post.tenure is not None:
                post.tenure.lost.set()
        until = time.monotonic() + STOP_S
        self._pool.shutdown(wait=False, cancel_futures=True)
        while (left := [p for p in self._posts.values() if p.running and not p.running.done()]) and (
            time.monotonic() < until
        ):
            time.sleep(0.05)
        try:
            for name, post in self._posts.items():
                if post not in left and not post.duty.everywhere:
                    leases.let_go(name, self._owner)
            Beat.objects.filter(name=f"watch:{self._owner}").delete()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the duties were not given back: %s", error)
        connections.close_all()
        if left:  # interpreter exit would wait for these threads
            logger.warning("still running at the end: %s", ", ".join(post.duty.name for post in left))
            sys.stderr.flush()
            os._exit(0)
