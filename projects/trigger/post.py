"""Posts what waits in the journal to the portal's webhook, signed, in order, until it is taken. Never gives up.

The secret is read anew for every post, so that it can be changed without a restart; it is in no log.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import random
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from .journal import Batch, Journal

logger = logging.getLogger("teamcode_trigger")
MOST_LINES, MOST_BYTES = 200, 512 << 10
TIMEOUT_S = 20.0
LONGEST_PAUSE_S = 30.0
LINES = "application/x-ndjson"
NOT_THESE = frozenset({400, 413, 415, 422})  # what the portal says about the lines, not about us


class Refused(Exception):
    """The portal did not take a post; `status` 0: it could not be reached."""

    def __init__(self, status: int, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.status = status
        self.after_s = after_s


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class Post:
    """The way to one portal. `ca`: a file with the authorities to believe besides the system's."""

    def __init__(self, webhook: str, secret_file: Path, *, name: str, ca: Path | None = None) -> None:
        self._webhook = webhook
        self._secret_file = secret_file
        self._name = name
        context = ssl.create_default_context()
        if ca is not None:
            context.load_verify_locations(ca)
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, verify=context, follow_redirects=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def send(self, lines: tuple[bytes, ...], ident: str, *, event: str = "stream-events") -> None:
        """Raises Refused unless the portal took it."""
        body = b"".join(line + b"\n" for line in lines)
        timestamp = str(int(time.time()))
        try:
            secret = self._secret_file.read_bytes().strip()
        except OSError as error:
            raise Refused(0, f"the secret cannot be read: {error.strerror}") from error
        headers = {
            "Content-Type": LINES,
            "User-Agent": f"teamcode_trigger ({self._name})".encode("ascii", "replace").decode(),
            "X-FDD-Timestamp": timestamp,
            "X-FDD-Signature": signature(secret, timestamp, body),
            "X-FDD-Delivery": ident,
            "X-FDD-Event": event,
        }
        try:
            answer = await self._client.post(self._webhook, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise Refused(0, f"it cannot be reached: {type(error).__name__}") from error
        if not answer.is_success:
            raise Refused(answer.status_code, _said(answer.status_code), _after(answer))


def _said(status: int) -> str:
    """What an answer means for whoever set this up."""
    if status == 401:
        return "it answers 401: the secret is not that of the connection, or no connection of this name is there"
    return f"it answers {status}"


class Poster:
    """Empties a journal. `say` tells of changes of state, once each."""

    def __init__(self, journal: Journal, post: Post, say: Callable[[str, str], None], refused: Path) -> None:
        self._journal = journal
        self._post = post
        self._say = say
        self._refused = refused
        self._some = asyncio.Event()
        self.room = asyncio.Event()  # set whenever something was taken

    def wake(self) -> None:
        self._some.set()

    async def run(self) -> None:
        """Until cancelled."""
        failures, most = 0, MOST_LINES
        while True:
            self._some.clear()
            batch = self._journal.read(most, MOST_BYTES)
            if batch is None:
                await self._some.wait()
                continue
            try:
                await self._post.send(batch.lines, batch.name)
            except Refused as error:
                if error.status in NOT_THESE and len(batch.lines) > 1:
                    most = len(batch.lines) // 2  # one of them is the reason
                    continue
                if error.status in NOT_THESE:
                    self._set_aside(batch, error)
                else:
                    failures += 1
                    self._say("portal", f"the portal does not take events: {error}; they wait here")
                    await asyncio.sleep(max(error.after_s, pause_after(failures)))
                    continue
            failures, most = 0, min(MOST_LINES, most * 2)
            self._journal.taken(batch)
            self.room.set()
            self._say("portal", "the portal takes events")

    def _set_aside(self, batch: Batch, error: Refused) -> None:
        """A line the portal will never take must not hold up all others; it is kept beside the journal."""
        with self._refused.open("ab") as file:
            file.write(batch.lines[0] + b"\n")
        logger.error("the portal refuses a line of %s bytes: %s; see %s", len(batch.lines[0]), error, self._refused)


def pause_after(failures: int) -> float:
    """In seconds, with some chance in it."""
    return min(LONGEST_PAUSE_S, 0.5 * 2 ** min(failures - 1, 8)) * random.uniform(0.5, 1.0)  # noqa: S311


def _after(answer: httpx.Response) -> float:
    """What `Retry-After` asks for, within reason."""
    text = answer.headers.get("retry-after", "")
    return min(300.0, float(text)) if text.isdecimal() else 0.0
