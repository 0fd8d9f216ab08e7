"""Keep web, worker and watch running side by side in one terminal: what `make run` leaves in the foreground.

Standard library only and no Django: `manage.py serve` prepares everything and then becomes this process, which stays
in memory as long as the portal runs and should cost next to nothing. One thread, one loop. It must not know what its
children do; it starts them, shows their lines, starts them again when they die and stops them in order.

If this process itself is killed, its children are told by the kernel and stop; deployed services go on and are
adopted at the next start.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import http.client
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from . import welcome

ROOT = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1
CONFIGURATION_REFUSED = 78  # EX_CONFIG: starting again would not help
STEADY_S = 30.0  # who lived so long starts with a fresh patience
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 4.0)  # never so long that work waits for more than its lease and a little
# Everything together; what the children leave of it is for stopping the deployed services.
STOP_S = float(os.environ.get("FDD_STOP_S") or 9.5)
GRACE_S = {role: share * STOP_S / 9.5 for role, share in {"web": 2.0, "worker": 3.5, "watch": 3.5}.items()}
LONGEST_LINE = 8192
COLOURS = {"web": "36", "worker": "33", "watch": "35", "portal": "32"}
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Child:
    """One supervised process; `start_at` is when to start it (again), None while it runs."""

    role: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    start_at: float | None = 0.0
    started: float = 0.0
    deaths: int = 0
    rest: bytes = b""  # the beginning of a line that has not ended yet
    stopping: bool = field(default=False)


class Terminal:
    """Prefixed lines, coloured when somebody looks at them. A closed terminal is no reason to die."""

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def line(self, role: str, text: str) -> None:
        prefix = f"{role:<6} │ "
        if self._colour:
            prefix = f"\033[{COLOURS.get(role, '37')}m{prefix}\033[0m"
        self.write(f"{prefix}{text}\n")

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.write(text)
            sys.stdout.flush()


def die_with(parent: int) -> None:
    """In a new child: ask the kernel for SIGTERM when the supervisor is gone."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


class Supervisor:
    """`run()` returns the exit code: 0 after a stop that was asked for, 78 when a child refuses its configuration."""

    def __init__(self, *, var: Path, port: int, roles: list[str], first_start: bool, hook: bool) -> None:
        self.var, self.port, self.first_start, self.hook = var, port, first_start, hook
        self.terminal = Terminal()
        self.children = [Child(role, command) for role, command in self.commands().items() if role in roles]
        self.selector = selectors.DefaultSelector()
        self.asked = 0  # how often we were told to stop
        self.code = 0
        self.ready = False
        self._next_look = 0.0

    def commands(self) -> dict[str, list[str]]:
        daphne = ["-m", "projects.git_http.daphne_server", "-v", "0", "-b", "127.0.0.1", "-p", str(self.port)]
        return {
            "web": [sys.executable, *daphne, "--no-server-name", "fangduoduo_release.asgi:application"],
            "worker": [sys.executable, "manage.py", "worker"],
            "watch": [sys.executable, "manage.py", "watch"],
        }

    def run(self) -> int:
        self._listen_to_signals()
        while not self.asked:
            now = time.monotonic()
            for child in self.children:
                if child.start_at is not None and now >= child.start_at:
                    self._start(child)
            self._pump(self._nap())
            self._collect()
            self._look_if_ready()
        self._stop_all()
        return self.code

    # --- signals --------------------------------------------------------------------------------------------------
    def _listen_to_signals(self) -> None:
        ear, mouth = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._asked_to_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.selector.register(ear, selectors.EVENT_READ, None)

    def _asked_to_stop(self, number: int, _frame: object) -> None:
        self.asked += 1

    # --- children -------------------------------------------------------------------------------------------------
    def _start(self, child: Child) -> None:
        parent = os.getpid()
        environment = {
            **os.environ,
            "FDD_PROCESS": child.role,
            "PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
            "MALLOC_ARENA_MAX": "2",  # threads would otherwise hold tens of MB of empty arenas
        }
        child.process = subprocess.Popen(
            child.command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only us; we stop them in order
            preexec_fn=lambda: die_with(parent),
        )
        output = self._output(child)
        os.set_blocking(output.fileno(), False)
        self.selector.register(output, selectors.EVENT_READ, child)
        child.start_at, child.started, child.rest = None, time.monotonic(), b""
        self._write_state()

    @staticmethod
    def _output(child: Child) -> IO[bytes]:
        if child.process is None or child.process.stdout is None:
            raise RuntimeError(f"{child.role} was not started")
        return child.process.stdout

    def _nap(self) -> float:
        waits = [child.start_at - time.monotonic() for child in self.children if child.start_at is not None]
        return max(0.01, min([*waits, 1.0 if self.ready else 0.1]))

    def _pump(self, timeout: float) -> None:
        """Wait for output or a signal and show what came."""
        for key, _ in self.selector.select(timeout):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(key.fd, 512)
                continue
            self._show(key.data)

    def _show(self, child: Child) -> None:
        output = self._output(child)
        try:
            data = os.read(output.fileno(), 65536)
        except BlockingIOError:
            return
        if not data:
            self.selector.unregister(output)
            output.close()
            data = b"\n" if child.rest else b""
        *lines, child.rest = (child.rest + data).split(b"\n")
        if len(child.rest) > LONGEST_LINE:
            lines, child.rest = [*lines, child.rest], b""
        for line in lines:
            self.terminal.line(child.role, line.decode("utf-8", "replace"))

    def _collect(self) -> None:
        """Notice who died and plan when to start it again."""
        for child in self.children:
            process = child.process
            if process is None or process.poll() is None:
                continue
            self._forget(child)
            if child.stopping or self.asked:
                continue
            lived = time.monotonic() - child.started
            if process.returncode == CONFIGURATION_REFUSED:
                self.terminal.line("portal", f"{child.role} refuses this configuration; the reason stands above.")
                self.asked, self.code = 1, CONFIGURATION_REFUSED
                continue
            child.deaths = 0 if lived > STEADY_S else child.deaths
            delay = BACKOFF_S[min(child.deaths, len(BACKOFF_S) - 1)]
            child.deaths += 1
            child.start_at = time.monotonic() + delay
            end = signal.Signals(-process.returncode).name if process.returncode < 0 else f"exit {process.returncode}"
            self.terminal.line("portal", f"{child.role} ended ({end}) after {lived:.0f} s; again in {delay:g} s.")

    def _forget(self, child: Child) -> None:
        """Show the last lines of a dead child and end what it left in its group."""
        process = child.process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdout is not None and not process.stdout.closed:
            self._show(child)
            if not process.stdout.closed:
                self.selector.unregister(process.stdout)
                process.stdout.close()
        child.process = None

    # --- ready ----------------------------------------------------------------------------------------------------
    def _look_if_ready(self) -> None:
        now = time.monotonic()
        if self.ready or now < self._next_look:
            return
        self._next_look = now + 0.2
        if not self._web_answers():
            return
        self.ready = True
        self._write_state()
        self.terminal.write(welcome.text(self.var, self.port, first_start=self.first_start))

    def _web_answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1.0)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _write_state(self) -> None:
        """`VAR/run/portal.json`: which process plays which role. For people, tests and the next start."""
        pids = {child.role: child.process.pid for child in self.children if child.process is not None}
        state = {"pid": os.getpid(), "port": self.port, "url": welcome.address(self.port), "ready": self.ready}
        path = self.var / "run" / "portal.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({**state, "roles": pids}) + "\n")
        fresh.replace(path)

    # --- the end --------------------------------------------------------------------------------------------------
    def _stop_all(self) -> None:
        """Web first (nothing new comes in), then worker and watch, then the services they would start again."""
        already, began = self.asked, time.monotonic()
        self.terminal.line("portal", "Stopping; Ctrl-C again to stop at once.")
        for roles in (("web",), ("worker", "watch")):
            self._stop([child for child in self.children if child.role in roles], already)
        if self.hook and self.asked == already and not self.code:
            self._stop_services(already, began + STOP_S)
        (self.var / "run" / "portal.json").unlink(missing_ok=True)
        self.terminal.line("portal", "Stopped." if self.asked == already else "Stopped at once; services may go on.")

    def _stop(self, children: list[Child], already: int) -> None:
        running = [child for child in children if child.process is not None]
        for child in running:
            child.stopping = True
            self._signal(child, signal.SIGTERM)
        deadline = time.monotonic() + max((GRACE_S[child.role] for child in running), default=0.0)
        while any(child.process for child in running):
            if time.monotonic() > deadline or self.asked > already:
                for child in running:
                    self._signal(child, signal.SIGKILL)
            self._pump(0.05)
            self._collect()

    @staticmethod
    def _signal(child: Child, number: signal.Signals) -> None:
        if child.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(child.process.pid, number)
            else:
                child.process.send_signal(number)

    def _stop_services(self, already: int, deadline: float) -> None:
        command = [sys.executable, "manage.py", "local_services", "stop"]
        hook = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True)
        while hook.poll() is None:
            if time.monotonic() > deadline or self.asked > already:
                os.killpg(hook.pid, signal.SIGKILL)
                hook.wait()
                self.terminal.line("portal", "Some services did not stop in time; the next start takes them over.")
                return
            self._pump(0.05)


def main() -> int:
    parser = argparse.ArgumentParser(description="Supervise the portal's processes (started by manage.py serve).")
    parser.add_argument("--var", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--roles", default="web,worker,watch")
    parser.add_argument("--first-start", action="store_true")
    parser.add_argument("--stop-services", action="store_true")
    chosen = parser.parse_args()
    supervisor = Supervisor(
        var=chosen.var,
        port=chosen.port,
        roles=chosen.roles.split(","),
        first_start=chosen.first_start,
        hook=chosen.stop_services,
    )
    return supervisor.run()


if __name__ == "__main__":
    raise SystemExit(main())
