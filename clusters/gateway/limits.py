"""How often one caller may ask: so many reads and so many writes in a minute, for each person or token.

What N web processes let through together: see `common/rates.py`.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from fangduoduo_release.common import rates
from fangduoduo_release.common.errors import TooMany
from fangduoduo_release.common.sentence import S


def caller_of(actor: Any, token: Any) -> str:
    """Who is counted: a token by itself, else the person, wherever they come from."""
    return f"token-{token.pk}" if token is not None else f"person-{actor.pk}"


def take(caller: str, *, writes: bool) -> None:
    """Count one call. Raises TooMany."""
    most = settings.GATEWAY_WRITES_PER_MINUTE if writes else settings.GATEWAY_READS_PER_MINUTE
    if not most:
        return
    number, left = rates.count(f"gateway:{caller}:{'w' if writes else 'r'}")
    if number > most:
        sentence = (
            S("More than %(most)s changes in a minute; try again in the next one.", most=most)
            if writes
            else S("More than %(most)s questions in a minute; try again in the next one.", most=most)
        )
        raise TooMany(sentence, retry_after=left)
