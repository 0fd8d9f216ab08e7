"""`python -m tests.simulators.gerrit --port 8310 --ssh-port 29510 --user portal:password`: a Gerrit to connect to by hand."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from .changes import Label
from .server import Gerrit


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulators.gerrit", description=__doc__)
    parser.add_argument("--port", type=int, default=8310)
    parser.add_argument("--ssh-port", type=int, default=29418)
    parser.add_argument("--user", action="append", default=[], metavar="NAME:PASSWORD")
    parser.add_argument("--key", type=Path, action="append", default=[], help="a public key file, for every --user")
    parser.add_argument("--label", action="append", default=[], help="besides Code-Review and Verified, from -1 to +1")
    parser.add_argument("--group", action="append", default=[])
    parser.add_argument("--project", action="append", default=[])
    parser.add_argument("--prefix", default="", help="context path, such as /r")
    parser.add_argument("--folder", type=Path, help="for repositories; made up, and removed at the end, when not given")
    parser.add_argument("--batch", action="store_true", help="send batch-ref-updated, too")
    parser.add_argument("--anonymous", action="store_true", help="everybody may read")
    given = parser.parse_args()
    gerrit = Gerrit(folder=given.folder, prefix=given.prefix, anonymous=given.anonymous)
    gerrit.batch = given.batch
    for text in given.user or ["portal:password"]:
        name, _, password = text.partition(":")
        account = gerrit.accounts.add(name, password)
        account.keys += [key.read_text() for key in given.key]
    for name in given.label:
        gerrit.labels.setdefault(name, Label(name))
    for name in given.group:
        gerrit.accounts.add_group(name)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    gerrit.start(given.port, given.ssh_port)
    try:
        for name in given.project:
            gerrit.create_project(name)
        print(
            f"url          {gerrit.url}\nssh          127.0.0.1:{gerrit.ssh_port}\nknown_hosts  {gerrit.known_hosts}",
            flush=True,
        )
        ended.wait()
    finally:
        gerrit.stop()


if __name__ == "__main__":
    main()
