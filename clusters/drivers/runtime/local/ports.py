"""A free port for each new instance, out of a range, never one that another instance holds or has just left.

Must not know what listens there.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from fangduoduo_release.common.errors import Unavailable
from fangduoduo_release.common.sentence import S

T = TypeVar("T")


def with_free_ports(
    root: Path, host: str, low: int, high: int, count: int, used: Callable[[], Collection[int]],
    record: Callable[[list[int]], T],
) -> T:  # fmt: skip
    """Pick `count` ports and call `record` with them while nobody else picks. Raises Unavailable when none are left.

    Goes round the range, so that a port rests for long after its instance left.
    """
    fd = os.open(root / "ports.next", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        text = os.read(fd, 16).decode("ascii", "replace").strip()
        begin = int(text) if text.isdigit() and low <= int(text) <= high else low
        taken = set(used())
        found: list[int] = []
        for step in range(high - low + 1):
            port = low + (begin - low + step) % (high - low + 1)
            if len(found) < count and port not in taken and is_free(host, port):
                found.append(port)
        if len(found) < count:
            raise Unavailable(
                S("No port between %(low)d and %(high)d is free for another instance.", low=low, high=high),
                code="no_port",
            )
        os.pwrite(fd, f"{(found or [begin])[-1] + 1:<15d}".encode(), 0)
        return record(found)
    finally:
        os.close(fd)


def is_free(host: str, port: int) -> bool:
    """Whether one can listen there now (sockets in TIME_WAIT do not count)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True
