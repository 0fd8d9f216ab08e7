"""The shim's log: what a process writes, line by line with time and stream, in files that are rotated by size.

Format, as in Kubernetes' own files: `2026-11-23T22:44:24.123456Z stdout F text`, with P for a piece of a line longer
than 16 KiB. Files are numbered upwards and never renamed, so (number, offset) names a place for good.
Must not know why a process runs. Lean: imported by the shim.
"""

# The shim must not carry pathlib.
# ruff: noqa: PTH103, PTH108, PTH118, PTH208

from __future__ import annotations

import os
import time

LONGEST = 16 * 1024


class LogFiles:
    """Appends to `directory/<number>.log`. A full disk loses lines (counted in `lost`), never the process."""

    def __init__(self, directory: str, max_bytes: int, max_files: int) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self.max_files = max_files
        self.lost = 0
        os.makedirs(directory, mode=0o700, exist_ok=True)
        numbers = [int(name[:-4]) for name in os.listdir(directory) if name.endswith(".log") and name[:-4].isdigit()]
        self.number = max(numbers, default=0)
        self.fd = -1
        self.size = 0
        self._open(self.number + 1)

    def _open(self, number: int) -> None:
        path = os.path.join(self.directory, f"{number:08d}.log")
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if self.fd >= 0:
            os.close(self.fd)
        self.fd, self.number, self.size = fd, number, 0
        for name in os.listdir(self.directory):
            stem = name[:-4]
            if name.endswith(".log") and stem.isdigit() and int(stem) <= number - self.max_files:
                os.unlink(os.path.join(self.directory, name))

    def append(self, data: bytes) -> None:
        """Write whole formatted lines; what does not fit goes to the next file."""
        try:
            while data:
                cut = self._fitting(data)
                if not cut:
                    self._open(self.number + 1)
                    continue
                self.size += os.write(self.fd, data[:cut])
                data = data[cut:]
        except OSError:
            self.lost += data.count(b"\n")

    def _fitting(self, data: bytes) -> int:
        """How many bytes of whole lines this file takes; an empty file takes one line of any length."""
        room = self.max_bytes - self.size
        if len(data) <= room:
            return len(data)
        cut = data.rfind(b"\n", 0, max(room, 0)) + 1
        return cut if cut or self.size else data.find(b"\n") + 1 or len(data)

    def say(self, text: str) -> None:
        """A line of the shim's own."""
        self.append(b"%s system F %s\n" % (stamp(), text.encode("utf-8", "replace").replace(b"\n", b" ")))

    def position(self) -> list[int]:
        return [self.number, self.size]


class Stream:
    """One pipe of the process: cuts bytes into lines and gives them to the files."""

    def __init__(self, fd: int, name: str, files: LogFiles) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.name = name.encode()
        self.files = files
        self.rest = b""

    def pump(self) -> bool:
        """Read what is there. False at the end of the stream, which is then closed."""
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            self.close()
            return False
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        head = stamp() + b" " + self.name
        out = [self._line(head, line) for line in lines]
        while len(self.rest) >= LONGEST:
            out.append(head + b" P " + self.rest[:LONGEST] + b"\n")
            self.rest = self.rest[LONGEST:]
        if out:
            self.files.append(b"".join(out))
        return True

    def _line(self, head: bytes, line: bytes) -> bytes:
        pieces = []
        while len(line) > LONGEST:
            pieces.append(head + b" P " + line[:LONGEST] + b"\n")
            line = line[LONGEST:]
        return b"".join(pieces) + head + b" F " + line + b"\n"

    def close(self) -> None:
        if self.fd < 0:
            return
        if self.rest:
            self.files.append(self._line(stamp() + b" " + self.name, self.rest))
            self.rest = b""
        os.close(self.fd)
        self.fd = -1


def stamp() -> bytes:
    """Now, in UTC with microseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode() + b".%06dZ" % (nanoseconds // 1000)
