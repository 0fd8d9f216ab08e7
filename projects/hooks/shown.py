"""Deliveries and webhooks as ops are shown them: in words, and without secrets."""

from __future__ import annotations

import json
import zlib
from typing import Any

from django.conf import settings
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fangduoduo_release.audit.masking import clean, masked, plain
from fangduoduo_release.common.http import say
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import Sentence
from fangduoduo_release.common.storable import storable
from projects.models import HookDelivery

from . import refusals
from .dialects import of_connection
from .dialects.base import Unreadable, document
from .store import secrets_of, unpack

LONGEST_BODY = 200_000
LAST = 5
TITLES = {"github": "GitHub", "gitlab": "GitLab", "gitea": "Gitea, Forgejo, Gogs", "gerrit": "Gerrit"}
HOW = {
    "github": _(
        "In the repository or organisation: Settings, Webhooks, Add webhook. Payload URL: this address. Content type: "
        "application/json. Secret: the webhook secret. Just the push event."
    ),
    "gitlab": _(
        "In the project or group: Settings, Webhooks. URL: this address. Secret token (or signing token): the webhook "
        "secret. Push events and tag push events."
    ),
    "gitea": _(
        "In the repository or organisation: Settings, Webhooks, Add webhook, Gitea. Target URL: this address, POST, "
        "application/json. Secret: the webhook secret. Push events."
    ),
    "gerrit": _(
        "With the webhooks plugin, in the project's webhooks.config: url = this address with any user name and the webhook "
        "secret as password (https://portal:SECRET@…). Or let teamcode_trigger send the events; it signs them."
    ),
    "generic": _(
        'Anything that can send a request: POST {"repository", "ref", "before", "after"} as JSON, X-FDD-Timestamp with the '
        "seconds since 1970, and X-FDD-Signature: sha256= with the HMAC-SHA256 of timestamp, a point and the body."
    ),
}


def came_of(delivery: HookDelivery) -> str:
    """What became of it, in the reader's language."""
    error = delivery.error if isinstance(delivery.error, dict) else {}
    error = error.get("trouble") or error
    if error.get("sentence"):
        return say(Sentence.from_json(error["sentence"]))
    result = delivery.result if isinstance(delivery.result, dict) else {}
    if not result.get("sentence"):
        return gettext("It waits to be worked on.") if delivery.state == HookDelivery.State.NEW else ""
    said = say(Sentence.from_json(result["sentence"]))
    names = ", ".join(result.get("projects") or [])
    return f"{names}: {said}" if names else said


def pretty(delivery: HookDelivery) -> str:
    """Its body, laid out and with secrets masked."""
    try:
        body = unpack(bytes(delivery.body), delivery.size)
    except zlib.error:
        return gettext("The stored body cannot be unpacked.")
    shown = "\n".join(_laid_out(piece) for piece in _pieces(body))
    return shown if len(shown) <= LONGEST_BODY else f"{shown[:LONGEST_BODY]}…"


def _pieces(body: bytes) -> list[Any]:
    try:
        return [document(body)]
    except Unreadable:
        pass
    found: list[Any] = []
    for line in body.splitlines()[:1000]:
        try:
            found.append(document(line))
        except Unreadable:
            found.append(line[:LONGEST_BODY].decode(errors="replace"))
    return found


def _laid_out(value: Any) -> str:
    if isinstance(value, str):
        return clean(storable(value))
    return json.dumps(masked(plain(value)), indent=2, ensure_ascii=False)


def webhooks_of(connection: Connection) -> dict[str, Any]:
    """What the page of a connection says of its webhooks."""
    count, last = refusals.lately(connection.pk)
    rows = HookDelivery.objects.filter(connection=connection).defer("body").order_by("-pk")[:LAST]
    return {
        "connection": connection,
        "addresses": [
            {
                "title": TITLES.get(one.kind, gettext("Anything else")),
                "address": f"{settings.PUBLIC_URL}/hooks/{one.kind}/{connection.name}/",
                "how": HOW[one.kind],
            }
            for one in of_connection(connection.kind)
        ],
        "secrets": len(secrets_of(connection.secrets or {})),
        "deliveries": [(row, came_of(row)) for row in rows],
        "refused": count,
        "last_refused": say(Sentence.from_json(last["why"])) if last.get("why") else "",
        "last_refused_at": parse_datetime(str(last.get("at", ""))) if last else None,
        "last_refused_from": last.get("address", ""),
    }
