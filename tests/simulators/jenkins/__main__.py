"""`python -m tests.simulators.jenkins --port 8081`: a Jenkins to connect a portal to by hand."""

from __future__ import annotations

import argparse
import signal
import threading

from .server import Jenkins


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulators.jenkins", description=__doc__)
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--user", default="admin")
    parser.add_argument("--token", default="", help="API token; made up when not given")
    parser.add_argument("--password", default="", help="made up when not given")
    parser.add_argument("--prefix", default="", help="context path, such as /jenkins")
    parser.add_argument("--any-label", action="store_true", help="the node has every label")
    parser.add_argument(
        "--credential", action="append", default=[], metavar="ID=USER:PASSWORD", help="with which it reads repositories"
    )
    given = parser.parse_args()
    credentials = {}
    for text in given.credential:
        identity, _, login = text.partition("=")
        user, _, password = login.partition(":")
        credentials[identity] = (user, password)
    jenkins = Jenkins(
        user=given.user, token=given.token, password=given.password, prefix=given.prefix, credentials=credentials
    )
    if given.any_label:
        jenkins.nodes.labels = None
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    jenkins.start(given.port)
    try:
        print(
            f"url       {jenkins.url}\nuser      {jenkins.user}\ntoken     {jenkins.token}\npassword  {jenkins.admin.password}",
            flush=True,
        )
        ended.wait()
    finally:
        jenkins.stop()


if __name__ == "__main__":
    main()
