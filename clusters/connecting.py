"""What a connection has to say, by its kind, and whether the other side answers.

Rules and tests live with the drivers, in apps above this one; the settings name them. A test may take its time, and never
longer than somebody who saves a connection will wait.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from clusters.models import Machine
from fangduoduo_release.common.errors import AppError, Invalid
from fangduoduo_release.common.http import say
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S, Sentence

logger = logging.getLogger(__name__)
TEST_S = 10.0
PLACEMENTS: ContextVar[tuple[dict[str, Any], ...]] = ContextVar("placements", default=())


def kinds() -> set[str]:
    """Every kind that a driver of some family goes by."""
    return {kind for family in settings.DRIVERS.values() for kind in family}


def check(connection: Connection) -> None:
    """What its kind asks of config and secrets. Raises Invalid, naming each field that is wrong."""
    path = settings.CONNECTION_RULES.get(connection.kind)
    if path is not None:
        import_string(path)(connection)


def can_be_tested(connection: Connection) -> bool:
    return connection.kind in settings.CONNECTION_TESTS


def outcome(
    ok: bool,
    sentence: Sentence,
    *,
    version: str = "",
    missing: Iterable[str | Sentence] = (),
    lost: Iterable[Sentence] = (),
    **facts: Any,
) -> dict[str, Any]:
    """What a test found, as tests say it. `lost`: what will not work; `facts`: more to remember, of JSON's kind."""
    return {"ok": ok, "version": version, "missing": list(missing), "lost": list(lost), "sentence": sentence, **facts}


def placements(connection: Connection) -> list[dict[str, Any]]:
    """Where machines of clusters behind this connection stand."""
    rows = Machine.objects.filter(cluster__connection=connection).order_by("pk")
    return [one for one in rows.values_list("placement", flat=True) if isinstance(one, dict)]


def look(connection: Connection) -> dict[str, Any]:
    """Try it, and remember on the row what was found: {ok, version, missing, lost, sentence}. Raises Invalid (nothing to try).

    The test runs in a thread that may be left behind; it must not touch the database. What it may want from there stands
    in `PLACEMENTS`.
    """
    path = settings.CONNECTION_TESTS.get(connection.kind)
    if path is None:
        raise Invalid(S("There is nothing to test about a connection of kind “%(kind)s”.", kind=connection.kind))
    found: list[dict[str, Any]] = []
    PLACEMENTS.set(tuple(placements(connection)))
    context = contextvars.copy_context()
    asking = threading.Thread(
        target=lambda: context.run(lambda: found.append(_tried(path, connection))), name="test", daemon=True
    )
    asking.start()
    asking.join(TEST_S)
    late = S("The other side has not answered within %(seconds)s seconds.", seconds=int(TEST_S))
    result = found[0] if found else outcome(False, late)
    told = {**_stored(result), "at": timezone.now().isoformat()}
    Connection.objects.filter(pk=connection.pk).update(last_test=told)
    connection.last_test = told
    return result


def _tried(path: str, connection: Connection) -> dict[str, Any]:
    try:
        result: dict[str, Any] = import_string(path)(connection)
        return result
    except AppError as error:
        return outcome(False, error.sentence)
    except Exception:  # a test that breaks says nothing about the page that asked for it
        logger.exception("the test of connection %s broke", connection.name)
        return outcome(False, S("The test itself broke; the portal's log says where."))


def shown(last_test: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a test found, just now or the last time, in the reader's language."""
    if not last_test:
        return None
    lists = {name: [_said(one) for one in last_test.get(name) or ()] for name in ("missing", "lost")}
    return {**last_test, **lists, "sentence": _said(last_test.get("sentence"))}


def _stored(value: Any) -> Any:
    """Sentences anywhere in what a test found, as rows hold them."""
    if isinstance(value, Sentence):
        return value.as_json()
    if isinstance(value, Mapping):
        return {name: _stored(one) for name, one in value.items()}
    return [_stored(one) for one in value] if isinstance(value, list | tuple) else value


def _said(value: Any) -> str:
    """A sentence, a stored one or mere words, in the reader's language."""
    if isinstance(value, Mapping):
        value = Sentence.from_json(value)
    return say(value) if isinstance(value, Sentence) else str(value or "")
