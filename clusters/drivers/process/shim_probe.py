"""Health checks for the shim: non-blocking, one small state machine per check, no thread, no HTTP library.

Must not decide what a result means (that is the shim's loop). Lean: imported by the shim.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket

from clusters.drivers.process import shim_child

MOST_READ = 64 * 1024
FIRST_LOOKS_S = 0.05
FIRST_EXEC_LOOKS_S = 0.25


class Check:
    """One check over the life of a run. Times are monotonic seconds.

    Looks often while it has never passed (start-up should not wait for a period), then every `period_s`. `passing` is
    None until there was a verdict; `failures` counts in a row.
    """

    def __init__(self, spec: dict, host: str, port: int, now: float) -> None:
        self.spec = spec
        self.host = host
        self.port = int(spec.get("port") or port)
        self.period = float(spec["period_s"])
        self.threshold = int(spec["failure_threshold"])
        self.begun = now + float(spec["initial_delay_s"])
        self.due = self.begun
        self.wait = FIRST_EXEC_LOOKS_S if spec["kind"] == "exec" else FIRST_LOOKS_S
        self.passing: bool | None = None
        self.failures = 0
        self.detail = ""
        self.attempt: Attempt | None = None

    def begin(self, now: float, env: dict[str, str], cwd: str) -> None:
        timeout = now + float(self.spec["timeout_s"])
        if self.spec["kind"] == "exec":
            self.attempt = ExecAttempt(list(self.spec["command"]), env, cwd, timeout)
        else:
            path = self.spec["path"] if self.spec["kind"] == "http" else ""
            self.attempt = SocketAttempt(self.host, self.port, path, timeout)

    def settle(self, now: float, impatient: bool) -> bool | None:
        """The attempt's verdict when it has one (None: not yet); plans the next look. `impatient`: look often."""
        attempt = self.attempt
        if attempt is None:
            return None
        if attempt.verdict is None and now >= attempt.deadline:
            attempt.give_up()
        if attempt.verdict is None:
            return None
        self.attempt = None
        passed, self.detail = attempt.verdict, attempt.detail
        self.failures = 0 if passed else self.failures + 1
        if impatient and not passed:
            self.due = now + min(self.wait, self.period)
            self.wait = min(self.wait * 1.1, 1.0)
        else:
            self.due = now + self.period
        return passed

    def cancel(self) -> None:
        if self.attempt is not None and self.attempt.verdict is None:
            self.attempt.give_up()
        self.attempt = None


class Attempt:
    """One look. `verdict` is None while it is under way; `fd` and `events` are for poll (-1: none)."""

    fd = -1
    events = 0

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.verdict: bool | None = None
        self.detail = ""

    def step(self, now: float) -> None:
        """Called when the descriptor is ready."""

    def ended(self, pid: int, status: int) -> None:
        """Called for every process that ended."""

    def give_up(self) -> None:
        """Time is over."""


class SocketAttempt(Attempt):
    """TCP connect; with a path, also one GET whose status must be 200 to 399."""

    def __init__(self, host: str, port: int, path: str, deadline: float) -> None:
        super().__init__(deadline)
        self.path = path
        self.answer = b""
        self.sent = False
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self.fd, self.events = self.sock.fileno(), select.POLLOUT
        self.request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: fangduoduo-probe\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n"
        ).encode("ascii", "replace")
        number = self.sock.connect_ex((host, port))
        if number not in (0, errno.EINPROGRESS):
            self._end(False, os.strerror(number))

    def step(self, now: float) -> None:
        try:
            if not self.sent:
                self._connected()
            else:
                self._read(now)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(False, os.strerror(error.errno or 0))

    def _connected(self) -> None:
        number = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._end(False, os.strerror(number))
        elif not self.path:
            self._end(True, "")
        else:
            self.sock.send(self.request)
            self.sent, self.events = True, select.POLLIN

    def _read(self, now: float) -> None:
        """Read to the end, so that the server never sees a broken pipe; but wait only shortly once the status is known."""
        data = self.sock.recv(16384)
        knew = b"\n" in self.answer
        self.answer += data
        if not data or len(self.answer) > MOST_READ:
            self._judge()
        elif not knew and b"\n" in self.answer:
            self.deadline = min(self.deadline, now + 0.1)

    def _judge(self) -> None:
        words = self.answer.split(b"\n", 1)[0].split()
        status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
        if not words or not words[0].startswith(b"HTTP/") or not status:
            self._end(False, "no HTTP answer")
        else:
            self._end(200 <= status < 400, f"HTTP {status}")

    def give_up(self) -> None:
        if b"\n" in self.answer:
            self._judge()
        else:
            self._end(False, "timeout")

    def _end(self, passed: bool, detail: str) -> None:
        self.verdict, self.detail = passed, detail
        self.fd = -1
        self.sock.close()


class ExecAttempt(Attempt):
    """Run a command like the instance itself; exit code 0 passes."""

    def __init__(self, argv: list[str], env: dict[str, str], cwd: str, deadline: float) -> None:
        super().__init__(deadline)
        self.pid = 0
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            self.pid = shim_child.spawn(argv, env, cwd, 0, (null, null))
        except shim_child.CannotStart as error:
            self.verdict, self.detail = False, str(error)
        finally:
            os.close(null)

    def ended(self, pid: int, status: int) -> None:
        if pid == self.pid and self.verdict is None:
            code = os.waitstatus_to_exitcode(status)
            self.verdict, self.detail = code == 0, f"exit code {code}"

    def give_up(self) -> None:
        shim_child.signal_group(self.pid, signal.SIGKILL)
        self.verdict, self.detail = False, "timeout"
