"""Addresses for one test: a view that forgot to say who may see it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path


def forgot(request: HttpRequest, pk: int) -> HttpResponse:
    return HttpResponse("anybody reads this")


urlpatterns = [path("open/<int:pk>/", forgot)]
