"""Addresses of pages about when machines are frozen."""

from __future__ import annotations

from django.urls import path

from clusters import views

urlpatterns = [path("freezes/", views.Freezes.as_view(), name="freezes")]
