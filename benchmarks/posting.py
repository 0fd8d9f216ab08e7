"""A steady stream of signed webhook deliveries in a process of its own: `python -m benchmarks.posting URL RATE SECONDS FILE`.

Open loop, every request on a connection of its own, as `benchmarks/load.py` has it. The secret is read from the environment
(BENCH_SECRET); without one a plain GET is sent, for the baseline. At the end FILE holds {"sent", "failed", "reasons",
"p50_ms", "p95_ms", "p99_ms"}. What is posted is a push that nobody here uses, told by GitHub.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import sys
import time
import uuid
from pathlib import Path

from .load import TIMEOUT_S, Stream
from .measure import percentile

PADDING = "x" * 6000  # a push of a few commits is as large


class Posts(Stream):
    def __init__(self, url: str, secret: str) -> None:
        super().__init__(url)
        self.secret = secret.encode()
        self.wanted = b"202" if secret else b"200"

    def request(self) -> bytes:
        if not self.secret:
            return f"GET {self.path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n\r\n".encode()
        repository = {"clone_url": "https://forge.example/no/such.git"}
        push = {"ref": "refs/heads/main", "before": "a" * 40, "after": "b" * 40, "repository": repository, "x": PADDING}
        body = json.dumps(push).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: {uuid.uuid4()}\r\n"
            f"X-Hub-Signature-256: sha256={hmac.new(self.secret, body, hashlib.sha256).hexdigest()}\r\n\r\n"
        )
        return head.encode() + body

    async def ask(self) -> str:
        """ "200" for the answer that is wanted, as the stream counts it."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(self.request())
            status = (await reader.read()).split(b" ", 2)[1]
            return "200" if status == self.wanted else status.decode()
        finally:
            writer.close()


async def run(posts: Posts, rate: float, seconds: float) -> None:
    tasks, began, sent = set(), time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        while sent < int(passed * rate):
            tasks.add(asyncio.create_task(posts.one()))
            sent += 1
        await asyncio.sleep(0.002)
    if tasks:
        await asyncio.wait(tasks, timeout=TIMEOUT_S + 1)


def main(url: str, rate: str, seconds: str, file: str) -> None:
    posts = Posts(url, os.environ.get("BENCH_SECRET", ""))
    asyncio.run(run(posts, float(rate), float(seconds)))
    failed = sum(posts.reasons.values())
    shares = {f"p{share}_ms": percentile(posts.taken, share / 100) * 1000 for share in (50, 95, 99)}
    facts = {"sent": len(posts.taken) + failed, "failed": failed, "reasons": dict(posts.reasons), **shares}
    Path(file).write_text(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:5])
