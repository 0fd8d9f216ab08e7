"""The trigger itself: listens, keeps what it hears, compares where branches are, and has it all posted."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fangduoduo_release.common.errors import AppError, NotFound, Rejected
from projects.drivers.source.gerrit.events import Unreadable, parse
from projects.drivers.source.gerrit.lines import Heard
from projects.drivers.source.gerrit.stream import Session, StreamAddress, connected

from .journal import Full, Journal
from .post import Post, Poster
from .tips import Tips

logger = logging.getLogger("teamcode_trigger")
COMPARE_S = 600.0
AT_ONCE = 4
TRIES = 5
LONGEST_PAUSE_S, HOPELESS_S, HEALTHY_S = 60.0, 60.0, 60.0
ROOM_S = 5.0
TROUBLES = (AppError, OSError, sqlite3.Error)
FINAL = (NotFound, Rejected)
DROPPED = b'"dropped-output"'


@dataclass(frozen=True, slots=True)
class Setup:
    """What the command line says. Files are read when they are needed, so that they can be changed."""

    webhook: str
    secret_file: Path
    address: StreamAddress
    key_file: Path
    known_hosts_file: Path
    spool: Path
    name: str
    limit: int
    ca: Path | None = None

    def read(self) -> StreamAddress:
        """Raises OSError."""
        return replace(self.address, key=self.key_file.read_text(), known_hosts=self.known_hosts_file.read_text())


class Trigger:
    """One server, one portal. Everything in one loop."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._said: dict[str, str] = {}
        self._journal = Journal(setup.spool, limit=setup.limit)
        self._tips = Tips(setup.spool / "tips.sqlite3")
        self._post = Post(setup.webhook, setup.secret_file, name=setup.name, ca=setup.ca)
        self._poster = Poster(self._journal, self._post, self.say, setup.spool / "refused.lines")
        self._compare = asyncio.Event()
        self._first = self._tips.fresh
        self._unseen: set[str] = set()  # what could not be read in the very first comparison begins when it can
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled."""
        logger.info("%s: %s bytes wait in %s", self._setup.name, self._journal.waiting, self._setup.spool)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._poster.run())
                group.create_task(self._listen_on())
        finally:
            await asyncio.get_running_loop().shutdown_default_executor()  # what is being written is written
            await self._post.close()
            self._tips.close()
            self._journal.close()

    def say(self, what: str, text: str) -> None:
        """A line in the log, when it is another than the last about the same thing."""
        if self._said.get(what) != text:
            self._said[what] = text
            logger.info("%s: %s", self._setup.name, text)

    async def _listen_on(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            try:
                await self._listen()
            except AppError as error:
                reason, hopeless = str(error), isinstance(error, Rejected)
            except OSError as error:
                reason, hopeless = f"a file cannot be read or written: {error}", False
            failures = 1 if time.monotonic() - began > HEALTHY_S else failures + 1
            self.say("server", f"not listening: {reason}")
            pause = min(LONGEST_PAUSE_S, 2.0 ** min(failures - 1, 8))
            await asyncio.sleep(max(pause, HOPELESS_S if hopeless else 0) * random.uniform(0.5, 1.0))  # noqa: S311

    async def _listen(self) -> None:
        """Ends only by an error. First it listens, then it compares, so that no push falls between."""
        async with connected(self._setup.read()) as session:
            await session.begin()
            self.say("server", f"listening to {self._setup.address.place}")
            self._compare.set()
            comparing = asyncio.create_task(self._compare_on(session))
            try:
                async for heard in session.heard():
                    await self._keep(heard)
            finally:
                comparing.cancel()

    # -- what is heard ------------------------------------------------------------------------------------------------

    async def _keep(self, heard: Iterable[Heard]) -> None:
        """On disk first; then it may be posted, and remembered."""
        lines: list[bytes] = []
        for one in heard:
            if not isinstance(one, bytes) or DROPPED in one[:500]:
                self._damaged(f"an event was lost ({one if not isinstance(one, bytes) else 'read too slowly'})")
            else:
                lines.append(one)
        if lines and not await self._write(lines):
            self._damaged("events are not kept, since the spool is full; branches are compared when there is room")

    async def _write(self, lines: list[bytes]) -> bool:
        async with self._writing:
            try:
                await asyncio.to_thread(self._journal.append, lines)
            except (Full, OSError) as error:
                logger.error("%s: %s events cannot be kept: %s", self._setup.name, len(lines), error or "full")
                return False
            for line in lines:
                try:
                    self._tips.heard(parse(line))
                except Unreadable:
                    self._damaged("an event could not be read")
                except sqlite3.Error as error:  # it is in the journal; told once more by a comparison does no harm
                    logger.error("%s: where a branch is cannot be kept: %s", self._setup.name, error)
        self._poster.wake()
        return True

    def _damaged(self, text: str) -> None:
        logger.warning("%s: %s", self._setup.name, text)
        self._compare.set()

    # -- what was not heard -------------------------------------------------------------------------------------------

    async def _compare_on(self, session: Session) -> None:
        """Now and then, and when something was lost; sooner after a round that failed, but less and less so."""
        failures = 0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_after(failures)):
                    await self._compare.wait()
            self._compare.clear()
            try:
                found, whole = await self._compare_all(session)
            except TROUBLES as error:
                logger.warning("%s: branches cannot be compared: %s", self._setup.name, error)
                found, whole = 0, False
            failures = 0 if whole else failures + 1
            if found:
                logger.info("%s: %s moves were missed and are told now", self._setup.name, found)
            await asyncio.sleep(ROOM_S if self._compare.is_set() else 0)

    async def _compare_all(self, session: Session) -> tuple[int, bool]:
        """How many moves were missed, and whether no repository has to be asked again soon. Raises what concerns them all,
        when all have ended; what concerns one repository holds up no other."""
        waiting = await session.repositories()
        found: list[int] = []
        failed: dict[str, AppError] = {}
        troubles: list[Exception] = []

        async def work() -> None:
            while waiting and not troubles:
                name = waiting.pop()
                try:
                    found.append(await self._compare_one(session, name))
                    self._said.pop(f"repository {name}", None)
                except TROUBLES as error:
                    if isinstance(error, AppError) and (isinstance(error, FINAL) or not session.lost):
                        failed[name] = error
                        self.say(f"repository {name}", f"branches of {name} cannot be compared: {_reason(error)}")
                    else:
                        troubles.append(error)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
        if troubles:
            raise troubles[0]
        if self._first:
            self._unseen, self._first = set(failed), False
        self.say("known", f"where the branches of {len(found)} repositories are is known; what moves is told")
        return sum(found), all(isinstance(error, FINAL) for error in failed.values())

    async def _compare_one(self, session: Session, repository: str) -> int:
        """How many moves were missed. What is heard while the server is asked makes its answer worthless: asked again;
        a repository that never rests is left to the next comparison, and to what is heard. NotFound, Rejected,
        Unavailable."""
        for _ in range(TRIES):
            count = self._tips.counted(repository)
            now = await session.tips(repository)
            async with self._writing:
                if self._tips.counted(repository) != count:
                    continue
                begins = self._first or repository in self._unseen  # what is there now is where we begin
                begun = begins and not self._tips.knows(repository)
                lines = [] if begun else self._tips.missed(repository, now, time.time())
                try:
                    if lines:
                        await asyncio.to_thread(self._journal.append, lines)
                except (Full, OSError) as error:
                    logger.error("%s: what was missed cannot be kept: %s", self._setup.name, error or "full")
                    self._compare.set()
                    return 0
                self._tips.remember(repository, now)
            self._poster.wake()
            return len(lines)
        return 0


def pause_after(failures: int) -> float:
    """Seconds until the next comparison, if nothing asks for one before."""
    return min(COMPARE_S, ROOM_S * 2.0 ** min(failures - 1, 8)) if failures else COMPARE_S


def _reason(error: AppError) -> str:
    """With the server's own words, on one line."""
    said = " ".join(str(getattr(error, "evidence", "")).split())
    return f"{error} ({said})" if said else str(error)
