"""Addresses of the project pages."""

from __future__ import annotations

from django.urls import path

from projects.views import pages

urlpatterns = [
    path("projects/", pages.Projects.as_view(), name="projects"),
    path("projects/new/", pages.NewProject.as_view(), name="project-new"),
    path("projects/<str:slug>/settings/", pages.Settings.as_view(), name="project-settings"),
]
