"""The news that a run has ended: who spreads it is named in the settings, and called in the transaction that ends it.

Whoever ends a run (an engine, an agent, ops) comes through here, so nobody can forget to tell.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.utils.module_loading import import_string

from .models import Run

logger = logging.getLogger(__name__)


def spread(run: Run) -> None:
    """Call what `settings.RUN_ENDINGS` names for this kind of run."""
    path = settings.RUN_ENDINGS.get(run.TOPIC)
    if path is None:
        return
    try:
        with transaction.atomic():
            import_string(path)(run)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the whole ending is done again
    except Exception:  # a mistake in the news must never keep a run from ending
        logger.exception("the end of %s was not told to anybody", run)
