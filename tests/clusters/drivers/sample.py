"""Versions to deploy in tests: small real programs, packed as a build would pack them; and free ports to put them on."""

from __future__ import annotations

import hashlib
import io
import random
import socket
import tarfile
from pathlib import Path

from clusters.drivers.runtime.base import Artifact

SERVER = '''
"""Answers every GET with its version, its instance and a hint at its environment. Speaks HTTP/1.1 with keep-alive."""
import os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = open("VERSION").read().strip()
STARTED = time.monotonic()

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        status, body = 200, f"{VERSION} {os.environ['FDD_INSTANCE']}"
        if self.path == "/env":
            body = "\\n".join(f"{k}={v}" for k, v in sorted(os.environ.items()))
        elif self.path == "/argv":
            body = "\\0".join(sys.argv[1:])
        elif self.path == "/file":
            body = open("config/app.ini").read()
        elif self.path == "/slow":
            time.sleep(1.0)
        elif self.path == "/health" and os.path.exists("sick"):
            status = 500
        elif self.path == "/crash":
            os._exit(3)
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

print("serving", VERSION, "on", os.environ["PORT"], flush=True)
Server((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
'''


def pack(folder: Path, name: str, files: dict[str, str]) -> Artifact:
    """A tar.gz with these files and its digest."""
    path = folder / f"{name}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
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
    """The first of `count` neighbouring ports that are free now, below the kernel's own range."""
    for _ in range(200):
        low = random.randrange(11000, 31000)
        if all(_free(low + step) for step in range(count)):
            return low
    raise AssertionError(f"no {count} free ports in a row")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
