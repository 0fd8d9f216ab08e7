"""Versions to deploy in tests: small real programs, packed as a build would pack them; and free ports to put them on."""

from __future__ import annotations

import fcntl
import functools
import gzip
import hashlib
import io
import random
import socket
import tarfile
from pathlib import Path
from typing import IO

from clusters.drivers.runtime.base import Artifact
from tests.portal import PORTS

OWN = 400  # ports of one process

SERVER = '''
"""Answers every GET with its version and its instance. HTTP/1.1 with keep-alive, by hand: it starts in a blink."""
import os, socket, sys, threading, time

VERSION = open("VERSION").read().strip()

def answer(path):
    if path == "/env":
        return 200, "\\n".join(f"{k}={v}" for k, v in sorted(os.environ.items()))
    if path == "/argv":
        return 200, "\\0".join(sys.argv[1:])
    if path == "/file":
        return 200, open("config/app.ini").read()
    if path == "/slow":
        while not os.path.exists("go"):
            time.sleep(0.02)
    if path == "/crash":
        os._exit(3)
    if path == "/health" and os.path.exists("sick"):
        return 500, "sick"
    return 200, f"{VERSION} {os.environ['FDD_INSTANCE']}"

def serve(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as lines:
        while request := lines.readline():
            close = False
            while (header := lines.readline()) not in (b"\\r\\n", b""):
                close = close or header.lower().startswith(b"connection: close")
            status, text = answer(request.split()[1].decode())
            data = text.encode()
            connection.sendall(f"HTTP/1.1 {status} x\\r\\nContent-Length: {len(data)}\\r\\n\\r\\n".encode() + data)
            if close:
                return

listener = socket.create_server((os.environ["HOST"], int(os.environ["PORT"])), backlog=128)
print("serving", VERSION, "on", os.environ["PORT"], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
'''


def pack(folder: Path, name: str, files: dict[str, str]) -> Artifact:
    """A tar.gz with these files and its digest."""
    path = folder / f"{name}.tar.gz"
    with gzip.GzipFile(path, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for file_name, text in files.items():
            data = text.encode()
            member = tarfile.TarInfo(file_name)
            member.size = len(data)
            member.mode = 0o755 if text.startswith("#!") else 0o644
            tar.addfile(member, io.BytesIO(data))
    return artifact(path)


def artifact(path: Path) -> Artifact:
    return Artifact(digest=f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}", archive=str(path))


def version(folder: Path, name: str) -> Artifact:
    """A version of the sample server that answers with `name`."""
    return pack(folder, name, {"server.py": SERVER, "VERSION": name})


def free_range(count: int) -> int:
    """The first of `count` neighbouring ports that are free now, below the kernel's own range and not for other tests."""
    first, _lock = _own()
    for _ in range(200):
        low = random.randrange(first, first + OWN - count + 1)
        if all(_free(low + step) for step in range(count)):
            return low
    raise AssertionError(f"no {count} free ports in a row")


@functools.cache
def _own() -> tuple[int, IO[str]]:
    """The first of the ports that are this process's alone until it ends, and what keeps them."""
    PORTS.mkdir(mode=0o700, parents=True, exist_ok=True)
    for first in range(11_000, 20_000 - OWN, OWN):  # what is above has others
        lock = (PORTS / f"{first}-{OWN}").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        return first, lock
    raise RuntimeError("the ports of every other process are taken")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
