"""The ops screen for builds, versions, pipelines and credentials."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from builds import actions
from builds.models import (
    Artifact,
    Build,
    BuildLog,
    Credential,
    InputRequest,
    LogChunk,
    LogMark,
    PipelineRevision,
    Stage,
    TestResult,
    Version,
)
from permissions.admin_base import ReadOnlyAdmin


@admin.register(Build)
class BuildAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "state", "needs_ops", "trigger", "ref", "commit_sha", "started_by", "host", "created_at")
    list_filter = ("needs_ops", "state", "trigger")
    list_select_related = ("project", "started_by")
    search_fields = ("project__slug", "commit_sha", "key")
    actions = ["cancel", "retry_stuck", "give_up"]

    @admin.action(description=_("Cancel"))
    def cancel(self, request: HttpRequest, rows: QuerySet[Build]) -> None:
        def act(build: Build) -> None:
            actions.cancel_build(actor=request.user, build=build)

        self.each(request, rows, act, str(_("Asked to stop")))

    @admin.action(description=_("Needs ops: try again"))
    def retry_stuck(self, request: HttpRequest, rows: QuerySet[Build]) -> None:
        self._settle(request, rows, retry=True)

    @admin.action(description=_("Needs ops: give up"))
    def give_up(self, request: HttpRequest, rows: QuerySet[Build]) -> None:
        self._settle(request, rows, retry=False)

    def _settle(self, request: HttpRequest, rows: QuerySet[Build], *, retry: bool) -> None:
        def act(build: Build) -> None:
            actions.settle_for_ops(actor=request.user, build=build, retry=retry)

        self.each(request, rows, act, str(_("Done")))


@admin.register(Version)
class VersionAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "commit_sha", "ref", "image", "archive_size", "created_at", "removed_at")
    list_filter = ("removed_at",)
    list_select_related = ("project",)
    ordering = ("-pk",)
    search_fields = ("project__slug", "commit_sha", "archive_sha256", "digest")


@admin.register(PipelineRevision)
class PipelineAdmin(ReadOnlyAdmin):
    big_columns = ("text",)
    list_display = ("__str__", "origin", "author", "note", "created_at")
    list_filter = ("origin",)
    list_select_related = ("project",)
    search_fields = ("project__slug", "author")


@admin.register(Credential)
class CredentialAdmin(ReadOnlyAdmin):
    list_display = ("project", "ident", "kind", "description", "created_at")
    list_filter = ("kind",)
    list_select_related = ("project",)
    search_fields = ("project__slug", "ident")
    fields = ("project", "ident", "kind", "description", "created_at")


@admin.register(Stage)
class StageAdmin(ReadOnlyAdmin):
    list_display = ("build", "name", "kind", "state", "started_at", "finished_at")
    list_filter = ("state",)
    list_select_related = ("build__project",)
    search_fields = ("=build__id", "name")


@admin.register(InputRequest)
class InputAdmin(ReadOnlyAdmin):
    list_display = ("build", "message", "answer", "answered_by", "asked_at")
    list_select_related = ("build__project",)
    search_fields = ("=build__id", "message")


@admin.register(TestResult)
class TestResultAdmin(ReadOnlyAdmin):
    big_columns = ("details",)
    list_display = ("build", "suite", "name", "state", "duration_ms")
    list_select_related = ("build__project",)
    search_fields = ("=build__id", "name")


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin):
    list_display = ("build", "path", "size", "sha256")
    list_select_related = ("build__project",)
    search_fields = ("=build__id", "path", "sha256")


@admin.register(BuildLog)
class BuildLogAdmin(ReadOnlyAdmin):
    big_columns = ("index",)
    list_display = ("build", "size", "lines", "complete", "stored_size")
    list_select_related = ("build__project",)
    search_fields = ("=build__id",)
    exclude = ("index",)


@admin.register(LogChunk)
class LogChunkAdmin(ReadOnlyAdmin):
    big_columns = ("data",)
    list_display = ("build", "offset", "size", "first_line", "lines")
    list_select_related = ("build__project",)
    search_fields = ("=build__id",)
    exclude = ("data",)


@admin.register(LogMark)
class LogMarkAdmin(ReadOnlyAdmin):
    list_display = ("build", "line", "stage", "step", "label")
    list_select_related = ("build__project",)
    search_fields = ("=build__id",)
