"""What every traffic kind promises: who gets which share of a service's requests. Knows no runtime kind and no model.

Two writers, two verbs, so that neither must know the other's part: whoever runs the instances says which ones are ready
(`set_backends`, one group at a time; kinds that discover instances by themselves ignore it), and the engine says how
much each group gets (`set_weights`). Both are idempotent and return at once; what is *really* in force is asked
with `read` and `in_force`, which ask the proxy itself and never answer from our own files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, order=True)
class Backend:
    """Where one ready instance answers HTTP."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Routing:
    """The split of one service: group -> backends, group -> weight (0 to 100). A group without backends gets nothing."""

    port: int
    backends: Mapping[str, frozenset[Backend]] = field(default_factory=dict)
    weights: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class Traffic(Protocol):
    """Every call returns within 10 s and may be repeated. Raises Invalid (a port or weight out of range), Unavailable."""

    kind: str

    def set_backends(self, service: str, port: int, group: str, backends: Collection[Backend]) -> None:
        """Send the group's share to exactly these. A service that was never seen gives `stable` all of it."""
        ...

    def set_weights(self, service: str, weights: Mapping[str, int]) -> None:
        """Shares by group, adding up to 100. Raises NotFound for a service without any backend."""
        ...

    def wanted(self, service: str) -> Routing | None:
        """What was asked for last (None: nothing)."""
        ...

    def read(self, service: str) -> Routing | None:
        """What the proxy really does now (None: it does not know the service)."""
        ...

    def in_force(self, service: str) -> bool:
        """True when `read` and `wanted` say the same. To be polled."""
        ...

    def clear(self, service: str) -> None:
        """Forget the service; its port answers 404 from now on."""
        ...

    def free_port(self, used: Collection[int]) -> int:
        """A port of the pool that is not in `used`. Raises Conflict when the pool is empty."""
        ...

    def ensure(self) -> None:
        """See that the proxy runs; start or adopt it. Raises Unavailable with a sentence when it cannot."""
        ...

    def stop(self) -> None:
        """Stop the proxy; what was asked for stays for the next `ensure`."""
        ...
