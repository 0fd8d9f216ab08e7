"""The portal's addresses as they are where OpenID Connect is switched on."""

from __future__ import annotations

from django.urls import path

from fangduoduo_release.urls import handler400, handler403, handler404, handler500, urlpatterns
from permissions.views import oidc

__all__ = ["handler400", "handler403", "handler404", "handler500"]
urlpatterns = [
    path("sign-in/oidc/", oidc.Start.as_view(), name="oidc-start"),
    path("sign-in/oidc/callback/", oidc.Callback.as_view(), name="oidc-callback"),
    *urlpatterns,
]
