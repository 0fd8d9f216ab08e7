"""The portal's own application, served by tests: asks sooner whether a log may still be read, and a write waits longer for the
rows to show it than any machine needs."""

from __future__ import annotations

from clusters.gateway import logs, settling
from fangduoduo_release.asgi import application

__all__ = ["application"]
logs.ASK_AGAIN_S = 1.0
settling.PATIENCE_S = 60.0
