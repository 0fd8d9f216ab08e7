"""API over a service's health checks: a view over its project's spec; a change is a new revision for the next deployment."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.drivers.runtime.spec import Check
from deployments.api.services import rows
from deployments.models import Service
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.api.views import ApiView
from permissions.enforce import OBJECT
from projects import specs
from projects.actions import save_spec
from projects.models import Project

NAMES = ("liveness", "readiness", "startup")


class HttpCheck(serializers.Serializer[Any]):
    path = serializers.CharField(required=False, max_length=2048)
    port = serializers.IntegerField(required=False, min_value=0, max_value=65535, help_text="0: the service's own.")


class TcpCheck(serializers.Serializer[Any]):
    port = serializers.IntegerField(required=False, min_value=0, max_value=65535, help_text="0: the service's own.")


class ExecCheck(serializers.Serializer[Any]):
    command = serializers.ListField(child=serializers.CharField(), min_length=1)


class CheckShape(serializers.Serializer[Any]):
    """Exactly one of http, tcp and exec; times in seconds."""

    http = HttpCheck(required=False)
    tcp = TcpCheck(required=False)
    exec = ExecCheck(required=False)
    initial_delay_s = serializers.FloatField(required=False)
    period_s = serializers.FloatField(required=False)
    timeout_s = serializers.FloatField(required=False)
    failure_threshold = serializers.IntegerField(required=False)


class HealthChecksShape(serializers.Serializer[Any]):
    """A check that is null or absent is not made."""

    liveness = CheckShape(required=False, allow_null=True)
    readiness = CheckShape(required=False, allow_null=True)
    startup = CheckShape(required=False, allow_null=True)


class ServiceHealthCheck(ApiView):
    permission = OBJECT
    serializer_class = HealthChecksShape
    queryset = Service.objects.all()

    @extend_schema(operation_id="service_health_check_get", responses=HealthChecksShape)
    def get(self, request: Request, pk: int) -> Response:
        return Response(_shown(policy.fetch(self.actor, rows(), pk=pk).project))

    @extend_schema(
        operation_id="service_health_check_put", request=HealthChecksShape, responses={200: HealthChecksShape}
    )
    def put(self, request: Request, pk: int) -> Response:
        project = policy.fetch(self.actor, rows(), pk=pk).project
        policy.require(self.actor, "change_project", project)
        given = HealthChecksShape(data=request.data)
        given.is_valid(raise_exception=True)
        revision = specs.latest(project)
        if revision is None:
            raise Invalid(S("This project has no spec yet; fill it in on its Settings page."), code="no_spec")
        checks = {name: check for name, check in given.validated_data.items() if check is not None}
        save_spec(actor=self.actor, project=project, spec={**revision.spec, "health_check": checks})
        return Response(_shown(project))


def _shown(project: Project) -> dict[str, Any]:
    revision = specs.latest(project)
    health = specs.service_spec(revision).health if revision else None
    return {name: _check(getattr(health, name, None)) for name in NAMES}


def _check(check: Check | None) -> dict[str, Any] | None:
    if check is None:
        return None
    how: dict[str, Any] = {
        "http": {"path": check.path, "port": check.port},
        "tcp": {"port": check.port},
        "exec": {"command": list(check.command)},
    }
    return {
        check.kind: how[check.kind],
        "initial_delay_s": check.initial_delay_s,
        "period_s": check.period_s,
        "timeout_s": check.timeout_s,
        "failure_threshold": check.failure_threshold,
    }
