"""The shim's loop: one process kept running, healthy and logged (what it promises stands in `shim`).

Single-threaded, around one poll: pipes, checks, signals and timers. All times inside are monotonic. Must not know what
it runs or why. Lean: imported by the shim.
"""

# The shim must not carry pathlib.
# ruff: noqa: PTH118

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import sys
import time

from clusters.drivers.process import procfs, shim_child
from clusters.drivers.process.shim_log import LogFiles, Stream
from clusters.drivers.process.shim_probe import Attempt, Check
from clusters.drivers.process.shim_status import StatusFile, fresh_status

CALM_S = 30.0
ALIVE_IS_READY_S = 0.5
DRAIN_OUTPUT_S = 1.0


class Shim:
    """The loop and the state of the one process. All times inside are monotonic."""

    def __init__(self, orders: dict, directory: str) -> None:
        self.orders = orders
        self.directory = directory
        self.logs = LogFiles(os.path.join(directory, "logs"), orders["log"]["bytes"], orders["log"]["files"])
        self.pid = 0
        self.streams: list[Stream] = []
        self.checks: dict[str, Check] = {}
        self.run_began = 0.0
        self.crashes_in_a_row = 0
        self.restart_at: float | None = None
        self.kill_at: float | None = None
        self.stopping = False
        self.finished = False
        self.owns_port = False
        self.ending_because = ""
        self.wake_read, self.wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.status_file = StatusFile(os.path.join(directory, "status.json"))
        self.status: dict = fresh_status(self.logs.position())

    def tell(self, **changes: object) -> None:
        self.status.update(changes)
        self.status_file.write(self.status)

    # --- one run of the process -------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        out_read, out_write = os.pipe2(os.O_CLOEXEC)
        err_read, err_write = os.pipe2(os.O_CLOEXEC)
        self.restart_at, self.owns_port, self.ending_because = None, False, ""
        self.run_began = now
        previous = self.status["run"] if self.status["started_at"] else None
        self.tell(run=self.logs.position(), previous_run=previous, started_at=time.time())
        try:
            self.pid = shim_child.spawn(
                self.orders["argv"], self.orders["env"], self.orders["cwd"], self.orders["memory"],
                (out_write, err_write),
            )  # fmt: skip
        except shim_child.CannotStart as error:
            self.pid = 0
            self.logs.say(f"cannot start {self.orders['argv'][0]}: {error}")
            self.tell(reason="cannot_start", detail=str(error), exit_code=127, exit_signal=None)
        finally:
            os.close(out_write)
            os.close(err_write)
        self.streams = [Stream(out_read, "stdout", self.logs), Stream(err_read, "stderr", self.logs)]
        if not self.pid:
            self.close_streams()
            self.after_end(now)
            return
        checks = self.orders["checks"]
        self.checks = {
            name: Check(checks[name], self.orders["host"], self.orders["port"], now)
            for name in ("startup", "readiness", "liveness")
            if checks.get(name)
        }
        self.tell(state="running", pid=self.pid, ticks=procfs.start_ticks(self.pid), ready=False)

    def end(self, because: str, now: float) -> None:
        """Ask the process to end; `tick` kills it when the grace is over."""
        self.ending_because = self.ending_because or because
        self.cancel_checks()
        if self.kill_at is None:
            self.kill_at = now + float(self.orders["grace_s"])
            shim_child.signal_group(self.pid, signal.SIGTERM)

    def ended(self, status: int, now: float) -> None:
        """The process itself is gone: take everything it left with it, read its last words, decide what follows."""
        code = os.waitstatus_to_exitcode(status)
        self.cancel_checks()
        shim_child.kill_descendants()
        self.close_streams()
        self.pid, self.kill_at = 0, None
        self.logs.say(f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}")
        reason = self.ending_because or self.why_it_ended()
        self.tell(
            pid=0, ticks=0, ready=False, reason=reason, detail=self.status["detail"] if self.ending_because else "",
            exit_code=code if code >= 0 else None, exit_signal=-code if code < 0 else None,
        )  # fmt: skip
        if now - self.run_began >= CALM_S:
            self.crashes_in_a_row = 0
        self.after_end(now)

    def why_it_ended(self) -> str:
        port = self.orders["port"]
        return "port_taken" if port and port in procfs.listening_ports() else "exited"

    def after_end(self, now: float) -> None:
        if self.stopping:
            self.finished = True
            return
        first, longest = self.orders["backoff_s"]
        pause = min(first * 2**self.crashes_in_a_row, longest)
        self.crashes_in_a_row = min(self.crashes_in_a_row + 1, 20)
        self.restart_at = now + pause
        self.logs.say(f"next start in {pause:g} s")
        self.tell(state="restarting", restarts=self.status["restarts"] + 1)

    def close_streams(self) -> None:
        deadline = time.monotonic() + DRAIN_OUTPUT_S
        for stream in self.streams:
            while stream.fd >= 0 and time.monotonic() < deadline and _readable(stream.fd) and stream.pump():
                continue
            stream.close()
        self.streams = []

    # --- health -----------------------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Begin the checks that are due and judge those that have a verdict."""
        if not self.pid or self.kill_at is not None:
            return
        if self.ready_by_age() and now - self.run_began >= ALIVE_IS_READY_S:
            self.tell(ready=True, ever_ready=True, reason="", detail="")
        for name, check in self.active_checks():
            if check.attempt is None and now >= check.due:
                check.begin(now, self.orders["env"], self.orders["cwd"])
            passed = check.settle(now, impatient=name == "readiness" and not self.status["ready"])
            if passed is not None:
                self.judge(name, check, passed, now)

    def active_checks(self) -> list[tuple[str, Check]]:
        """Start-up alone until it passed once, then the other two."""
        startup = self.checks.get("startup")
        names = ("startup",) if startup and not startup.passing else ("readiness", "liveness")
        return [(name, self.checks[name]) for name in names if name in self.checks]

    def ready_by_age(self) -> bool:
        """Without a readiness or start-up check a process that lives for a moment counts as ready."""
        checked = "readiness" in self.checks or "startup" in self.checks
        return bool(self.pid) and self.kill_at is None and not checked and not self.status["ready"]

    def judge(self, name: str, check: Check, passed: bool, now: float) -> None:
        if passed and name == "readiness" and not self.listens_itself():
            passed, check.detail = False, "another process answers on the port"
        if passed:
            check.passing = True
            if name == "readiness" or (name == "startup" and "readiness" not in self.checks):
                self.tell(ready=True, ever_ready=True, reason="", detail="")
            return
        given_up = check.failures >= check.threshold
        if name == "readiness":
            if given_up or not self.status["ready"]:
                check.passing = False
                self.tell(ready=False, reason="not_ready", detail=check.detail)
        elif given_up:
            self.logs.say(f"{name} check failed {check.failures} times: {check.detail}")
            self.tell(ready=False, detail=check.detail)
            self.end(name, now)

    def listens_itself(self) -> bool:
        """Once per run: is it our process that answers, and not a stranger on the same port?"""
        port = self.orders["port"]
        if not port or self.owns_port:
            return True
        if port in procfs.listening_ports() and port not in procfs.listening_ports(procfs.descendants(os.getpid())):
            self.tell(reason="port_taken")
            return False
        self.owns_port = True
        return True

    def cancel_checks(self) -> None:
        for check in self.checks.values():
            check.cancel()
        self.checks = {}

    # --- the loop ---------------------------------------------------------------------------------------------

    def attempts(self) -> list[Attempt]:
        return [check.attempt for check in self.checks.values() if check.attempt is not None]

    def timeout_ms(self, now: float) -> int:
        times = [check.due for _, check in self.active_checks() if check.attempt is None]
        times += [attempt.deadline for attempt in self.attempts()]
        times += [at for at in (self.restart_at, self.kill_at) if at is not None]
        if self.ready_by_age():
            times.append(self.run_began + ALIVE_IS_READY_S)
        return int(max(0.0, min(times) - now) * 1000) + 1 if times else -1

    def run(self) -> None:
        signal.set_wakeup_fd(self.wake_write)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, _noted)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.start(time.monotonic())
        while not self.finished:
            self.once()
        self.tell(state="stopped", ready=False)

    def once(self) -> None:
        poller = select.poll()
        poller.register(self.wake_read, select.POLLIN)
        streams = {stream.fd: stream for stream in self.streams if stream.fd >= 0}
        attempts = {attempt.fd: attempt for attempt in self.attempts() if attempt.fd >= 0}
        for fd in streams:
            poller.register(fd, select.POLLIN)
        for fd, attempt in attempts.items():
            poller.register(fd, attempt.events)
        ready = [fd for fd, _ in poller.poll(self.timeout_ms(time.monotonic()))]
        now = time.monotonic()
        for fd in ready:
            if fd in streams:
                streams[fd].pump()
            elif fd in attempts:
                attempts[fd].step(now)
        if self.wake_read in ready:
            self.wake(os.read(self.wake_read, 512), now)
        self.look(now)
        if self.kill_at is not None and now >= self.kill_at and self.pid:
            self.logs.say("did not end in time and is killed")
            for pid, status in shim_child.kill_descendants():
                self.reaped(pid, status, now)
        if self.restart_at is not None and now >= self.restart_at and not self.stopping:
            self.start(now)

    def wake(self, signals: bytes, now: float) -> None:
        for pid, status in shim_child.reap():
            self.reaped(pid, status, now)
        if {signal.SIGTERM, signal.SIGINT} & set(signals) and not self.stopping:
            self.stopping = True
            self.tell(state="stopping", ready=False)
            if self.pid:
                self.end("stopped", now)
            else:
                self.finished = True

    def reaped(self, pid: int, status: int, now: float) -> None:
        for attempt in self.attempts():
            attempt.ended(pid, status)
        if pid == self.pid:
            self.ended(status, now)


def _noted(number: int, frame: object) -> None:
    """The wake-up pipe already carries the signal's number."""


def _readable(fd: int) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))


def main(directory: str, lock_fd: int) -> int:
    """Read the orders, daemonise, answer 0 to the caller once the status is written."""
    orders = json.loads(sys.stdin.buffer.read())
    told_read, told_write = os.pipe2(os.O_CLOEXEC)
    if os.fork():
        os.close(told_write)
        return 0 if os.read(told_read, 1) else 1
    os.set_inheritable(lock_fd, False)
    fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    shim_child.become_subreaper()
    shim = Shim(orders, directory)
    shim.tell()
    os.write(told_write, b"1")
    os.close(told_write)
    shim.run()
    return 0
