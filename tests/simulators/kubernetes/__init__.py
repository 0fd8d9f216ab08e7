"""A Kubernetes that is no Kubernetes: its API on a real socket, and a controller that rolls pods which do not exist."""

from __future__ import annotations

from .auth import Rule, User
from .images import Image
from .pace import Pace
from .server import Kubernetes

__all__ = ["Image", "Kubernetes", "Pace", "Rule", "User"]
