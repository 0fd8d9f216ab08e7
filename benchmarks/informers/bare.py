"""`python -m benchmarks.informers.bare <url> <seconds>`: list all pods, then read and parse their watch; nothing more.

Prints the processor seconds of the list and, of the watch, the share of a core.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time

import orjson

from clusters.drivers.runtime.kubernetes.access import Access
from clusters.drivers.runtime.kubernetes.async_api import AsyncApi, lines_of
from clusters.drivers.runtime.kubernetes.listing import pages


async def read(url: str, seconds: float) -> dict[str, float]:
    async with AsyncApi(Access(server=url, token="t0ken")) as api:
        used = time.process_time()
        versions = [version async for items, version in pages(api, "/api/v1/pods") for _item in items]
        listed = time.process_time() - used
        began, used = time.monotonic(), time.process_time()
        query = {"watch": "1", "resourceVersion": versions[-1], "allowWatchBookmarks": "true"}
        with contextlib.suppress(Exception):  # however it ends, the time is over
            async with asyncio.timeout(seconds), api.open("/api/v1/pods", query) as response:
                async for line in lines_of(response):
                    orjson.loads(line)
        return {"list_s": listed, "watch": (time.process_time() - used) / (time.monotonic() - began) * 100}


def main() -> None:
    print(json.dumps(asyncio.run(read(sys.argv[1], float(sys.argv[2])))))


if __name__ == "__main__":
    main()
