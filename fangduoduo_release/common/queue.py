"""The doorbell: tell a worker that a run is due. Ids only; losing a ring costs a second (the sweeper), never the work."""

from __future__ import annotations

import logging

from django.db import transaction
from django_q.tasks import async_task

logger = logging.getLogger(__name__)


def ring(engine: str, pk: int) -> None:
    """Ring for `engine` and row `pk` after the current commit."""

    def send() -> None:
        try:
            async_task("fangduoduo_release.common.engines.answer", engine, pk)
        except Exception:  # whatever ails the broker, the sweeper finds the row within a second
            logger.warning("the doorbell is broken; the sweeper will find %s %s", engine, pk, exc_info=True)

    transaction.on_commit(send)
