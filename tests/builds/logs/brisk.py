"""The portal's own application, served by tests: it gives up viewers who take nothing sooner, and so it says that it is still
there, and asks whether they may still see what they see."""

from __future__ import annotations

from builds.logs import stream
from fangduoduo_release.asgi import application
from fangduoduo_release.common.sockets import guards

__all__ = ["application"]
stream.PATIENCE_S = 8.0
stream.KEEPALIVE_S = 1.0
guards.RECHECK_S = 2.0
