"""`python -m benchmarks.informers.server`: an API server with many pods that does what stdin says, one JSON object a line.

A process of its own, so that its processor time is not that of anything measured. Its pods are those of a recording, so
that they are as large as a real server's (5 KB with managedFields).
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import orjson

from clusters.drivers.runtime.kubernetes.names import PODS, SERVICE
from tests.clusters.informers.raw import RawServer
from tests.simulators.recordings import KUBERNETES, read

SERVICES, NAMESPACES = 100, 20
SAMPLE = "watch-pods-rolling-update.txt"


class Commands:
    """One method a command; what it returns is the answer."""

    def __init__(self, server: RawServer) -> None:
        self._server = server
        server.bookmark_s = 60.0
        self._pattern = _sample(KUBERNETES / SAMPLE)
        self._count = 0
        self._over = threading.Event()
        self._sent = 0

    def hello(self) -> dict[str, Any]:
        return {"url": self._server.url, "bytes": len(self._pattern)}

    def pods(self, count: int) -> None:
        """So many in all."""
        self._server.put_many(self._pod(number) for number in range(self._count, count))
        self._count = count

    def change(self, rate: float) -> None:
        """From now on so many changes a second, spread over all pods; 0: none."""
        self._over.set()
        self._over = threading.Event()
        if rate:
            threading.Thread(target=self._change, args=(rate, self._over), daemon=True).start()

    def touch(self) -> dict[str, Any]:
        """Change one pod that nothing else changes; its version and when."""
        item = self._server.put(self._pod(0))
        return {"name": item["metadata"]["name"], "version": item["metadata"]["resourceVersion"], "at": time.time()}

    def cut(self, every: float) -> None:
        """Watches are cut after so long; 0: never."""
        self._server.watch_s = every or None

    def versions(self) -> dict[str, str]:
        return self._server.versions(PODS)

    def asked(self) -> int:
        return len(self._server.requests)

    def _change(self, rate: float, over: threading.Event) -> None:
        begun, done = time.monotonic(), 0
        while not over.wait(0.01):
            due = int((time.monotonic() - begun) * rate)
            if due > done:
                self._server.put_many(
                    self._pod(1 + (self._sent + n) * 7 % (self._count - 1)) for n in range(due - done)
                )
                self._sent += due - done
                done = due

    def _pod(self, number: int) -> dict[str, Any]:
        item: dict[str, Any] = orjson.loads(self._pattern)
        item["metadata"] |= {
            "name": f"web-{number % SERVICES}-{number}",
            "namespace": f"team-{number % NAMESPACES}",
            "uid": f"84f5fdbb-0eaf-459e-9e97-{number:012d}",
        }
        item["metadata"]["labels"][SERVICE] = f"0f3e9c62-5f5e-4d51-9a58-{number % SERVICES:012d}"
        item["metadata"]["annotations"] = {"changed": str(time.time())}
        return item


def _sample(file: Path) -> bytes:
    """A pod as a real server sends it."""
    for line in read(file).body.splitlines():
        if line.startswith('{"type":"MODIFIED"'):
            return orjson.dumps(orjson.loads(line)["object"])
    raise RuntimeError(f"no pod in {file}")


def main() -> None:
    with RawServer() as server:
        commands = Commands(server)
        for line in sys.stdin:
            given = json.loads(line)
            answer = getattr(commands, given.pop("do"))(**given)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
