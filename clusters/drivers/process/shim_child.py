"""Starting and ending one process for the shim: group, limits, death with its parent, nothing left behind.

Must not know about restarts, health or logs. Lean: imported by the shim.
"""

# The shim must not carry pathlib.
# ruff: noqa: PTH112, PTH118

from __future__ import annotations

import ctypes
import os
import resource
import signal

from clusters.drivers.process import procfs

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """From now on orphaned grandchildren become our children instead of init's."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class CannotStart(Exception):
    """The program could not be executed; `number` is the errno."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


def spawn(argv: list[str], env: dict[str, str], cwd: str, memory: int, fds: tuple[int, int]) -> int:
    """Fork and exec in a session of its own; stdout and stderr go to `fds`. Answers the pid, raises CannotStart."""
    report_read, report_write = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _become(argv, env, cwd, memory, fds, parent)
        except OSError as error:
            os.write(report_write, str(error.errno or 1).encode())
        finally:
            os._exit(127)
    os.close(report_write)
    answer = os.read(report_read, 16)
    os.close(report_read)
    if answer:
        os.waitpid(pid, 0)
        raise CannotStart(int(answer))
    return pid


def _become(argv: list[str], env: dict[str, str], cwd: str, memory: int, fds: tuple[int, int], parent: int) -> None:
    os.setsid()
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(127)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(fds[0], 1)
    os.dup2(fds[1], 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    os.umask(0o022)
    os.chdir(cwd)
    os.execve(program(argv[0], env, cwd), argv, env)  # noqa: S606 - argv as given, never a shell


def program(name: str, env: dict[str, str], cwd: str) -> str:
    """The file to execute: a name with a slash below `cwd`, any other from PATH. Raises FileNotFoundError."""
    if "/" in name:
        return os.path.join(cwd, name)
    for folder in env.get("PATH", os.defpath).split(":"):
        path = os.path.join(cwd, folder, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    raise FileNotFoundError(2, "not found", name)


def signal_group(pid: int, number: int) -> None:
    """Signal the whole process group that `pid` leads (it may be gone)."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def kill_descendants() -> list[tuple[int, int]]:
    """Kill everything below this process, whatever group it fled to; answer (pid, wait status) of what was reaped."""
    reaped: list[tuple[int, int]] = []
    for _ in range(200):
        below = procfs.descendants(os.getpid())
        if not below:
            break
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        reaped += reap(block=True)
    return reaped


def reap(block: bool = False) -> list[tuple[int, int]]:
    """Collect ended children: (pid, wait status). With `block` waits for at least one, if there is any."""
    found: list[tuple[int, int]] = []
    flags = 0 if block else os.WNOHANG
    while True:
        try:
            pid, status = os.waitpid(-1, flags)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append((pid, status))
        flags = os.WNOHANG
