"""`python -m tests.simulators.kubernetes --port 8443 --kubeconfig-out F`: a cluster to connect a portal to by hand."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from tests.simulators.kubernetes_rig import ADMIN, Rig

from .pace import Pace


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulators.kubernetes", description=__doc__)
    parser.add_argument("--port", type=int, default=8443)
    parser.add_argument("--kubeconfig-out", type=Path, help="write a kubeconfig for it here")
    parser.add_argument("--namespace", action="append", default=[])
    parser.add_argument("--node", action="append", default=[], metavar="NAME", help="besides node1")
    parser.add_argument("--fast", action="store_true", help="pods start at once, instead of as on the recorded cluster")
    parser.add_argument("--processes", action="store_true", help="pods are real HTTP servers, services real proxies")
    parser.add_argument("--fill", metavar="NAMESPACE:DEPLOYMENTS:REPLICAS", help="with so many pods that run already")
    parser.add_argument("--plain", action="store_true", help="HTTP without TLS")
    given = parser.parse_args()
    pace = Pace() if given.fast else Pace.recorded()
    rig = Rig(pace=pace, processes=given.processes, tls=not given.plain)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    rig.start(given.port)
    try:
        for name in given.namespace:
            rig.namespace(name)
        for name in given.node:
            rig.node(name)
        if given.fill:
            namespace, deployments, replicas = given.fill.split(":")
            rig.fill(namespace, int(deployments), int(replicas))
        if given.kubeconfig_out:
            given.kubeconfig_out.write_text(rig.kubeconfig())
            given.kubeconfig_out.chmod(0o600)
        print(f"url    {rig.url}\nuser   {ADMIN}\ntoken  {rig.token}", flush=True)
        ended.wait()
    finally:
        rig.stop()


if __name__ == "__main__":
    main()
