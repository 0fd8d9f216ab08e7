"""The socket: one thread per connection, one write per answer, and the faults that happen on the way."""

from __future__ import annotations

import gzip
import ssl
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tests.simulators.sockets import Handler, Socket

from .answers import Answer, Request
from .faults import Kind, Rule

if TYPE_CHECKING:
    from .server import Jenkins

_SMALL = 350


class Wire(Socket):
    """Serves a Jenkins until `stop`."""

    def __init__(self, jenkins: Jenkins, port: int, context: ssl.SSLContext | None) -> None:
        super().__init__(type("Handler", (_Handler,), {"jenkins": jenkins}), port, context, "jenkins")


class _Handler(Handler):
    jenkins: Jenkins

    def serve(self) -> None:
        jenkins = self.jenkins
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        line = f"{self.command} {unquote(self.path)}"
        jenkins.requests.note(line)
        met = jenkins.faults.meet(line)
        if "latency" in met:
            self.ended.wait(met["latency"].value)
        if "reset_before" in met:
            self.reset()
            return
        request = Request.read(self.command, self.path, jenkins.prefix, self.headers, body)
        answer = self._answer(request, met)
        if "reset_after" in met:
            self.reset()
            return
        self._send(answer, met)

    def _answer(self, request: Request, met: dict[Kind, Rule]) -> Answer:
        if "starting" in met:
            return self.jenkins.starting()
        if "status" in met:
            return self.jenkins.marks.oops(int(met["status"].value))
        if not self.path.startswith(f"{self.jenkins.prefix}/"):
            return Answer(404)
        return self.jenkins.answer(request)

    def _send(self, answer: Answer, met: dict[Kind, Rule]) -> None:
        body = answer.body
        if "truncated" in met:
            body = body[: len(body) // 2]
        headers = {"Date": formatdate(usegmt=True), "X-Content-Type-Options": "nosniff", **answer.headers}
        if len(body) > _SMALL and "gzip" in self.headers.get("Accept-Encoding", "") and "torn" not in met:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        if answer.status != 204:
            headers["Content-Length"] = str(len(body))
        headers["Server"] = "Jetty(10.0.20)"
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        if self.command == "HEAD":
            body = b""
        if "slow" in met:
            self._drip(head, body, met["slow"].value)
        elif "torn" in met:
            self.wfile.write(head + body[: len(body) // 2])
            self.close_connection = True
        else:
            self.wfile.write(head + body)

    def _drip(self, head: bytes, body: bytes, pause: float) -> None:
        self.wfile.write(head)
        for at in range(len(body)):
            if self.ended.wait(pause):
                break
            self.wfile.write(body[at : at + 1])
        self.close_connection = True
