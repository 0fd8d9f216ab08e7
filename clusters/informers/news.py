"""Tells whoever is interested (`settings.CLUSTER_NEWS`) which services' objects changed, after it was committed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from django.conf import settings
from django.utils.module_loading import import_string

from fangduoduo_release.common.hands import AWAY, Hands

logger = logging.getLogger(__name__)
PAUSE_S = 1.0


class News:
    """Belongs to the loop. What is told while it is still telling is told together."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._keys: set[str] = set()
        self._some = asyncio.Event()

    def hear(self, keys: Iterable[str]) -> None:
        self._keys.update(keys)
        if self._keys:
            self._some.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            keys, self._keys = self._keys, set()
            try:
                await self._hands.do(_tell, keys)
            except AWAY as error:
                logger.warning("news of clusters wait for the database: %s", error)
                self.hear(keys)
                await asyncio.sleep(PAUSE_S)
            except Exception:  # whoever listens stumbles for itself: told, and the following goes on
                logger.exception("the news of clusters could not be told")


def _tell(keys: set[str]) -> None:
    import_string(settings.CLUSTER_NEWS)(keys)
