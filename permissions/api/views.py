"""The base of every API view: declared permission, idempotent writes, one actor."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.generics import GenericAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from fangduoduo_release.common.models import IdempotencyKey
from permissions import policy
from permissions.api import idempotency
from permissions.enforce import OPS

READING = frozenset({"GET", "HEAD", "OPTIONS"})


class ApiView(GenericAPIView):
    """`permission` as in permissions.enforce; `ops_writes` makes everything but reading need ops, `write_scope`
    names what a token needs to write where no project's permission is asked."""

    permission: ClassVar[str] = ""
    ops_writes: ClassVar[bool] = False
    write_scope: ClassVar[str] = ""
    remembers: ClassVar[bool] = True  # whether an Idempotency-Key keeps the answer
    _key: IdempotencyKey | None = None

    @property
    def actor(self) -> Any:
        return self.request.user

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        """JSON, whatever the Accept header says: a browser's address bar may ask too."""
        return JSONRenderer(), "application/json"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        reads = request.method in READING
        if not reads and request.method not in self.allowed_methods:
            raise MethodNotAllowed(str(request.method))  # before the rules below could speak of what does not exist
        if self.permission == OPS or (self.ops_writes and not reads):
            policy.require_ops(request.user)
        if self.write_scope and not reads:
            policy.require_scope(request.user, self.write_scope)
        if not reads and self.remembers and "Idempotency-Key" in request.headers:
            self._key = idempotency.begin(request, request.headers["Idempotency-Key"])

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, idempotency.Replay):
            return exc.response
        answer: Response | None = None
        try:
            answer = super().handle_exception(exc)
            return answer
        finally:
            if answer is None and self._key is not None:
                self._key.delete()  # a bug: nothing was answered, so the caller may try again

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if self._key is not None:
            idempotency.settle(self._key, response)
        return super().finalize_response(request, response, *args, **kwargs)
