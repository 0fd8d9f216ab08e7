"""`GET /api/builds/{id}/log/?offset=N`: a log for scripts, as bytes from an offset."""

from __future__ import annotations

import re
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from builds.models import Build
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.api.views import ApiView
from permissions.enforce import OBJECT

from . import reader
from .sending import answer

LIMIT = 16 * 1024 * 1024  # bytes of one answer


class BuildLogText(ApiView):
    """Bytes from `offset`, at most 16 MiB. Go on at X-Log-Next-Offset until X-Log-Complete is true: nothing follows."""

    permission = OBJECT
    queryset = Build.objects.all()

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        """Whatever is asked for: bytes are text, errors are JSON."""
        return JSONRenderer(), "application/json"

    @extend_schema(
        operation_id="builds_log",
        parameters=[
            OpenApiParameter("offset", int, description="the first byte wanted"),
            OpenApiParameter("limit", int, description="at most so many bytes"),
            OpenApiParameter("X-Log-Next-Offset", int, location="header", response=[200]),
            OpenApiParameter("X-Log-Complete", bool, location="header", response=[200]),
        ],
        responses={(200, "text/plain"): OpenApiResponse(OpenApiTypes.BINARY)},
    )
    def get(self, request: Request, pk: int) -> StreamingHttpResponse:
        build = policy.fetch(self.actor, Build.objects.all(), pk=pk)
        offset, limit = self._number("offset", 0), min(self._number("limit", LIMIT), LIMIT)
        now = reader.head(build.pk)
        end = min(now.size, offset + limit)
        response = answer(request._request, reader.pieces(now, offset, limit))
        response["Content-Length"] = str(max(0, end - offset))
        response["X-Log-Next-Offset"] = str(max(end, min(offset, now.size)))
        # A build that ended before it said a word has no log to complete: nothing will follow either.
        over = now.complete or (build.is_final and not now.size)
        response["X-Log-Complete"] = "true" if over and end >= now.size else "false"
        return response

    def _number(self, name: str, default: int) -> int:
        text = self.request.query_params.get(name, "")
        if not re.fullmatch(r"[0-9]{0,15}", text):
            raise Invalid(S("%(name)s must be a whole number from 0.", name=name))
        return int(text) if text else default
