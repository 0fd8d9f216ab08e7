"""Addresses under /api/ about people: what they did."""

from __future__ import annotations

from django.urls import path

from permissions.api import audit

urlpatterns = [
    path("audit/", audit.Audit.as_view()),
]
