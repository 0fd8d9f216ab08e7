"""Two duties whose modules need each other, as those of a real portal do: fine for one thread, a deadlock for two."""

from __future__ import annotations

import time

time.sleep(1.0)  # long enough for another thread to come in between

from .shared import READY as READY  # noqa: E402
