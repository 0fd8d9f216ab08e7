"""The base of every API view: declared permission, idempotent writes, one actor."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from django.db import IntegrityError, transaction
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from fangduoduo_release.common.errors import Conflict, Invalid
from fangduoduo_release.common.models import IdempotencyKey
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.enforce import OPS


class _Replay(Exception):
    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class ApiView(GenericAPIView):
    """`permission` as in permissions.enforce; `ops_writes` makes everything but reading need ops."""

    permission: ClassVar[str] = ""
    ops_writes: ClassVar[bool] = False
    _idempotency: IdempotencyKey | None = None

    @property
    def actor(self) -> Any:
        return self.request.user

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.permission == OPS or (self.ops_writes and request.method not in {"GET", "HEAD", "OPTIONS"}):
            policy.require_ops(request.user)
        if request.method == "POST" and "Idempotency-Key" in request.headers:
            self._remember(request)

    def _remember(self, request: Request) -> None:
        key = request.headers["Idempotency-Key"]
        if not 1 <= len(key) <= 120:
            raise Invalid(S("An Idempotency-Key has 1 to 120 characters."))
        text = f"{request.method} {request.get_full_path()} {request.data!r}"
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        try:
            with transaction.atomic():
                self._idempotency = IdempotencyKey.objects.create(
                    owner=str(request.user.pk), key=key, fingerprint=fingerprint
                )
        except IntegrityError as error:
            known = IdempotencyKey.objects.get(owner=str(request.user.pk), key=key)
            if known.fingerprint != fingerprint:
                raise Conflict(
                    S("This Idempotency-Key was used for a different request."), code="idempotency_reused"
                ) from error
            if known.status is None:
                raise Conflict(S("The first request with this key is still under way."), code="in_progress") from error
            raise _Replay(Response(known.body, status=known.status)) from error

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, _Replay):
            return exc.response
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        row = self._idempotency
        if row is not None:
            if response.status_code < 500:
                row.status, row.body = response.status_code, _plain(response.data)
                row.save(update_fields=["status", "body"])
            else:
                row.delete()  # nothing was decided: the caller may try again with the same key
        return super().finalize_response(request, response, *args, **kwargs)


def _plain(data: Any) -> Any:
    """Serializer output as plain JSON values (dates and UUIDs as text)."""
    return json.loads(json.dumps(data, cls=JSONEncoder))
