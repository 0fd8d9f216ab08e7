"""Finds and ends every process of a build, also those that left its process groups (setsid, nohup, double fork).

A build's processes carry `FDD_BUILD_KEY=<key>` in their first environment; children that dropped it are found as
descendants or members of the same session. Used when a build ends and by the portal's reconciler after a crash.
Linux only (/proc, pidfd). Never touches this process, its ancestors, or another uid's processes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass

from fangduoduo_release.common import given

BUILD_KEY = "FDD_BUILD_KEY"
STEP_KEY = "FDD_BUILD_STEP"
_PR_SET_CHILD_SUBREAPER = 36
_DIES_WITHIN_S = 10.0
_ROUNDS = 50  # whom so many signals in so long do not end waits in the kernel for something else


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    parent: int
    session: int
    state: str
    started: str
    memory: int  # 0 for zombies and threads of the kernel


def become_subreaper() -> bool:
    """Let orphans of this process's descendants become its own children, so that nothing escapes by a double fork.

    For a process that serves one build and then ends. False where the kernel does not offer it."""
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def build_pids(key: str) -> set[int]:
    """The live processes of this build (zombies left out)."""
    return _matching({BUILD_KEY: key}, None, {})


def kill_build(key: str, *, grace: float = 3.0, descendants_of: int | None = None) -> int:
    """SIGTERM to every process of the build, after `grace` seconds SIGKILL until none is left. How many there were.

    `descendants_of`: a process (the agent after `become_subreaper`) all of whose descendants belong to this build."""
    return kill_matching({BUILD_KEY: key}, grace=grace, descendants_of=descendants_of)


def kill_matching(marks: Mapping[str, str], *, grace: float, descendants_of: int | None = None) -> int:
    """As `kill_build`, for processes that carry all of `marks` in their environment."""
    ever: dict[int, str] = {}
    found = _matching(marks, descendants_of, ever)
    if found and grace > 0:
        _signal(found, signal.SIGTERM)
        end = time.monotonic() + grace
        while found and time.monotonic() < end:
            time.sleep(0.02)
            found = _matching(marks, descendants_of, ever)
    rounds, end = 0, time.monotonic() + _DIES_WITHIN_S
    while found and (rounds < _ROUNDS or time.monotonic() < end):
        rounds += 1
        # Frozen first, so that a fork bomb cannot outrun the killing.
        _signal(found, signal.SIGSTOP)
        _signal(found, signal.SIGKILL)
        time.sleep(0.01)
        found = _matching(marks, descendants_of, ever)
    return len(ever)


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            signal.pidfd_send_signal(handle, number)
        except OSError:
            continue
        finally:
            os.close(handle)


def _matching(marks: Mapping[str, str], descendants_of: int | None, ever: dict[int, str]) -> set[int]:
    """`ever`: whom earlier looks found, with their start, to be added to; what led to them may have ended since."""
    wanted = {f"{name}={value}".encode() for name, value in marks.items()}
    table = _table()
    spared = _ancestors(table, os.getpid())
    chosen = {
        p
        for p in table.keys() - spared
        if ever.get(p) == table[p].started or (table[p].memory and wanted <= set(given.environment(p)))
    }
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    own_session = os.getsid(0)
    sessions = {table[p].session for p in chosen} - {own_session, 0}
    # A session belongs to the build only when its leader does or is gone: a person's login shell never does.
    sessions = {s for s in sessions if s in chosen or s not in table}
    waiting = [*chosen, *(p.pid for p in table.values() if p.session in sessions)]
    if descendants_of is not None:
        waiting += children.get(descendants_of, [])
    while waiting:
        pid = waiting.pop()
        if pid in spared:
            continue
        if pid not in chosen or children.get(pid):
            chosen.add(pid)
            waiting += [c for c in children.pop(pid, []) if c not in chosen]
    living = {p for p in chosen if table[p].state not in "ZX"}
    ever.update((p, table[p].started) for p in living)
    return living


def _table() -> dict[int, _Process]:
    uid = os.getuid()
    table = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - a plain list of names is what is wanted
        if not name.isdigit():
            continue
        try:
            if os.stat(f"/proc/{name}").st_uid != uid:  # noqa: PTH116
                continue
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        parent, session, memory = (int(fields[at]) for at in (1, 3, 20))
        table[int(name)] = _Process(int(name), parent, session, fields[0].decode(), fields[19].decode(), memory)
    return table


def _ancestors(table: Mapping[int, _Process], pid: int) -> set[int]:
    found = {pid, 1}
    while pid in table and table[pid].parent not in found:
        pid = table[pid].parent
        found.add(pid)
    return found | {0}


def running_keys(marks: Mapping[str, str]) -> set[str]:
    """The keys of all builds with live processes that carry `marks` (which portal they belong to)."""
    prefix = f"{BUILD_KEY}=".encode()
    wanted = {f"{name}={value}".encode() for name, value in marks.items()}
    found = set()
    for pid, process in _table().items():
        environment = set(given.environment(pid)) if process.memory else set()
        if wanted <= environment:
            found |= {entry[len(prefix) :].decode() for entry in environment if entry.startswith(prefix)}
    return found
