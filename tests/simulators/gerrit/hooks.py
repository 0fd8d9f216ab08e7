"""What git runs when somebody pushes: `proc-receive` for refs/for/…, `post-receive` for everything else.

A program of its own (`python hooks.py post-receive`), that asks the simulator by HTTP; so it imports nothing of it.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
from typing import Any, BinaryIO
from urllib.parse import urlsplit


def ask(kind: str, commands: list[list[str]]) -> Any:
    to = urlsplit(os.environ["SIM_HOOK"])
    connection: http.client.HTTPConnection
    if to.scheme == "https":  # the simulator's own certificate, which nobody else vouches for
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(to.hostname or "", to.port, timeout=60, context=context)
    else:
        connection = http.client.HTTPConnection(to.hostname or "", to.port, timeout=60)
    body = {"project": os.environ["SIM_PROJECT"], "user": os.environ["SIM_USER"], "commands": commands}
    connection.request("POST", f"{to.path}{kind}", json.dumps(body), {"Content-Type": "application/json"})
    return json.loads(connection.getresponse().read())


def packets(stream: BinaryIO) -> list[str]:
    """The lines up to a flush."""
    found = []
    while (size := int(stream.read(4) or b"0", 16)) > 4:
        found.append(stream.read(size - 4).decode().rstrip("\n"))
    return found


def send(stream: BinaryIO, *lines: str) -> None:
    for line in lines:
        raw = line.encode()
        stream.write(b"%04x%s" % (len(raw) + 4, raw))
    stream.write(b"0000")
    stream.flush()


def proc_receive(source: BinaryIO, sink: BinaryIO) -> None:
    options = "push-options" in (packets(source) or [""])[0]
    send(sink, "version=1\0push-options" if options else "version=1")
    commands = [line.split(" ", 2) for line in packets(source)]
    if options:
        packets(source)
    answer = ask("proc-receive", commands)
    for line in answer["said"]:
        print(line, file=sys.stderr)
    send(sink, *answer["results"])


def main() -> None:
    if sys.argv[1] == "proc-receive":
        proc_receive(sys.stdin.buffer, sys.stdout.buffer)
    else:
        ask("post-receive", [line.split() for line in sys.stdin])


if __name__ == "__main__":
    main()
