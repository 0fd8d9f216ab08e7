"""Builds, pipelines and versions as JSON."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from builds.models import (
    Build,
    ChangeBuild,
    InputRequest,
    PipelineRevision,
    Review,
    Stage,
    Version,
)
from builds.validation import shown_parameters
from fangduoduo_release.common.http import say
from fangduoduo_release.common.sentence import S, Sentence

ERROR = {
    "type": "object",
    "nullable": True,
    "properties": {"code": {"type": "string"}, "sentence": {"type": "string"}, "evidence": {"type": "string"}},
}
COMMIT = {
    "type": "object",
    "properties": {"sha": {"type": "string"}, "author": {"type": "string"}, "message": {"type": "string"}},
}


def error_of(run: Any) -> dict[str, Any] | None:
    """A run's error with its sentence in the reader's language."""
    if not run.error:
        return None
    sentence = Sentence.from_json(run.error.get("sentence") or {})
    return {"code": run.error.get("code", ""), "sentence": say(sentence), "evidence": run.error.get("evidence", "")}


class StageOut(serializers.ModelSerializer[Stage]):
    duration_ms = serializers.IntegerField(read_only=True, allow_null=True)

    class Meta:
        model = Stage
        fields = ["ident", "parent", "name", "kind", "state", "started_at", "finished_at", "duration_ms"]


class InputOut(serializers.ModelSerializer[InputRequest]):
    class Meta:
        model = InputRequest
        fields = [
            "ident",
            "stage",
            "message",
            "ok_label",
            "submitters",
            "parameters",
            "answer",
            "answered_by",
            "asked_at",
        ]


class VersionBrief(serializers.ModelSerializer[Version]):
    class Meta:
        model = Version
        fields = ["id", "number"]


class ReviewOut(serializers.ModelSerializer[Review]):
    """What was told where the change is reviewed; `value` is the vote, null for none."""

    error = serializers.SerializerMethodField()

    class Meta:
        model = Review
        fields = ["what", "value", "state", "error", "sent_at"]

    @extend_schema_field({"type": "string", "nullable": True})
    def get_error(self, review: Review) -> str | None:
        return say(Sentence.from_json(review.said)) if review.said else None


class ChangeOut(serializers.ModelSerializer[ChangeBuild]):
    """The text of a change that was built."""

    reviews = ReviewOut(source="build.reviews", many=True, read_only=True)

    class Meta:
        model = ChangeBuild
        fields = ["number", "patch_set", "change_id", "branch", "url", "reviews"]


class BuildOut(serializers.ModelSerializer[Build]):
    """A build in a list."""

    project = serializers.CharField(source="project.slug")
    commit = serializers.SerializerMethodField()
    tests = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    parameters = serializers.SerializerMethodField()
    version = VersionBrief(read_only=True, allow_null=True, default=None)
    started_by = serializers.CharField(source="started_by.username", allow_null=True, default=None)
    duration_ms = serializers.IntegerField(read_only=True, allow_null=True)
    url = serializers.SerializerMethodField()
    change = serializers.SerializerMethodField()

    class Meta:
        model = Build
        fields = [
            "id", "key", "number", "project", "ref", "commit", "trigger", "state", "parameters", "tests", "version",
            "external_url", "error", "started_by", "needs_ops", "created_at", "started_at", "finished_at", "duration_ms",
            "url", "change",
        ]  # fmt: skip

    @extend_schema_field(ChangeOut(allow_null=True))
    def get_change(self, build: Build) -> dict[str, Any] | None:
        change = getattr(build, "change", None)
        return dict(ChangeOut(change).data) if change else None

    @extend_schema_field(COMMIT)
    def get_commit(self, build: Build) -> dict[str, str]:
        return {"sha": build.commit_sha, "author": build.commit_author, "message": build.commit_subject}

    @extend_schema_field(
        {
            "type": "object",
            "nullable": True,
            "properties": {n: {"type": "integer"} for n in ("passed", "failed", "skipped")},
        }
    )
    def get_tests(self, build: Build) -> dict[str, int] | None:
        if build.tests_passed is None:
            return None
        return {
            "passed": build.tests_passed,
            "failed": build.tests_failed or 0,
            "skipped": build.tests_skipped or 0,
        }

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_parameters(self, build: Build) -> dict[str, Any]:
        return shown_parameters(build)

    @extend_schema_field(ERROR)
    def get_error(self, build: Build) -> dict[str, Any] | None:
        return error_of(build)

    def get_url(self, build: Build) -> str:
        return f"{settings.PUBLIC_URL}/builds/{build.pk}/"


class ArtifactOut(serializers.Serializer[Any]):
    path = serializers.CharField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField()


class BuildDetail(BuildOut):
    """A build by itself: with stages, inputs and artifacts."""

    stages = StageOut(many=True, read_only=True)
    artifacts = ArtifactOut(many=True, read_only=True)
    inputs = InputOut(many=True, read_only=True)
    pipeline_revision = serializers.IntegerField(source="pipeline.number", allow_null=True, default=None)

    class Meta(BuildOut.Meta):
        fields = [*BuildOut.Meta.fields, "stages", "artifacts", "inputs", "pipeline_revision"]


class BuildIn(serializers.Serializer[Any]):
    ref = serializers.CharField(required=False, allow_blank=True, max_length=250)
    parameters = serializers.DictField(required=False)


class AnswerIn(serializers.Serializer[Any]):
    proceed = serializers.BooleanField()
    values = serializers.DictField(required=False)


class VersionOut(serializers.ModelSerializer[Version]):
    project = serializers.CharField(source="project.slug")
    build = serializers.IntegerField(source="build_id")
    commit = serializers.SerializerMethodField()
    archive = serializers.SerializerMethodField()
    pin = serializers.CharField(read_only=True)
    deployed_on = serializers.SerializerMethodField()

    class Meta:
        model = Version
        fields = [
            "id", "number", "project", "build", "commit", "ref", "image", "digest", "archive", "pin", "notes",
            "deployed_on", "created_at", "removed_at",
        ]  # fmt: skip

    @extend_schema_field(COMMIT)
    def get_commit(self, version: Version) -> dict[str, str]:
        return {"sha": version.commit_sha, "author": version.commit_author, "message": version.commit_subject}

    @extend_schema_field(
        {
            "type": "object",
            "nullable": True,
            "properties": {"sha256": {"type": "string"}, "size": {"type": "integer"}},
        }
    )
    def get_archive(self, version: Version) -> dict[str, Any] | None:
        if not version.archive_sha256:
            return None
        return {"sha256": version.archive_sha256, "size": version.archive_size}

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_deployed_on(self, version: Version) -> list[str]:
        return sorted(service.machine.name for service in version.wanted_by.all())  # type: ignore[attr-defined]


class PipelineRevisionOut(serializers.ModelSerializer[PipelineRevision]):
    revision = serializers.IntegerField(source="number")
    template = serializers.CharField(source="template_revision.template.slug", allow_null=True, default=None)
    template_revision = serializers.IntegerField(source="template_revision.number", allow_null=True, default=None)

    class Meta:
        model = PipelineRevision
        fields = [
            "revision", "origin", "template", "template_revision", "sha256", "author", "note", "created_at", "text",
        ]  # fmt: skip


class PipelineOut(serializers.Serializer[Any]):
    """`template` and `template_revision` are null for a pipeline that was not taken from a template. `origin` is
    `repository`, `portal`, or `service` where the build service chose it."""

    template = serializers.CharField(allow_null=True)
    template_revision = serializers.IntegerField(allow_null=True)
    origin = serializers.CharField()
    text = serializers.CharField()
    revision = serializers.IntegerField(allow_null=True)
    parameters = serializers.ListField(child=serializers.DictField())


class PipelineIn(serializers.Serializer[Any]):
    """A text, a template to take as it is, or both: then the text is a copy of that template's revision."""

    text = serializers.CharField(required=False, max_length=1 << 20, trim_whitespace=False)
    template = serializers.CharField(required=False, max_length=50)
    template_revision = serializers.IntegerField(required=False, min_value=1, max_value=10**9)
    note = serializers.CharField(required=False, allow_blank=True, max_length=200)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "text" not in attrs and not attrs.get("template"):
            raise serializers.ValidationError({"text": say(S("Give a text or a template."))})
        return attrs


class ValidateIn(serializers.Serializer[Any]):
    """With a project its own Jenkins judges, where it builds on one; `judged_by` says who spoke."""

    text = serializers.CharField(max_length=2 << 20, allow_blank=True, trim_whitespace=False)
    project = serializers.CharField(required=False, max_length=50)


class ProblemOut(serializers.Serializer[Any]):
    line = serializers.IntegerField()
    column = serializers.IntegerField()
    message = serializers.CharField()


class ValidationOut(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    judged_by = serializers.CharField()
    errors = ProblemOut(many=True)
    warnings = ProblemOut(many=True)
    stages = serializers.ListField(child=serializers.DictField())
