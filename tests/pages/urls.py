"""Addresses for the tests of the shared parts: the gallery, a part that changes by itself, a log that grows."""

from __future__ import annotations

import itertools

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import include, path
from django.views.i18n import set_language

from fangduoduo_release.common.errors import Unavailable
from fangduoduo_release.common.http import away, refusal
from fangduoduo_release.common.sentence import S

from .growing_log import LOGS

counter = itertools.count(1)


def live(request: HttpRequest) -> HttpResponse:
    """A page with a part that counts how often it was fetched."""
    return render(request, "live.html", {"count": 0, "whole": True})


def live_part(request: HttpRequest) -> HttpResponse:
    return render(request, "live_part.html", {"count": next(counter)})


def live_other(request: HttpRequest) -> HttpResponse:
    """Another part, for who brings it into the page later."""
    return render(request, "live_other.html", {"count": next(counter)})


def slow_panel(request: HttpRequest) -> HttpResponse:
    """What a panel is filled with, when a test lets it."""
    return render(request, "slow_panel.html")


def service_log(request: HttpRequest) -> HttpResponse:
    return render(request, "slog_page.html")


def log_page(request: HttpRequest, name: str) -> HttpResponse:
    return render(request, "log_page.html", {"name": name})


def log_lines(request: HttpRequest, name: str) -> JsonResponse:
    if LOGS[name].away:
        return JsonResponse({}, status=503)
    stage = request.GET.get("stage", "")
    return JsonResponse(LOGS[name].lines(int(request.GET["from"]), int(request.GET["count"]), stage))


def log_find(request: HttpRequest, name: str) -> JsonResponse:
    backwards = request.GET["direction"] == "prev"
    return JsonResponse({"line": LOGS[name].find(request.GET["q"], int(request.GET["after"]), backwards)})


def log_marks(request: HttpRequest, name: str) -> JsonResponse:
    return JsonResponse({"first_error": None, "steps": []})


def driver_error(request: HttpRequest) -> HttpResponse:
    return refusal(request, Unavailable(S("The repository's server cannot be reached now."), evidence="timed out"))


urlpatterns = [
    path("gallery/", include("fangduoduo_release.gallery")),
    path("i18n/setlang/", set_language, name="set_language"),
    path("away/", away),
    path("driver-error/", driver_error),
    path("live/", live),
    path("live/part/", live_part),
    path("live/other/", live_other),
    path("slow-panel/", slow_panel),
    path("slog/", service_log),
    path("", live, name="home"),
    path("projects/", live, name="projects"),
    path("log/<slug:name>/", log_page),
    path("log/<slug:name>/lines/", log_lines, name="lines"),
    path("log/<slug:name>/find/", log_find, name="find"),
    path("log/<slug:name>/marks/", log_marks, name="marks"),
]
