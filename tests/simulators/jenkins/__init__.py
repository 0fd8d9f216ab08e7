"""A Jenkins that is no Jenkins: the parts of its HTTP interface we use, running pipelines with the embedded engine."""

from __future__ import annotations

from .auth import User
from .server import Jenkins

__all__ = ["Jenkins", "User"]
