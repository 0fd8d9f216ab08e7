"""What a pod runs when pods are real: an HTTP server that says who it is, and ends as most do when asked to.

`python podserver.py VERSION [--deaf] [--seconds 0.005]`: it binds a port of its own and says which in its first line.
On SIGTERM it listens no more, answers what it has begun, and goes. It imports little, so that it starts quickly.
"""

import asyncio
import os
import signal
import sys

SECONDS = 0.005


async def main() -> None:
    version, words = sys.argv[1], sys.argv[2:]
    seconds = float(words[words.index("--seconds") + 1]) if "--seconds" in words else SECONDS
    body = f"{version} {os.environ.get('HOSTNAME', '')}\n".encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n".encode()
    busy: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                task = asyncio.current_task()
                assert task is not None
                busy.add(task)
                await asyncio.sleep(seconds)
                closing = b"connection: close" in asked.lower()
                writer.write(head + (b"Connection: close\r\n\r\n" if closing else b"\r\n") + body)
                await writer.drain()
                busy.discard(task)
                if closing:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=256)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    asked_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, (lambda: None) if "--deaf" in words else asked_to_end.set)
    await asked_to_end.wait()
    print("asked to end", flush=True)
    server.close()
    if busy:
        await asyncio.wait(busy, timeout=8)
    os._exit(0)


asyncio.run(main())
