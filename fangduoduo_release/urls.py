"""Which address leads to which room."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from fangduoduo_release import api_docs, health

urlpatterns = [
    path("admin/", admin.site.urls),
    path("healthz", health.Live.as_view()),
    path("readyz", health.Ready.as_view()),
    path("metrics", health.Metrics.as_view()),
    path("api/", include("permissions.api.urls")),
    path("api/", include("projects.api.urls")),
    path("api/", include("clusters.api.urls")),
    path("api/", include("builds.api.urls")),
    path("api/", include("deployments.api.urls")),
    path("api/schema/", api_docs.Schema.as_view(), name="schema"),
    path("api/docs/", api_docs.Docs.as_view(url_name="schema"), name="api-docs"),
    path("", include("permissions.urls")),
    path("", include("clusters.urls")),
    path("", include("projects.urls")),
    path("", include("builds.urls")),
    path("", include("deployments.urls")),
]

if settings.DEBUG:
    urlpatterns.append(path("gallery/", include("fangduoduo_release.gallery")))

handler400 = "fangduoduo_release.health.bad_request"
handler403 = "fangduoduo_release.health.forbidden"
handler404 = "fangduoduo_release.health.not_found"
handler500 = "fangduoduo_release.health.broken"
