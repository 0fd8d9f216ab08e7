"""`python -m benchmarks.remote.server`: a simulated Jenkins that does what stdin says, one JSON object a line.

A process of its own, so that neither its processor time nor its lock is that of anything measured. Times are the
machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from tests.simulators.jenkins import Jenkins
from tests.simulators.jenkins.answers import Answer, Request
from tests.simulators.jenkins.runs import Run
from tests.simulators.jenkins.values import Value

PARAMETERS = {
    "FDD_REPOSITORY": "http://portal.example/git/some-project.git",
    "FDD_REF": "refs/heads/main",
    "FDD_COMMIT": "3f786850e387550fdab836ed7e6dc881de23001b",
    "IMAGE": "registry.example:5000/team/some-project:main-42",
    "REGISTRY": "registry.example:5000",
    "REGISTRY_USER": "pusher",
}


class Timed(Jenkins):
    """Knows when it gave its answers, too."""

    def __init__(self) -> None:
        super().__init__(quiet_period=0)
        self.answered: list[tuple[str, int, float]] = []

    def answer(self, request: Request) -> Answer:
        found = super().answer(request)
        if request.method == "POST":
            self.answered.append((request.path, found.status, time.monotonic()))
        return found


class Commands:
    """One method a command; what it returns is the answer."""

    def __init__(self, jenkins: Timed) -> None:
        self._jenkins = jenkins

    def hello(self) -> dict[str, Any]:
        return {"url": self._jenkins.url, "user": self._jenkins.user, "token": self._jenkins.token}

    def adopt(self, job: str = "") -> None:
        """What is triggered there begins and waits to be ended."""
        self._jenkins.synthetic.adopt(job)

    def begin(self, builds: list[tuple[str, str]]) -> list[tuple[int, int]]:
        """Builds that run, by job and key, with the parameters a real one has; (number, queue id) of each."""
        found = []
        for job, key in builds:
            (run,) = self._jenkins.fake_running(job, 1, {"FDD_BUILD_KEY": key, **PARAMETERS})
            self._jenkins.synthetic.stage(run, "Checkout", "SUCCESS")
            self._jenkins.synthetic.stage(run, "Build")
            found.append((run.number, run.queue_id))
        return found

    def wait(self, builds: list[tuple[str, str]]) -> list[int]:
        """Builds that wait in the queue until they are let go; the queue id of each."""
        self.adopt()
        queue = self._jenkins.queue
        queue.held = True
        found = []
        for job, key in builds:
            given = tuple(Value("string", name, text) for name, text in {"FDD_BUILD_KEY": key, **PARAMETERS}.items())
            found.append(queue.schedule(self._jenkins.job(job), given, self._jenkins.user, 0)[0].id)
        return found

    def let_go(self) -> float:
        """When all that waited began."""
        self._jenkins.queue.held = False
        self._jenkins.queue.wake()
        return time.monotonic()

    def end(self, builds: list[tuple[str, int, str]]) -> list[float]:
        """When each of them ended."""
        times = []
        for job, number, result in builds:
            times.append(time.monotonic())
            self._jenkins.end(self._jenkins.run(job, number), result)
        return times

    def write(self, job: str, number: int, lines: int, every: float) -> None:
        """Lines with the time in them, from now on, then the build's end."""
        run = self._jenkins.run(job, number)
        threading.Thread(target=self._write, args=(run, lines, every), daemon=True).start()

    def _write(self, run: Run, lines: int, every: float) -> None:
        due = time.monotonic()
        for line in range(lines):
            due += every
            time.sleep(max(0.0, due - time.monotonic()))
            self._jenkins.append_log(run, f"line {line} stamp {time.time_ns() // 1_000_000}\n")
        time.sleep(3.0)  # its viewers read the last line as one of a log that goes on
        self._jenkins.end(run)

    def asked(self, pattern: str = "", since: float = 0.0) -> list[tuple[str, float]]:
        return [(asked.line, asked.at) for asked in self._jenkins.requests.matching(pattern) if asked.at >= since]

    def answered(self, path: str) -> list[tuple[int, float]]:
        """(status, when) of the POSTs to an address that ends so."""
        return [(status, at) for asked, status, at in self._jenkins.answered if asked.endswith(path)]

    def clear(self) -> None:
        self._jenkins.requests.clear()
        self._jenkins.answered.clear()


def main() -> None:
    with Timed() as jenkins:
        commands = Commands(jenkins)
        for line in sys.stdin:
            given = json.loads(line)
            answer = getattr(commands, given.pop("do"))(**given)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
