"""Services and deployments as JSON."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from builds.api.serializers import ERROR, VersionBrief, error_of
from deployments import pinning
from deployments.addresses import address_of
from deployments.models import Deployment, DeploymentApproval, Instance, Service
from fangduoduo_release.common.http import say
from fangduoduo_release.common.sentence import Sentence

OBJECT = {"type": "object", "additionalProperties": True}


class DeploymentIn(serializers.Serializer[Any]):
    machine = serializers.CharField(max_length=60)
    action = serializers.CharField(max_length=10, default="deploy")
    version = serializers.IntegerField(
        required=False, allow_null=True, help_text="The version's number in its project."
    )
    strategy = serializers.CharField(max_length=10, required=False, default="rolling")
    replicas = serializers.IntegerField(required=False, allow_null=True)
    reason = serializers.CharField(required=False, allow_blank=True, max_length=300)
    take_over = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Of fields that somebody else set in the cluster (`conflicts` of a preview).",
    )


class DecisionIn(serializers.Serializer[Any]):
    """`sha256` is the deployment's `approval.sha256` as you read it: a decision about anything else is refused."""

    note = serializers.CharField(required=False, allow_blank=True, max_length=300)
    sha256 = serializers.CharField(required=False, allow_blank=True, max_length=64)


class DecisionOut(serializers.ModelSerializer[DeploymentApproval]):
    by = serializers.CharField(source="decided_by_name")

    class Meta:
        model = DeploymentApproval
        fields = ["by", "verdict", "note", "decided_at"]


class ApprovalOut(serializers.Serializer[Any]):
    """What a deployment waits, or waited, for."""

    needed = serializers.IntegerField(source="approvals_needed")
    role = serializers.CharField(source="approver_role")
    sha256 = serializers.CharField(source="asked_sha256")
    decisions = DecisionOut(source="approvals", many=True)


class FieldConflictOut(serializers.Serializer[Any]):
    """A field that another manager of the cluster's objects owns: of which object (kind/name), its path, whose it is."""

    what = serializers.CharField()
    field = serializers.CharField()  # type: ignore[assignment]
    owner = serializers.CharField()


class DeploymentOut(serializers.ModelSerializer[Deployment]):
    project = serializers.CharField(source="service.project.slug")
    machine = serializers.CharField(source="service.machine.name")
    version = VersionBrief(allow_null=True)
    previous_version = VersionBrief(allow_null=True)
    started_by = serializers.CharField(source="started_by.username", allow_null=True, default=None)
    pins = serializers.SerializerMethodField()
    takes_over = serializers.SerializerMethodField()
    progress = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    duration_ms = serializers.IntegerField(read_only=True, allow_null=True)
    approval = serializers.SerializerMethodField()
    despite_freeze = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()

    class Meta:
        model = Deployment
        fields = [
            "id", "key", "number", "service", "project", "machine", "action", "strategy", "state", "phase", "version",
            "previous_version", "replicas", "reason", "take_over", "takes_over", "started_by", "pins", "progress", "error", "needs_ops",
            "created_at", "started_at", "finished_at", "duration_ms", "approval", "despite_freeze", "url",
        ]  # fmt: skip

    @extend_schema_field(OBJECT)
    def get_pins(self, deployment: Deployment) -> dict[str, Any]:
        return pinning.shown(deployment.pins)

    @extend_schema_field(FieldConflictOut(many=True))
    def get_takes_over(self, deployment: Deployment) -> list[dict[str, Any]]:
        return list(deployment.pins.get("taken_over", []))

    @extend_schema_field(
        {
            "type": "object",
            "properties": {
                "ready": {"type": "integer"},
                "total": {"type": "integer"},
                "percent": {"type": "integer"},
                "expected_ms": {"type": "integer", "nullable": True},
            },
        }
    )
    def get_progress(self, deployment: Deployment) -> dict[str, Any]:
        return {
            "ready": deployment.ready,
            "total": deployment.total,
            "percent": deployment.percent,
            "expected_ms": deployment.expected_ms,
        }

    @extend_schema_field(ERROR)
    def get_error(self, deployment: Deployment) -> dict[str, Any] | None:
        return error_of(deployment)

    @extend_schema_field(ApprovalOut(allow_null=True))
    def get_approval(self, deployment: Deployment) -> dict[str, Any] | None:
        return dict(ApprovalOut(deployment).data) if deployment.asked_sha256 else None

    @extend_schema_field({"type": "string", "nullable": True})
    def get_despite_freeze(self, deployment: Deployment) -> str | None:
        """The freeze that an emergency overrode, as a sentence."""
        return say(Sentence.from_json(deployment.despite_freeze)) if deployment.despite_freeze else None

    def get_url(self, deployment: Deployment) -> str:
        return f"{settings.PUBLIC_URL}/deployments/{deployment.pk}/"


class PreviewOut(serializers.Serializer[Any]):
    diff = serializers.CharField()
    warnings = serializers.ListField(child=serializers.CharField())
    pins = serializers.DictField()
    expected_duration_ms = serializers.IntegerField(allow_null=True)
    version = serializers.IntegerField(allow_null=True)
    replicas = serializers.IntegerField()
    commits = serializers.ListField(child=serializers.DictField())
    conflicts = FieldConflictOut(many=True)
    deletes = serializers.ListField(child=serializers.CharField(), help_text="Objects that will not be there any more.")


class EventOut(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    text = serializers.CharField()
    data = serializers.DictField()


class InstanceOut(serializers.ModelSerializer[Instance]):
    reason = serializers.SerializerMethodField()

    class Meta:
        model = Instance
        fields = [
            "name", "state", "ready", "restarts", "digest", "started_at", "node", "address", "containers", "reason",
        ]  # fmt: skip

    @extend_schema_field({"type": "string", "nullable": True})
    def get_reason(self, instance: Instance) -> str | None:
        """Why it is not well, as a sentence."""
        return say(Sentence.from_json(instance.reason)) if instance.reason else None


class ServiceOut(serializers.ModelSerializer[Service]):
    project = serializers.CharField(source="project.slug")
    machine = serializers.CharField(source="machine.name")
    environment = serializers.CharField(source="machine.environment")
    version = VersionBrief(allow_null=True)
    wanted = serializers.SerializerMethodField()
    observed = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()
    traffic = serializers.SerializerMethodField()
    config = serializers.SerializerMethodField()
    drift = serializers.SerializerMethodField()

    class Meta:
        model = Service
        fields = [
            "id", "key", "project", "machine", "environment", "version", "wanted", "observed", "url", "traffic", "config",
            "drift",
        ]  # fmt: skip

    @extend_schema_field(OBJECT)
    def get_wanted(self, service: Service) -> dict[str, Any]:
        spec = service.spec_revision
        return {
            "version": service.version.number if service.version else None,
            "replicas": service.replicas,
            "spec_revision": spec.number if spec else None,
            "digest": service.version.pin_on(service.machine.cluster.kind) if service.version else "",
        }

    @extend_schema_field(OBJECT)
    def get_observed(self, service: Service) -> dict[str, Any]:
        """`updated_at`: of the last change. `age_ms`: how long ago this was known to be so; null: never. `followed`: somebody
        keeps it up to date."""
        return {
            "state": service.state,
            "ready": service.ready,
            "total": service.total,
            "digest": service.observed_digest,
            "updated_at": service.observed_at.isoformat() if service.observed_at else None,
            "age_ms": self.context["known"][service.pk].age_ms,
            "followed": self.context["known"][service.pk].followed,
        }

    @extend_schema_field({"type": "object", "nullable": True, "additionalProperties": True})
    def get_config(self, service: Service) -> dict[str, Any] | None:
        """What is pinned of the configuration that is wanted now."""
        return service.config

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_drift(self, service: Service) -> list[str]:
        """How what is applied was changed by somebody else's hand, as sentences."""
        return [say(Sentence.from_json(one)) for one in service.drift]

    @extend_schema_field({"type": "string", "nullable": True})
    def get_url(self, service: Service) -> str | None:
        return address_of(service) or None

    @extend_schema_field(
        {"type": "object", "properties": {"stable": {"type": "integer"}, "canary": {"type": "integer"}}}
    )
    def get_traffic(self, service: Service) -> dict[str, int]:
        return {"stable": 100 if service.version_id else 0, "canary": 0}
