"""The ops screen for builds, versions, pipelines and credentials."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from builds import actions, template_actions
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
    Template,
    TemplateRevision,
    TestResult,
    Version,
)
from builds.rule_admin import ReviewAdmin
from builds.template_forms import TemplateForm
from permissions.admin_base import PortalAdmin, ReadOnlyAdmin

__all__ = ["ReviewAdmin"]  # registers itself, and what stands beside it


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


@admin.register(Template)
class TemplateAdmin(PortalAdmin):
    """Editing one makes its next revision. None is deleted: projects' copies remember where they came from."""

    form = TemplateForm
    fields = ("slug", "name", "description", "language", "text", "note")
    list_display = ("slug", "name", "language", "builtin", "retired", "created_at")
    list_filter = ("retired", "builtin", "language")
    search_fields = ("slug", "name", "description")
    actions = ["retire", "restore"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    has_change_permission = PortalAdmin.has_view_permission

    def save_model(self, request: HttpRequest, obj: Template, form: ModelForm[Any], change: bool) -> None:
        given = form.cleaned_data
        revision = template_actions.save_template(
            actor=request.user,
            slug=obj.slug,
            text=given["text"],
            note=given["note"],
            new=not change,
            **{name: given[name] for name in ("name", "description", "language")},
        )
        obj.pk = revision.template_id

    @admin.action(description=_("Retire: offer it to nobody new"))
    def retire(self, request: HttpRequest, rows: QuerySet[Template]) -> None:
        self._offer(request, rows, retired=True)

    @admin.action(description=_("Offer it again"))
    def restore(self, request: HttpRequest, rows: QuerySet[Template]) -> None:
        self._offer(request, rows, retired=False)

    def _offer(self, request: HttpRequest, rows: QuerySet[Template], *, retired: bool) -> None:
        def act(template: Template) -> None:
            template_actions.retire_template(actor=request.user, template=template, retired=retired)

        self.each(request, rows, act, str(_("Done")))


@admin.register(TemplateRevision)
class TemplateRevisionAdmin(ReadOnlyAdmin):
    big_columns = ("text",)
    list_display = ("__str__", "author", "note", "created_at")
    list_select_related = ("template",)
    search_fields = ("template__slug", "author", "note")
