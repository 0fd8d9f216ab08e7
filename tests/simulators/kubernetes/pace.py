"""How long things take in the simulated cluster."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)
class Pace:
    """In seconds. `second` is how long a second lasts that a manifest speaks of (deadlines, delays of probes, preStop).

    `reaction`: of the controllers; `start`: from a scheduled pod to its running container; `stop`: how long a program
    takes to end when asked to; `backoff`: after the first crash; `list_item`: what listing one object costs.
    """

    reaction: float = 0.0
    schedule: float = 0.0
    start: float = 0.01
    ready: float = 0.0
    stop: float = 0.01
    backoff: float = 0.05
    backoff_max: float = 1.0
    pull_backoff: float = 0.1
    endpoints: float = 0.0
    propagation: tuple[float, float] = (0.05, 0.2)  # until a proxy knows of a service's endpoints
    second: float = 1.0
    list_item: float = 0.0
    shown: float = 0.02  # how long a crash is seen before its back-off
    stuck: bool = False

    @classmethod
    def recorded(cls) -> Pace:
        """As the recorded cluster: three small replicas roll in 3–4 seconds."""
        return cls(
            reaction=0.05, schedule=0.05, start=1.0, ready=0.1, stop=0.8, backoff=10, backoff_max=300, pull_backoff=10,
            endpoints=0.1,
        )  # fmt: skip
