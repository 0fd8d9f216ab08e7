"""Addresses of the build pages."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("builds/<int:pk>/log/", include("builds.logs.urls")),
]
