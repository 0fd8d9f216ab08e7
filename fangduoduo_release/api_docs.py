"""The API's schema and its reading page, for whoever is signed in."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from permissions.enforce import SIGNED_IN


class Schema(SpectacularAPIView):
    permission = SIGNED_IN
    permission_classes = [IsAuthenticated]

    def handle_exception(self, exc: Exception) -> Response:
        # The document may be YAML; a problem is JSON.
        self.request.accepted_renderer, self.request.accepted_media_type = JSONRenderer(), "application/json"
        return super().handle_exception(exc)


class Docs(SpectacularSwaggerSplitView):
    """Swagger UI with its script in a request of its own, as the content security policy wants it."""

    permission = SIGNED_IN
    permission_classes = [IsAuthenticated]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return super().dispatch(request, *args, **kwargs)
