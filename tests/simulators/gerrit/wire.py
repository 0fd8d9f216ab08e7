"""The HTTP socket: one thread per connection, git, REST and the simulator's own door behind it, faults on the way."""

from __future__ import annotations

import gzip
import ssl
import traceback
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tests.simulators.sockets import Handler, Socket

from . import door, git, routes
from .answers import Answer, Refused, Request, plain, starting, unauthorized

if TYPE_CHECKING:
    from .faults import Kind, Rule
    from .server import Gerrit

_SMALL = 256


class Wire(Socket):
    """Serves a Gerrit until `stop`."""

    def __init__(self, gerrit: Gerrit, port: int, context: ssl.SSLContext | None) -> None:
        super().__init__(type("Handler", (_Handler,), {"gerrit": gerrit}), port, context, "gerrit")


class _Handler(Handler):
    gerrit: Gerrit

    do_PUT = Handler.do_GET  # noqa: N815 - a name of http.server

    def serve(self) -> None:
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path.startswith("/__sim__/"):
            self._send(door.answer(self.gerrit, self.path, body), {})
            return
        line = f"{self.command} {unquote(self.path)}"
        self.gerrit.requests.note(line)
        met = self.gerrit.faults.meet(line)
        if "late" in met:
            self.ended.wait(met["late"].value)
        while "held" in met and not met["held"].lifted.wait(0.05) and not self.ended.is_set():
            pass
        if "reset" in met:
            self.reset()
            return
        answer = self._answer(Request.read(self.command, self.path, self.gerrit.prefix, headers, body), met)
        if "lost" in met:
            self.reset()
            return
        self._send(answer, met)

    def _answer(self, request: Request, met: dict[Kind, Rule]) -> Answer:
        gerrit = self.gerrit
        if "starting" in met or gerrit.faults.restarting:
            return starting()
        if "status" in met:
            rule = met["status"]
            return unauthorized() if rule.value == 401 else plain(int(rule.value), rule.text)
        if not self.path.startswith(f"{gerrit.prefix}/"):
            return plain(404, "Not Found")
        header = request.headers.get("authorization", "")
        request.account = gerrit.accounts.by_header(header)
        try:
            if git.concerns(request):
                return git.answer(gerrit, request)
            if request.private and request.account is None:
                return unauthorized()
            if not request.private:
                request.account = None
            return routes.answer(gerrit, request)
        except Refused as refused:
            return plain(refused.status, str(refused))
        except Exception:  # noqa: BLE001 - the simulator's own mistake: said aloud, and answered as Gerrit does its own
            traceback.print_exc()
            return plain(500, "Internal server error")

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, answer: Answer, met: dict[Kind, Rule]) -> None:
        body = answer.body[: len(answer.body) // 2] if "truncated" in met else answer.body
        date = formatdate(self.gerrit.clock.now(), usegmt=True)
        headers = {"Date": date, "X-Content-Type-Options": "nosniff", **answer.headers}
        rest = answer.headers.get("Content-Type", "").startswith("application/json;")
        if rest and len(body) > _SMALL and "gzip" in self.headers.get("Accept-Encoding", "") and not met:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        if answer.status != 204:
            headers["Content-Length"] = str(len(body))
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        self.wfile.write(head + (b"" if self.command == "HEAD" else body))
