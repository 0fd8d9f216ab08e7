"""What the kernel says about processes and TCP ports. Pure reading; knows neither the shim nor any driver.

Everything tolerates processes that vanish while they are looked at. Also imported by the shim, so it stays lean.
"""

# The shim reads /proc in its loop and must not carry pathlib.
# ruff: noqa: PTH115, PTH208

from __future__ import annotations

import os

from fangduoduo_release.common import given

ESTABLISHED = "01"
LISTEN = "0A"


def start_ticks(pid: int) -> int:
    """When the process started (clock ticks since boot): with the pid its identity for as long as the host is up.

    0 when there is no such process or only its zombie is left.
    """
    _, _, rest = given.read(f"/proc/{pid}/stat").rpartition(b")")
    fields = rest.split()
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return 0
    return int(fields[19])


def same_process(pid: int, ticks: int) -> bool:
    """True when `pid` still is the process that started at `ticks`."""
    return pid > 0 and ticks > 0 and start_ticks(pid) == ticks


def pids() -> list[int]:
    """Every process that may be seen."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def environment(pid: int) -> dict[str, str]:
    """What the process was given at exec ({} when it is gone or not ours to read)."""
    pairs = (entry.partition(b"=") for entry in given.environment(pid))
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def marked(name: bytes, value: bytes) -> list[int]:
    """Pids of living processes (not the caller) with this variable in their environment."""
    wanted = name + b"=" + value
    me = os.getpid()
    return [
        pid
        for pid in pids()
        if pid != me and start_ticks(pid) and wanted in given.environment(pid) and start_ticks(pid)
    ]


def descendants(pid: int) -> list[int]:
    """Children, grandchildren and so on, living or zombie, parents first."""
    children: dict[int, list[int]] = {}
    for other in pids():
        _, _, rest = given.read(f"/proc/{other}/stat").rpartition(b")")
        fields = rest.split()
        if len(fields) > 1:
            children.setdefault(int(fields[1]), []).append(other)
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children.get(queue.pop(0), [])
        found += below
        queue += below
    return found


def _sockets(state: str) -> list[tuple[int, str]]:
    """(local port, inode) of every TCP socket of the host in that state."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in given.read(table).decode("ascii", "replace").splitlines()[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == state:
                found.append((int(fields[1].rpartition(":")[2], 16), fields[9]))
    return found


def connections() -> dict[int, int]:
    """Local port -> established TCP connections that end there."""
    found: dict[int, int] = {}
    for port, _ in _sockets(ESTABLISHED):
        found[port] = found.get(port, 0) + 1
    return found


def listening_ports(of: list[int] | None = None) -> set[int]:
    """Ports somebody listens on; with `of`, those that one of these processes holds."""
    sockets = _sockets(LISTEN)
    if of is None:
        return {port for port, _ in sockets}
    ports = {f"socket:[{inode}]": port for port, inode in sockets}
    held = set()
    for pid in of:
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in names:
            try:
                held.add(os.readlink(f"/proc/{pid}/fd/{name}"))
            except OSError:
                continue
    return {port for link, port in ports.items() if link in held}
