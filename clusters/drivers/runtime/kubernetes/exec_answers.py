"""What an API server says when a program cannot be started, and how it tells of a program's end. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import orjson
from websockets.exceptions import ConnectionClosed, InvalidStatus

from clusters.drivers.runtime.streams import Ended
from fangduoduo_release.common.errors import AppError, NotFound, Rejected
from fangduoduo_release.common.sentence import S, Sentence

from .api import Answer, judge, status_of


def refused(error: InvalidStatus) -> AppError:
    """The server's no to the handshake, with its own sentence."""
    response = error.response
    body = bytes(response.body or b"")
    message = str(status_of(body).get("message") or "")
    if response.status_code == 400 and message:
        return NotFound(S("The program cannot be started there: %(reason)s", reason=message[:300]))
    if response.status_code == 403 and not message:  # without a Status: it is not about rights
        return Rejected(S("The API server speaks no protocol for terminals that the portal knows."))
    if response.status_code >= 500 and "container not found" in message:
        return NotFound(S("The program cannot be started there: %(reason)s", reason=message[:300]))
    return judge(Answer(response.status_code, dict(response.headers.raw_items()), body))


def lost(closed: ConnectionClosed) -> Sentence:
    said = closed.rcvd.reason if closed.rcvd is not None else ""
    if said:
        return S("The connection to the program was lost: %(reason)s", reason=said[:200])
    return S("The connection to the program was lost.")


def ended(body: bytes) -> Ended:
    """What the status channel says of the end."""
    try:
        status = orjson.loads(body)
    except ValueError:
        status = None
    if not isinstance(status, Mapping):
        return Ended(sentence=S("The connection to the program was lost."))
    if status.get("status") == "Success":
        return Ended(exit_code=0)
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, Mapping) else None
    for cause in causes if isinstance(causes, list) else ():
        if isinstance(cause, Mapping) and cause.get("reason") == "ExitCode":
            with contextlib.suppress(ValueError):
                return Ended(exit_code=int(str(cause.get("message"))))
    reason = str(status.get("message") or "")[:500]
    return Ended(sentence=S("The program could not be started: %(reason)s", reason=reason))
