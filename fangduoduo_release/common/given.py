"""What a process was given at its start: by the marks in its environment its owner finds it, whatever became of it since.

Read by the shims of deployed processes in their loop, so it imports next to nothing.
"""

from __future__ import annotations

import time

STARTS_WITHIN_S = 1.0


def environment(pid: int) -> list[bytes]:
    """`NAME=value` as the process `pid` got them; nothing when it is gone or not ours to read.

    One that becomes another program (execve) shows none for a moment; that moment is waited for.
    """
    end = time.monotonic() + STARTS_WITHIN_S
    while not (found := read(f"/proc/{pid}/environ")) and _starts(pid) and time.monotonic() < end:
        time.sleep(0.001)
    return [entry for entry in found.split(b"\0") if entry]


def _starts(pid: int) -> bool:
    """Whether an environment that was seen empty is not there yet, or was not then."""
    _, _, rest = read(f"/proc/{pid}/stat").rpartition(b")")
    fields = rest.split()
    if len(fields) < 49:
        return False
    memory, code, begins, ends = (int(fields[at]) for at in (20, 23, 47, 48))
    if memory == 0 or code == 1:  # a zombie or a thread of the kernel; somebody else's, of which we may see nothing
        return False
    return code == 0 or ends > begins  # where its code lies is the last that the kernel tells of a new program


def read(path: str) -> bytes:
    """A file of /proc as it is now; nothing when its process is gone."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - no pathlib in a shim
            return file.readall()
    except OSError:
        return b""
