"""The same Idempotency-Key gives the same answer: the first request's, whatever became of the connection.

A row is written before the work begins and filled when it is answered. What ended in an error of ours (5xx) is
forgotten, so that the caller may try again; what never ended (a killed process) is never done twice: we cannot know.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from fangduoduo_release.common.errors import Conflict, Invalid
from fangduoduo_release.common.models import IdempotencyKey
from fangduoduo_release.common.sentence import S

MAX_KEY = 120
UNDER_WAY = timedelta(minutes=5)  # no write takes longer; what has no answer by then was cut off


class Replay(Exception):
    """Carries the first answer out of the view that must not run again."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def begin(request: Request, key: str) -> IdempotencyKey:
    """Take the key for this request. Raises Replay, Conflict (other request, under way, unknown), Invalid."""
    if not 1 <= len(key) <= MAX_KEY:
        raise Invalid(S("An Idempotency-Key has 1 to 120 characters."))
    owner = str(request.user.pk)
    text = json.dumps([request.method, request.get_full_path(), request.data], sort_keys=True, default=str)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    try:
        with transaction.atomic():
            return IdempotencyKey.objects.create(owner=owner, key=key, fingerprint=fingerprint)
    except IntegrityError as error:
        known = IdempotencyKey.objects.filter(owner=owner, key=key).first()
        if known is not None and known.fingerprint != fingerprint:
            raise Conflict(
                S("This Idempotency-Key was used for a different request."), code="idempotency_reused"
            ) from error
        if known is not None and known.status is not None:
            raise Replay(_again(known)) from error
        if known is not None and known.created_at < timezone.now() - UNDER_WAY:
            raise Conflict(
                S("The first request with this key was cut off; look whether it took effect, then use a new key."),
                code="outcome_unknown",
            ) from error
        raise Conflict(S("The first request with this key is still under way."), code="in_progress") from error


def _again(known: IdempotencyKey) -> Response:
    kind = "application/problem+json" if (known.status or 0) >= 400 else None
    return Response(known.body, status=known.status, content_type=kind)


def settle(row: IdempotencyKey, response: Any) -> None:
    """Remember the answer, or forget the key when the answer is an error of ours."""
    if response.status_code >= 500:
        row.delete()
        return
    row.status, row.body = response.status_code, _plain(getattr(response, "data", None))
    row.save(update_fields=["status", "body"])


def _plain(data: Any) -> Any:
    """Serializer output as plain JSON values (dates and UUIDs as text)."""
    return json.loads(json.dumps(data, cls=JSONEncoder))
