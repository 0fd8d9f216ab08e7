"""The local runtime keeps the contract of its family."""

from __future__ import annotations

from tests.clusters.drivers.runtime_contract import RuntimeContract


class TestLocal(RuntimeContract):
    """The fixture `place` of this folder is a local runtime behind a real Traefik."""
