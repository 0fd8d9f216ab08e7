"""Addresses under /builds/<id>/log/."""

from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("lines/", views.Lines.as_view(), name="build-log-lines"),
    path("find/", views.Find.as_view(), name="build-log-find"),
    path("marks/", views.Marks.as_view(), name="build-log-marks"),
    path("download/", views.Download.as_view(), name="build-log-download"),
]
