"""Addresses under /api/ about people: who they are, and what they did."""

from __future__ import annotations

from django.urls import path

from permissions.api import audit, auth

urlpatterns = [
    path("audit/", audit.Audit.as_view()),
    path("auth/token/", auth.Obtain.as_view()),
    path("auth/token/refresh/", auth.Renew.as_view()),
    path("auth/token/revoke/", auth.End.as_view()),
    path("me/", auth.Me.as_view()),
]
