"""A real server for the tests: git over HTTP on uvicorn or daphne, with two people, and switches made of files.

`python -m tests.projects.git.serve <uvicorn|daphne|plain-daphne> <root>` prints its port. In `<root>`: `pushes.log` gets
a JSON line per takeover, `admitted` a line for each request that somebody may make; while `hold` exists a takeover waits;
while `fail` exists it raises; `tiny` limits pushes to 1 MiB.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fangduoduo_release.common.errors import Denied, NotFound
from fangduoduo_release.common.sentence import S
from projects.git_http.app import GitHttp
from projects.git_http.backend import Limits
from projects.git_http.pushes import RefUpdate

PEOPLE = {"dev": "right horse", "guest": "only looking", "stranger": "nobody"}


def build(root: Path) -> GitHttp:
    repositories = root / "repositories"

    async def authenticate(header: str) -> str | None:
        kind, _, value = header.partition(" ")
        if kind.lower() != "basic":
            return None
        name, _, password = base64.b64decode(value).decode().partition(":")
        return name if PEOPLE.get(name) == password else None

    async def authorize(actor: Any, slug: str, verb: str) -> Path:
        path = repositories / f"{slug}.git"
        if actor == "stranger" or not path.is_dir():
            raise NotFound(S("There is no such project, or you may not see it."))
        if verb == "push" and actor == "guest":
            raise Denied(S("You may read %(slug)s but not push to it; ask an owner.", slug=slug), rule="push")
        with (root / "admitted").open("a") as log:
            log.write(f"{verb} {slug}\n")
        return path

    async def on_push(slug: str, actor: Any, updates: Sequence[RefUpdate]) -> None:
        (root / "arrived").touch()
        while (root / "hold").exists():
            await asyncio.sleep(0.01)
        if (root / "fail").exists():
            raise RuntimeError("the database is away")
        line = {"slug": slug, "actor": actor, "updates": [[u.ref, u.old, u.new] for u in updates]}
        with (root / "pushes.log").open("a") as log:
            log.write(json.dumps(line) + "\n")

    async def push_message(slug: str, actor: Any, updates: Sequence[RefUpdate]) -> str:
        return f"Build of {updates[0].new[:10]}: http://portal/projects/{slug}/builds/1/\x1b[31m"

    limits = Limits(backends=4, queue=240, max_push=(1 << 20) if (root / "tiny").exists() else (1 << 30))
    return GitHttp(
        authenticate=authenticate,
        authorize=authorize,
        on_push=on_push,
        push_message=push_message,
        spool=root / "spool",
        limits=limits,
        push_wait=240,  # only the hold of a test is waited for, however slow the machine is
    )


def tell(port: int) -> None:
    print(port, flush=True)


def on_uvicorn(app: GitHttp) -> None:
    import uvicorn

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    config = uvicorn.Config(app, lifespan="off", log_level="warning", interface="asgi3", timeout_graceful_shutdown=1)
    tell(listener.getsockname()[1])
    uvicorn.Server(config).run(sockets=[listener])


def on_daphne(app: GitHttp, *, flow: bool) -> None:
    from daphne.server import Server
    from twisted.internet import reactor

    from projects.git_http.daphne_server import FlowServer

    kind = FlowServer if flow else Server
    server = kind(application=app, endpoints=["tcp:port=0:interface=127.0.0.1"])

    def ready() -> None:
        if server.listening_addresses:
            tell(server.listening_addresses[0][1])
        else:
            reactor.callLater(0.01, ready)  # type: ignore[attr-defined,arg-type]

    server.ready_callable = ready
    server.run()


def main() -> None:
    kind, root = sys.argv[1], Path(sys.argv[2])
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    app = build(root)
    if kind == "uvicorn":
        on_uvicorn(app)
    else:
        on_daphne(app, flow=kind == "daphne")


if __name__ == "__main__":
    main()
