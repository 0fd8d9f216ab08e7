"""Addresses of the project pages."""

from __future__ import annotations

from django.urls import path

from projects.views import channels, pages

urlpatterns = [
    path("projects/", pages.Projects.as_view(), name="projects"),
    path("projects/new/", pages.NewProject.as_view(), name="project-new"),
    path("projects/<str:slug>/settings/", pages.Settings.as_view(), name="project-settings"),
    path("projects/<str:slug>/channels/", channels.Channels.as_view(), name="project-channels"),
]
