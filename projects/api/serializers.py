"""Projects as JSON, in and out."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from clusters import placing
from clusters.api.serializers import ApprovalIn
from clusters.models import Environment, Machine
from fangduoduo_release.common.http import say
from projects import specs
from projects.cloning import ways
from projects.models import Project

SPEC_HELP = (
    "How it runs: `command[]` (none: what the image starts itself), `replicas`, `port`, `port_name`, `env{}`, `secrets{}` (go in,"
    " come out as names), `resources{cpu,memory}`, `health_check{}`, `files[{path,content}]`, `drain_s`, `stop_grace_s`,"
    " `start_deadline_s`, `config{source,key,files[{path,key}]}`; on Kubernetes also `autoscale{min,max,cpu_percent}`,"
    " `ingress{host,path,class_name,tls_secret}` and `files_at` (a folder in the container)."
)


class SourceIn(serializers.Serializer[Any]):
    """`create` makes the repository on the connection's server; `parent`, `group` and `branches` (the first is the
    default) are wishes for it."""

    kind = serializers.CharField(default="git", max_length=30)
    connection = serializers.CharField(required=False, allow_null=True, max_length=60)
    repository = serializers.CharField(required=False, allow_blank=True, max_length=500)
    create = serializers.BooleanField(required=False)
    parent = serializers.CharField(required=False, allow_blank=True, max_length=400)
    group = serializers.CharField(required=False, allow_blank=True, max_length=250)
    branches = serializers.ListField(child=serializers.CharField(max_length=200), required=False, max_length=20)


class BuilderIn(serializers.Serializer[Any]):
    """`embedded` needs no connection; every other kind does."""

    kind = serializers.CharField(required=False, max_length=30)
    connection = serializers.CharField(required=False, allow_null=True, max_length=60)


class RegistryIn(serializers.Serializer[Any]):
    """Where images go (null: nowhere) and their name there (empty: the slug)."""

    connection = serializers.CharField(required=False, allow_null=True, max_length=60)
    image = serializers.CharField(required=False, allow_blank=True, max_length=200)


class ProjectIn(serializers.Serializer[Any]):
    """What creates a project; the slug's rule is the action's."""

    slug = serializers.CharField(max_length=100)
    name = serializers.CharField(required=False, allow_blank=True, max_length=100)
    description = serializers.CharField(required=False, allow_blank=True, max_length=500)
    starter = serializers.CharField(required=False, allow_blank=True, max_length=60)
    source = SourceIn(required=False)
    builder = BuilderIn(required=False)
    registry = RegistryIn(required=False)
    spec = serializers.JSONField(required=False, help_text=SPEC_HELP)


class ProjectPatch(serializers.Serializer[Any]):
    name = serializers.CharField(required=False, max_length=100)
    description = serializers.CharField(required=False, allow_blank=True, max_length=500)
    default_branch = serializers.CharField(required=False, max_length=200)
    pipeline_origin = serializers.ChoiceField(choices=Project.PipelineOrigin.choices, required=False)
    archived = serializers.BooleanField(required=False)
    builder = BuilderIn(required=False)
    registry = RegistryIn(required=False)
    spec = serializers.JSONField(required=False, help_text=SPEC_HELP)


class ProjectOut(serializers.ModelSerializer[Project]):
    """A project in a list."""

    source = serializers.SerializerMethodField()
    builder = serializers.SerializerMethodField()
    registry = serializers.SerializerMethodField()

    class Meta:
        model = Project
        fields = [
            "slug", "name", "description", "source", "builder", "registry", "default_branch", "pipeline_origin",
            "archived", "created_at",
        ]  # fmt: skip

    @extend_schema_field(
        {
            "type": "object",
            "properties": {
                "kind": {"type": "string"},
                "connection": {"type": "string", "nullable": True},
                "repository": {"type": "string"},
                "clone_url": {"type": "string"},
                "ssh_url": {"type": "string", "nullable": True},
            },
        }
    )
    def get_source(self, project: Project) -> dict[str, Any]:
        how = ways(project)
        return {
            "kind": project.source_kind,
            "connection": project.source_connection.name if project.source_connection else None,
            "repository": project.repository,
            "clone_url": how["clone_url"],
            "ssh_url": how["ssh_url"] or None,
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

    @extend_schema_field(
        {
            "type": "object",
            "properties": {"connection": {"type": "string", "nullable": True}, "image": {"type": "string"}},
        }
    )
    def get_registry(self, project: Project) -> dict[str, Any]:
        connection = project.registry_connection
        return {"connection": connection.name if connection else None, "image": project.image}


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
    approval = serializers.SerializerMethodField()
    warnings = serializers.SerializerMethodField()

    class Meta:
        model = Machine
        fields = ["name", "cluster", "environment", "placement", "description", "approval", "granted", "warnings"]

    @extend_schema_field(
        {
            "type": "object",
            "properties": {
                "needed": {"type": "integer"},
                "role": {"type": "string"},
                "restoring": {"type": "boolean"},
            },
        }
    )
    def get_approval(self, machine: Machine) -> dict[str, Any]:
        return {
            "needed": machine.approvals_needed,
            "role": machine.approver_role,
            "restoring": machine.approve_restoring,
        }

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_granted(self, machine: Machine) -> list[str]:
        granted: dict[int, list[str]] = self.context.get("granted", {})
        return granted.get(machine.pk, [])

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_warnings(self, machine: Machine) -> list[str]:
        """What is allowed about its placement and still better done otherwise."""
        return [say(one) for one in placing.warnings(machine.cluster.kind, machine.placement)]


class MachineIn(serializers.ModelSerializer[Machine]):
    cluster = serializers.CharField(max_length=60)
    approval = ApprovalIn(required=False)

    class Meta:
        model = Machine
        fields = ["name", "cluster", "environment", "placement", "description", "approval"]
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "name": {"validators": []}
        }  # the action judges names: a taken one is a conflict


class MachinePatch(serializers.Serializer[Any]):
    environment = serializers.ChoiceField(choices=Environment.choices, required=False)
    placement = serializers.JSONField(required=False)
    description = serializers.CharField(required=False, allow_blank=True, max_length=200)
    approval = ApprovalIn(required=False)


class MemberOut(serializers.Serializer[Any]):
    """A role a person or a team holds now; one of `user` and `team` is null."""

    id = serializers.IntegerField()
    user = serializers.CharField(source="user.username", allow_null=True, default=None)
    team = serializers.CharField(source="team.name", allow_null=True, default=None)
    role = serializers.CharField()
    granted_by = serializers.CharField()
    reason = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True)
    emergency = serializers.BooleanField()
    request = serializers.IntegerField(source="request_id", allow_null=True)
    created_at = serializers.DateTimeField()


class MemberIn(serializers.Serializer[Any]):
    """A role for a `user` or for a `team`; null takes it away."""

    user = serializers.CharField(required=False, max_length=150)
    team = serializers.CharField(required=False, max_length=150)
    role = serializers.CharField(max_length=12, allow_null=True)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=300)
    until = serializers.DateTimeField(required=False, allow_null=True)
