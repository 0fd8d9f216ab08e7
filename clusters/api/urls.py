"""Addresses under /api/ for clusters and connections."""

from __future__ import annotations

from django.urls import path

from clusters.api import views

urlpatterns = [
    path("clusters/", views.Clusters.as_view()),
    path("connections/", views.Connections.as_view()),
    path("connections/<str:name>/", views.ConnectionOne.as_view()),
    path("connections/<str:name>/test/", views.ConnectionTest.as_view()),
]
