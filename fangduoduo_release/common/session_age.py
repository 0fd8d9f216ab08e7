"""How old a session may become. Asked by pages and by sockets; idle sessions end by Django's own expiry."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings

BEGAN: Final = "began"  # in the session's data: when somebody signed in, seconds since 1970


def outlived(session: Mapping[str, Any] | Any) -> bool:
    """Whether the session is older than any may be; one from the future (the clock went back) counts as new."""
    began = session.get(BEGAN)
    return isinstance(began, int | float) and time.time() - began > settings.SESSION_ABSOLUTE_S
