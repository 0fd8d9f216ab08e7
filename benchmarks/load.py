"""A steady stream of requests in a process of its own: `python -m benchmarks.load URL RATE FILE`, ended by SIGTERM.

Open loop: a slow answer does not slow the stream down. Every request has a connection of its own, as strangers have.
At the end FILE holds {"sent", "failed", "reasons", "p50_ms", "p99_ms"}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from .measure import percentile

TIMEOUT_S = 10.0


class Stream:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port, self.path = parts.hostname or "127.0.0.1", parts.port or 80, parts.path or "/"
        self.taken: list[float] = []
        self.reasons: Counter[str] = Counter()

    async def one(self) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status = await self.ask()
        except (OSError, TimeoutError, ValueError, IndexError) as error:
            self.reasons[type(error).__name__] += 1
            return
        if status == "200":
            self.taken.append(time.monotonic() - began)
        else:
            self.reasons[status] += 1

    async def ask(self) -> str:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(f"GET {self.path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
            return answer.split(b" ", 2)[1].decode()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def run(url: str, rate: float) -> Stream:
    stream, stop = Stream(url), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    tasks: set[asyncio.Task[None]] = set()
    began, sent = time.monotonic(), 0
    while not stop.is_set():
        due = int((time.monotonic() - began) * rate)
        while sent < due:
            task = asyncio.create_task(stream.one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent += 1
        await asyncio.sleep(0.005)
    if tasks:
        await asyncio.wait(tasks, timeout=TIMEOUT_S + 1)
    return stream


def main(url: str, rate: str, file: str) -> None:
    stream = asyncio.run(run(url, float(rate)))
    failed = sum(stream.reasons.values())
    facts = {
        "sent": len(stream.taken) + failed,
        "failed": failed,
        "reasons": dict(stream.reasons),
        "p50_ms": percentile(stream.taken, 0.5) * 1000,
        "p99_ms": percentile(stream.taken, 0.99) * 1000,
    }
    Path(file).write_text(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:4])
