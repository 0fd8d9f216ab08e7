"""Addresses under /api/ for clusters, freeze windows and connections."""

from __future__ import annotations

from django.urls import path

from clusters.api import freezes, views
from clusters.gateway.views import Gateway

urlpatterns = [
    path("clusters/", views.Clusters.as_view()),
    path("clusters/<str:name>/k8s/<path:path>", Gateway.as_view()),
    path("clusters/<str:name>/", views.ClusterOne.as_view()),
    path("freezes/", freezes.Freezes.as_view()),
    path("freezes/<int:pk>/", freezes.FreezeOne.as_view()),
    path("machines/<str:name>/freezes/", freezes.MachineFreezes.as_view()),
    path("connections/", views.Connections.as_view()),
    path("connections/<str:name>/", views.ConnectionOne.as_view()),
    path("connections/<str:name>/test/", views.ConnectionTest.as_view()),
]
