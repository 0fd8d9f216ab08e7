"""The agent host: a small pre-loaded process that forks one agent per build, so that a build starts at once.

It holds no database connection and no state: which slots are taken is in locked files, which builds run is in rows.
Killed, it takes nothing with it: agents live in their own sessions and finish their builds; the worker starts a new one.
Agents must be its children (not the queue's), so that their death is noticed and a queue restart does not touch them.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import socket
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

from builds.agents import agent, slots
from builds.agents.client import socket_path

logger = logging.getLogger(__name__)
STOP_S = 6.0


class Host:
    """Accepts start requests one at a time; forking takes milliseconds."""

    def __init__(self) -> None:
        self.children: dict[int, int] = {}  # pid -> build
        self.stopping = False
        self.parent = os.getppid()
        self.listener = self._listen(socket_path())

    @staticmethod
    def _listen(path: Path) -> socket.socket:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(64)
        listener.settimeout(2.0)
        return listener

    def serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            while not self.stopping:
                if selector.select(timeout=0.5):
                    self._accept()
                self._reap()
                if os.getppid() != self.parent:
                    return  # our worker crashed: agents go on by themselves, its successor brings its own host
        self._stop_agents()

    def _accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(2.0)
            try:
                request = json.loads(connection.makefile("rb").readline(4096))
                answer = self._start(int(request["build"]), int(request["fence"]), connection)
                connection.sendall(json.dumps(answer).encode() + b"\n")
            except (OSError, ValueError, KeyError, TypeError) as error:
                logger.warning("a start request was not understood: %s", error)

    def _start(self, build: int, fence: int, connection: socket.socket) -> dict[str, Any]:
        if self.stopping:
            return {"busy": True}
        taken = slots.take(_slots(), settings.BUILD_SLOTS)
        if taken is None:
            return {"busy": True}
        number, descriptor = taken
        pid = os.fork()
        if pid == 0:
            self._become_agent(build, fence, number, descriptor, connection)
        os.close(descriptor)  # the agent's copy keeps the lock
        self.children[pid] = build
        return {"started": True, "pid": pid, "slot": number}

    def _become_agent(self, build: int, fence: int, slot: int, descriptor: int, connection: socket.socket) -> None:
        """Runs in the child; never returns."""
        code = 1
        try:
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            self.listener.close()
            connection.close()
            slots.sign(descriptor)
            code = agent.run(build, fence, slot)
        except BaseException:  # a forked child must never run its parent's code; say why and leave
            logger.exception("the agent of build %s broke", build)
        finally:
            logging.shutdown()
            os._exit(code)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            build = self.children.pop(pid, 0)
            if status != 0 and build:
                logger.warning("the agent of build %s ended with status %s", build, status)
                self._report_death(build)

    def _report_death(self, build: int) -> None:
        """Let the engine look now instead of when the lease runs out. A hint: failing to give it costs the lease."""
        pid = os.fork()
        if pid == 0:
            try:
                agent.report_death(build)
            except BaseException:  # same as above: a forked child only leaves
                logger.warning("could not report the death of build %s's agent", build, exc_info=True)
            finally:
                os._exit(0)

    def _stop_agents(self) -> None:
        """Also those of a host that was killed: they are nobody's children, but their slots say who they are."""
        for pid in {*self.children, *slots.holders(_slots())}:
            _kill(pid, signal.SIGTERM)
        until = time.monotonic() + STOP_S
        while (self.children or slots.holders(_slots())) and time.monotonic() < until:
            self._reap()
            time.sleep(0.05)
        for pid in {*self.children, *slots.holders(_slots())}:
            _kill(pid, signal.SIGKILL)


def _slots() -> Path:
    return Path(settings.SOCKETS_ROOT) / "slots"


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def main() -> None:
    """What the worker forks as its companion “agents”."""
    connections.close_all()
    host = Host()

    def stop(_number: int, _frame: Any) -> None:
        host.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    host.serve()
