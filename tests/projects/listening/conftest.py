"""A simulated Gerrit for every test here."""

from tests.simulators.gerrit.fixtures import gerrit_rig

__all__ = ["gerrit_rig"]
