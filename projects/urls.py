"""Addresses of the project pages."""

from __future__ import annotations

from django.urls import path

from projects.views import channels, configuration, pages, requests

urlpatterns = [
    path("projects/", pages.Projects.as_view(), name="projects"),
    path("projects/new/", pages.NewProject.as_view(), name="project-new"),
    path("projects/<str:slug>/settings/", pages.Settings.as_view(), name="project-settings"),
    path("requests/", requests.Requests.as_view(), name="requests"),
    path("requests/new/", requests.NewRequest.as_view(), name="request-new"),
    path("requests/<int:pk>/", requests.OneRequest.as_view(), name="request"),
    path("requests/renew/<str:kind>/<int:pk>/", requests.Renew.as_view(), name="grant-renew"),
    path("projects/<str:slug>/configuration/", configuration.Configuration.as_view(), name="project-configuration"),
    path(
        "projects/<str:slug>/configuration/<str:source>/<path:key>/",
        configuration.Config.as_view(),
        name="project-config",
    ),
    path("configuration/judge/", configuration.JudgeConfig.as_view(), name="config-judge"),
    path("projects/<str:slug>/channels/", channels.Channels.as_view(), name="project-channels"),
]
