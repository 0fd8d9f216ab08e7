"""The exec subresource: a real process on this host, talked to by a WebSocket as `v5.channel.k8s.io` has it."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import orjson
from aiohttp import WSMsgType, web

from . import status
from .children import Child, Piped, Terminal
from .kinds import PODS, Object

if TYPE_CHECKING:
    from .server import Kubernetes

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, STATUS, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_MISSING = (
    "error executing command in container: failed to exec in container: failed to start exec "
    '"9db0c94ad41f2373bc89ae7a4cb557b340a90d100d1ac82eade72f0c6b83093d": OCI runtime exec failed: exec failed: unable to '
    'start container process: exec: "{name}": executable file not found in $PATH: unknown'
)


class Execs:
    """`running`: the processes by the uid of their pod."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self.running: dict[str, set[Child]] = {}

    async def serve(self, request: web.Request, namespace: str, name: str, line: str) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise status.bad_request("Upgrade request required")
        pod = self.kubernetes.objects.get(PODS, namespace, name).obj
        query = _query(request.raw_path)
        container = self._container(pod, query.get("container", [""])[0])
        offered = [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        if not any(each in PROTOCOLS for each in offered):
            return web.Response(status=403, headers={"Connection": "close"})
        # A real one agrees to no compression either.
        socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=16 * 2**20, timeout=1.0, compress=False)
        await socket.prepare(request)
        rule = self.kubernetes.faults.meet("cut", line)
        if rule is not None and request.transport is not None:
            asyncio.get_running_loop().call_later(rule.value, request.transport.abort)
        await self._talk(socket, pod, container, query)
        return socket

    def _container(self, pod: Object, wanted: str) -> Object:
        name = pod["metadata"]["name"]
        if not pod["spec"].get("nodeName"):
            raise status.bad_request(f"pod {name} does not have a host assigned")
        containers = pod["spec"]["containers"]
        found = next((each for each in containers if each["name"] == wanted), None) if wanted else containers[0]
        if found is None:
            raise status.bad_request(f"container {wanted} is not valid for pod {name}")
        running = any(
            each["name"] == found["name"] and "running" in each["state"]
            for each in pod["status"].get("containerStatuses") or ()
        )
        if not running:
            said = f'unable to upgrade connection: container not found ("{found["name"]}")'
            causes = {"causes": [{"message": said}]}
            raise status.Refused(500, "InternalError", f"Internal error occurred: {said}", causes)
        chosen: Object = found
        return chosen

    async def _talk(
        self, socket: web.WebSocketResponse, pod: Object, container: Object, query: dict[str, list[str]]
    ) -> None:
        tty = _yes(query, "tty")
        command = query.get("command", [])
        await socket.send_bytes(bytes([STDOUT]))
        if not command or shutil.which(command[0]) is None:
            await self._end(socket, _not_found(command[0] if command else ""))
            return
        with tempfile.TemporaryDirectory(prefix="exec-") as folder:
            child: Child = Terminal() if tty else Piped()
            await child.start(command, folder, _environment(pod, container, tty), stdin=_yes(query, "stdin"))
            mine = self.running.setdefault(pod["metadata"]["uid"], set())
            mine.add(child)
            metadata = pod["metadata"]
            if self.kubernetes.store.get(PODS, metadata["namespace"], metadata["name"]) is None:
                child.kill()  # it went while this one began
            listening = asyncio.create_task(_listen(socket, child))
            try:
                outputs = {STDOUT: child.out, STDERR: child.err}
                wanted = {STDOUT: _yes(query, "stdout"), STDERR: _yes(query, "stderr") and not tty}
                await asyncio.gather(
                    *(_send(socket, channel, read, wanted[channel]) for channel, read in outputs.items())
                )
                await self._end(socket, _ended(await child.wait()))
            except (ConnectionError, RuntimeError):
                """The client is gone; so is its process then."""
            finally:
                child.kill()
                mine.discard(child)
                listening.cancel()
                await child.wait()
                child.close()

    async def _end(self, socket: web.WebSocketResponse, body: Object) -> None:
        await socket.send_bytes(bytes([STATUS]) + orjson.dumps(body))
        await socket.close(code=1000)

    def forget(self, uid: str) -> None:
        """The pod is no more, nor what ran in it."""
        for child in self.running.pop(uid, ()):
            child.kill()


async def _send(socket: web.WebSocketResponse, channel: int, read: object, wanted: bool) -> None:
    """What the process says, as fast as the client takes it."""
    head = bytes([channel])
    while data := await read():  # type: ignore[operator]
        if wanted:
            await socket.send_bytes(head + data)


async def _listen(socket: web.WebSocketResponse, child: Child) -> None:
    async for message in socket:
        if message.type is not WSMsgType.BINARY or not message.data:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel == STDIN and data:
            await child.write(data)
        elif channel == RESIZE:
            size = orjson.loads(data)
            child.resize(int(size.get("Width", 80)), int(size.get("Height", 24)))
        elif channel == CLOSE and data[:1] == b"\0":
            child.close_input()
    child.kill()


def _query(raw_path: str) -> dict[str, list[str]]:
    """As Go reads it: what has a bare semicolon is dropped."""
    found: dict[str, list[str]] = {}
    for part in raw_path.partition("?")[2].split("&"):
        name, _, value = part.partition("=")
        if name and ";" not in part:
            found.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return found


def _yes(query: dict[str, list[str]], name: str) -> bool:
    return query.get(name, [""])[0] in ("true", "1")


def _environment(pod: Object, container: Object, tty: bool) -> dict[str, str]:
    given = {each["name"]: each["value"] for each in container.get("env") or [] if "value" in each}
    plain = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOSTNAME": pod["metadata"]["name"],
        "HOME": "/",
        "PS1": "$ ",
    }
    return {**plain, **({"TERM": "xterm"} if tty else {}), **given}


def _ended(code: int) -> Object:
    if not code:
        return {"metadata": {}, "status": "Success"}
    said = f"command terminated with non-zero exit code: command terminated with exit code {code}"
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return {
        "metadata": {}, "status": "Failure", "message": said, "reason": "NonZeroExitCode", "details": {"causes": causes}
    }  # fmt: skip


def _not_found(name: str) -> Object:
    said = "Internal error occurred: " + _MISSING.format(name=name)
    return {
        "metadata": {}, "status": "Failure", "message": f"Internal error occurred: {said}", "reason": "InternalError",
        "details": {"causes": [{"message": said}]}, "code": 500,
    }  # fmt: skip
