"""A Gerrit that is no Gerrit: its REST interface, its SSH commands and its events over real bare repositories."""

from __future__ import annotations

from .accounts import Account
from .server import Gerrit

__all__ = ["Account", "Gerrit"]
