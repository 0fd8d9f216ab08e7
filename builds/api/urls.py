"""Addresses under /api/ for builds, versions and pipelines."""

from __future__ import annotations

from django.urls import path

from builds.api import credentials, pipelines, templates, triggers, versions, views
from builds.logs.api import BuildLogText

urlpatterns = [
    path("builds/", views.Builds.as_view()),
    path("builds/<int:pk>/", views.BuildOne.as_view()),
    path("builds/<int:pk>/log/", BuildLogText.as_view()),
    path("builds/<int:pk>/cancel/", views.BuildCancel.as_view()),
    path("builds/<int:pk>/retry/", views.BuildRetry.as_view()),
    path("builds/<int:pk>/inputs/<str:ident>/", views.BuildAnswer.as_view()),
    path("projects/<str:slug>/builds/", views.ProjectBuilds.as_view()),
    path("projects/<str:slug>/versions/", versions.ProjectVersions.as_view()),
    path("versions/<int:pk>/", versions.VersionOne.as_view()),
    path("versions/<int:pk>/archive/", versions.VersionArchive.as_view()),
    path("projects/<str:slug>/pipeline/", pipelines.Pipeline.as_view()),
    path("projects/<str:slug>/pipeline/revisions/", pipelines.PipelineRevisions.as_view()),
    path("projects/<str:slug>/credentials/", credentials.Credentials.as_view()),
    path("projects/<str:slug>/credentials/<str:ident>/", credentials.CredentialOne.as_view()),
    path("pipelines/validate/", pipelines.PipelineValidate.as_view()),
    path("projects/<str:slug>/pipeline/upgrade/", templates.PipelineUpgrade.as_view()),
    path("projects/<str:slug>/triggers/", triggers.Triggers.as_view()),
    path("projects/<str:slug>/pushes/", triggers.Pushes.as_view()),
    path("templates/", templates.Templates.as_view()),
    path("templates/<str:slug>/", templates.TemplateOne.as_view()),
    path("templates/<str:slug>/revisions/", templates.TemplateRevisions.as_view()),
    path("templates/<str:slug>/diff/", templates.TemplateDiff.as_view()),
    path("templates/<str:slug>/projects/", templates.TemplateProjects.as_view()),
    path("build-service/resolve/", templates.Resolve.as_view()),
]
