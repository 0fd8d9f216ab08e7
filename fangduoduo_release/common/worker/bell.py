"""A bell beside the broker: a datagram tells this host's idle queues to look now instead of at their next poll.

Only a courtesy. A lost datagram, a full buffer or another host costs half a second, never a run.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from functools import cache
from pathlib import Path

from django.conf import settings


def _folder() -> Path:
    return Path(settings.SOCKETS_ROOT) / "bells"


@cache
def _clapper() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)


def ring() -> None:
    """Wake every queue that listens on this host. Never blocks, never raises OSError."""
    with contextlib.suppress(OSError):
        folder = os.open(_folder(), os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in os.listdir(folder):  # noqa: PTH208 - of this descriptor
                _ring_one(folder, name)
        finally:
            os.close(folder)


def _ring_one(folder: int, name: str) -> None:
    try:
        # Through /proc: a socket's own path may have only 107 bytes, the data folder's may be longer.
        _clapper().sendto(b"!", f"/proc/self/fd/{folder}/{name}")
    except ConnectionRefusedError:  # its listener is dead
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
    except OSError:  # full: it will look anyway
        pass


class Bell:
    """A listener's end; one per process."""

    def __init__(self) -> None:
        folder = _folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with contextlib.suppress(FileNotFoundError):
                (folder / str(os.getpid())).unlink()  # of a dead process that had this pid
            self._socket.bind(f"/proc/self/fd/{descriptor}/{os.getpid()}")
        finally:
            os.close(descriptor)

    def wait(self, timeout: float) -> bool:
        """Sleep until rung, at most `timeout` seconds; many rings are one."""
        rung = bool(select.select([self._socket], [], [], timeout)[0])
        with contextlib.suppress(BlockingIOError):
            while rung:
                self._socket.recv(16)
        return rung
