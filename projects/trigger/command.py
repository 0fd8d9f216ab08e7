"""What the command line of the trigger says, the check of a set-up, and how the process runs and ends.

Exit codes: 0 ended as asked, or the check found all well; 1 the check found trouble; 2 wrongly asked.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fangduoduo_release.common.errors import AppError
from projects.drivers.source.gerrit.stream import PORT, Session, StreamAddress, connected

from .journal import InUse
from .post import Post, Refused
from .trigger import Setup, Trigger

PING = "ping"
HELP = "Listen to a Gerrit's events and post them to the portal's webhook, from a host that reaches nothing else of it."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--webhook", required=True, metavar="URL", help="https://portal/hooks/gerrit/<connection>/")
    parser.add_argument("--secret-file", required=True, type=Path, metavar="FILE", help="the webhook's secret")
    parser.add_argument("--ssh", required=True, type=address, metavar="USER@HOST:PORT", help=f"port {PORT} if left out")
    parser.add_argument("--key", required=True, type=Path, metavar="FILE", help="private key, without a passphrase")
    parser.add_argument("--known-hosts", required=True, type=Path, metavar="FILE", help="the server's key, pinned")
    parser.add_argument(
        "--spool", type=Path, default=Path("teamcode-trigger"), metavar="DIR", help="what is heard waits here"
    )
    parser.add_argument("--spool-mb", type=int, default=1024, metavar="N", help="how much may wait at most")
    parser.add_argument("--name", default=socket.gethostname(), help="who we are, in logs and to the portal")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="authorities to believe besides the system's")
    parser.add_argument("--once", action="store_true", help="only check the set-up and say what works")


def address(text: str) -> StreamAddress:
    user, _, place = text.rpartition("@")
    host, _, port = place.rpartition(":") if ":" in place else (place, "", str(PORT))
    if not user or not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"“{text}” is not user@host:port")
    return StreamAddress(host.strip("[]"), int(port), user)


def run(given: Mapping[str, Any]) -> int:
    """Until SIGTERM or SIGINT; the exit code."""
    setup = Setup(
        webhook=given["webhook"],
        secret_file=given["secret_file"],
        address=given["ssh"],
        key_file=given["key"],
        known_hosts_file=given["known_hosts"],
        spool=given["spool"],
        name=given["name"],
        limit=max(1, given["spool_mb"]) << 20,
        ca=given["ca"],
    )
    if urlsplit(setup.webhook).scheme not in ("http", "https"):
        sys.stderr.write(f"“{setup.webhook}” is no address of a webhook\n")
        return 2
    for chatty in ("asyncssh", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if given["once"]:
        return asyncio.run(_check(setup))
    try:
        asyncio.run(_run(setup))
    except (InUse, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


async def _run(setup: Setup) -> None:
    """A stop loses nothing: what was heard is on the disk, and what comes now is found at the next start."""
    task = asyncio.create_task(Trigger(setup).run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


async def _check(setup: Setup) -> int:
    """One line for everything that has to work."""
    fine = [await _check_server(setup), await _check_portal(setup), _check_spool(setup)]
    return 0 if all(fine) else 1


async def _check_server(setup: Setup) -> bool:
    place = setup.address.place
    try:
        async with connected(setup.read()) as session:
            version = await session.version()
            _tell(True, f"{place} is Gerrit {version}; its key is {session.fingerprint}")
            return all([await _check_stream(session, setup), await _check_repositories(session)])
    except (AppError, OSError) as error:
        _tell(False, f"{place}: {error}")
        return False


async def _check_stream(session: Session, setup: Setup) -> bool:
    try:
        await session.begin()
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await anext(session.heard())
    except AppError as error:
        _tell(False, str(error))
        return False
    _tell(True, f"“{setup.address.user}” may listen to events")
    return True


async def _check_repositories(session: Session) -> bool:
    names = await session.repositories()
    _tell(bool(names), f"{len(names)} repositories are visible")
    return bool(names)


async def _check_portal(setup: Setup) -> bool:
    post = Post(setup.webhook, setup.secret_file, name=setup.name, ca=setup.ca)
    try:
        await post.send((b'{"type":"ping"}',), f"ping-{setup.name[:60]}-{time.time_ns()}", event=PING)
    except Refused as error:
        _tell(False, f"the portal takes nothing: {error}")
        return False
    finally:
        await post.close()
    _tell(True, "the portal takes events")
    return True


def _check_spool(setup: Setup) -> bool:
    try:
        setup.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = setup.spool / "probe"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        _tell(False, f"{setup.spool} cannot be written: {error.strerror}")
        return False
    _tell(True, f"{setup.spool} can be written")
    return True


def _tell(fine: bool, text: str) -> None:
    sys.stdout.write(f"{'ok      ' if fine else 'failed  '}{text}\n")
    sys.stdout.flush()
