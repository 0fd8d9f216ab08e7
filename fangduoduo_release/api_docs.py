"""The API's schema and its reading page, for whoever is signed in."""

from __future__ import annotations

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import IsAuthenticated

from permissions.enforce import SIGNED_IN


class Schema(SpectacularAPIView):
    permission = SIGNED_IN
    permission_classes = [IsAuthenticated]


class Docs(SpectacularSwaggerSplitView):
    """Swagger UI with its script in a request of its own, as the content security policy wants it."""

    permission = SIGNED_IN
    permission_classes = [IsAuthenticated]
