"""Addresses of the build pages."""

from __future__ import annotations

from django.urls import include, path

from builds.views import jobs, pages, pipelines, templates, triggers

urlpatterns = [
    path("builds/", pages.Builds.as_view(), name="builds"),
    path("builds/<int:pk>/", pages.BuildPage.as_view(), name="build"),
    path("builds/<int:pk>/log/", include("builds.logs.urls")),
    path("builds/<int:pk>/tests/", pages.BuildTests.as_view(), name="build-tests"),
    path("builds/<int:pk>/inputs/<str:ident>/", pages.AnswerInput.as_view(), name="build-input"),
    path("builds/<int:pk>/files/<path:path>", pages.ArtifactFile.as_view(), name="artifact"),
    path("builds/<int:pk>/do/<str:verb>/", pages.BuildVerb.as_view(), name="build-verb"),
    path("versions/<int:pk>/archive/", pages.ArchiveFile.as_view(), name="version-archive"),
    path("pipelines/judge/", pipelines.Judge.as_view(), name="pipeline-judge"),
    path("projects/<str:slug>/builds/", pages.ProjectBuilds.as_view(), name="project-builds"),
    path("projects/<str:slug>/builds/start/", pages.StartBuild.as_view(), name="project-start-build"),
    path("projects/<str:slug>/versions/", pages.ProjectVersions.as_view(), name="project-versions"),
    path("projects/<str:slug>/pipeline/", pipelines.Pipeline.as_view(), name="project-pipeline"),
    path("projects/<str:slug>/pipeline/<int:number>/", pipelines.RevisionPage.as_view(), name="pipeline-revision"),
    path("projects/<str:slug>/pipeline/template/", templates.ProjectTemplate.as_view(), name="pipeline-template"),
    path("projects/<str:slug>/pipeline/compare/", templates.PipelineCompare.as_view(), name="pipeline-compare"),
    path("projects/<str:slug>/pipeline/upgrade/", templates.PipelineUpgrade.as_view(), name="pipeline-upgrade"),
    path("projects/<str:slug>/pipeline/job/", jobs.JobPage.as_view(), name="pipeline-job"),
    path("projects/<str:slug>/triggers/", triggers.Triggers.as_view(), name="project-triggers"),
    path("projects/<str:slug>/triggers/try/", triggers.TryTrigger.as_view(), name="project-triggers-try"),
    path("templates/", templates.Templates.as_view(), name="templates"),
    path("templates/<str:slug>/", templates.TemplatePage.as_view(), name="template"),
    path("templates/<str:slug>/compare/", templates.TemplateCompare.as_view(), name="template-compare"),
]
