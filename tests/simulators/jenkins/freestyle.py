"""Freestyle projects: their shell commands one after the other. Here because a folder may hold them beside pipelines."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable

from .runs import Run


class FreestyleRun:
    """One run, in a thread of its own."""

    def __init__(self, run: Run, commands: tuple[str, ...], ended: Callable[[], None]) -> None:
        self.run = run
        self._commands = commands
        self._ended = ended
        self._process: subprocess.Popen[bytes] | None = None
        run.halt = self.halt

    def start(self) -> None:
        threading.Thread(target=self._live, name=f"jenkins {self.run.path}", daemon=True).start()

    def halt(self, hard: bool) -> None:
        self.run.change(stopped=True)
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL if hard else signal.SIGTERM)

    def kill(self, words: str) -> None:
        self.run.log.line(words, annotated=False)
        self.halt(True)

    def _live(self) -> None:
        run = self.run
        for user in run.users:
            run.log.line(f"Started by user {user}")
        workspace = run.folder / "workspace"
        workspace.mkdir(parents=True, exist_ok=True)
        result = "SUCCESS"
        for command in self._commands:
            if run.stopped:
                break
            self._process = subprocess.Popen(
                ["/bin/sh", "-xec", command], cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
            assert self._process.stdout is not None
            for line in self._process.stdout:
                run.log.write(line)
            if self._process.wait() != 0:
                result = "FAILURE"
                break
        run.end("ABORTED" if run.stopped else result)
        self._ended()
