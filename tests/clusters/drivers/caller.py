"""A caller to be killed: advances a goal (pickled on stdin) until it is reached. Run as a module in its own process."""

from __future__ import annotations

import pickle
import sys

from clusters.drivers.runtime.local.runtime import LocalRuntime
from clusters.drivers.traffic.traefik.driver import TraefikTraffic


def main() -> None:
    runtime_config, traffic_config, wanted = pickle.load(sys.stdin.buffer)
    traffic = TraefikTraffic(traffic_config) if traffic_config else None
    runtime = LocalRuntime(runtime_config, traffic)
    print("up", flush=True)
    while not runtime.advance(wanted, 5.0).settled:
        continue


if __name__ == "__main__":
    main()
