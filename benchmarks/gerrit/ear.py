"""What is compared with: somebody who only listens. `python -m benchmarks.gerrit.ear < facts` writes "time commit" a line.

Facts: one JSON object as `server.Commands.hello` gives it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import asyncssh


async def listen(config: dict[str, Any], secrets: dict[str, Any]) -> None:
    async with asyncssh.connect(
        config["ssh_host"],
        config["ssh_port"],
        username=config["username"],
        client_keys=[asyncssh.import_private_key(secrets["ssh_key"])],
        known_hosts=asyncssh.import_known_hosts(config["known_hosts"]),
        config=None,
    ) as connection:
        process = await connection.create_process("gerrit stream-events", stdin=asyncssh.DEVNULL, encoding=None)
        async for line in process.stdout:
            now = time.time()
            told = json.loads(line).get("refUpdate")
            if told:
                sys.stdout.write(f"{now} {told['newRev']}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    facts = json.loads(sys.stdin.readline())
    asyncio.run(listen(facts["config"], facts["secrets"]))
