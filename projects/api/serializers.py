"""Projects as JSON, in and out."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from clusters.models import Machine
from projects import specs
from projects.models import Project
from projects.sources import clone_url


class SourceIn(serializers.Serializer[Any]):
    kind = serializers.CharField(default="git", max_length=30)
    connection = serializers.CharField(required=False, allow_null=True, max_length=60)
    repository = serializers.CharField(required=False, allow_blank=True, max_length=500)


class ProjectIn(serializers.Serializer[Any]):
    """What creates a project; the slug's rule is the action's."""

    slug = serializers.CharField(max_length=100)
    name = serializers.CharField(required=False, allow_blank=True, max_length=100)
    description = serializers.CharField(required=False, allow_blank=True, max_length=500)
    starter = serializers.CharField(required=False, allow_blank=True, max_length=60)
    source = SourceIn(required=False)
    spec = serializers.JSONField(required=False)


class ProjectPatch(serializers.Serializer[Any]):
    name = serializers.CharField(required=False, max_length=100)
    description = serializers.CharField(required=False, allow_blank=True, max_length=500)
    default_branch = serializers.CharField(required=False, max_length=200)
    pipeline_origin = serializers.ChoiceField(choices=Project.PipelineOrigin.choices, required=False)
    archived = serializers.BooleanField(required=False)
    spec = serializers.JSONField(required=False)


class ProjectOut(serializers.ModelSerializer[Project]):
    """A project in a list."""

    source = serializers.SerializerMethodField()
    builder = serializers.SerializerMethodField()

    class Meta:
        model = Project
        fields = [
            "slug", "name", "description", "source", "builder", "default_branch", "pipeline_origin", "archived",
            "created_at",
        ]  # fmt: skip

    @extend_schema_field(
        {
            "type": "object",
            "properties": {
                "kind": {"type": "string"},
                "connection": {"type": "string", "nullable": True},
                "repository": {"type": "string"},
                "clone_url": {"type": "string"},
            },
        }
    )
    def get_source(self, project: Project) -> dict[str, Any]:
        return {
            "kind": project.source_kind,
            "connection": project.source_connection.name if project.source_connection else None,
            "repository": project.repository,
            "clone_url": clone_url(project),
        }

    @extend_schema_field(
        {
            "type": "object",
            "properties": {"kind": {"type": "string"}, "connection": {"type": "string", "nullable": True}},
        }
    )
    def get_builder(self, project: Project) -> dict[str, Any]:
        connection = project.builder_connection
        return {"kind": project.builder_kind, "connection": connection.name if connection else None}


class ProjectDetail(ProjectOut):
    """A project by itself: with its spec (secret names only)."""

    spec = serializers.SerializerMethodField()

    class Meta(ProjectOut.Meta):
        fields = [*ProjectOut.Meta.fields, "spec"]

    @extend_schema_field({"type": "object", "nullable": True, "additionalProperties": True})
    def get_spec(self, project: Project) -> dict[str, Any] | None:
        revision = specs.latest(project)
        if revision is None:
            return None
        return {**revision.spec, "secrets": sorted(revision.secrets or {}), "revision": revision.number}


class MachineOut(serializers.ModelSerializer[Machine]):
    """A machine, with the projects of the reader that may use it."""

    cluster = serializers.CharField(source="cluster.name")
    granted = serializers.SerializerMethodField()

    class Meta:
        model = Machine
        fields = ["name", "cluster", "environment", "placement", "description", "granted"]

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_granted(self, machine: Machine) -> list[str]:
        granted: dict[int, list[str]] = self.context.get("granted", {})
        return granted.get(machine.pk, [])


class MachineIn(serializers.ModelSerializer[Machine]):
    cluster = serializers.CharField(max_length=60)

    class Meta:
        model = Machine
        fields = ["name", "cluster", "environment", "placement", "description"]
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "name": {"validators": []}
        }  # the action judges names: a taken one is a conflict


class MemberOut(serializers.Serializer[Any]):
    """Who holds a role: a person or a team."""

    user = serializers.CharField(source="user.username", default=None, allow_null=True)
    team = serializers.CharField(source="team.name", default=None, allow_null=True)
    role = serializers.CharField()
    granted_by = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True)


class MemberIn(serializers.Serializer[Any]):
    user = serializers.CharField(max_length=150)
    role = serializers.CharField(max_length=12, allow_null=True)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=300)
