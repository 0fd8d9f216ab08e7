"""API over services: what is wanted, what is observed, and what the instances say."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpResponse
from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.drivers.runtime.base import LogQuery
from clusters.runtimes import runtime_of
from deployments import freshness, wanted
from deployments.api.serializers import InstanceOut, ServiceOut
from deployments.models import Instance, Service
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.api.views import ApiView
from permissions.enforce import OBJECT
from projects.api.views import fetch_project

MAX_TAIL = 5000


def rows() -> Any:
    return Service.objects.select_related("project", "machine__cluster", "version", "spec_revision")


def shown(found: Any, *, many: bool = False) -> Any:
    """A service, or a page of them, as JSON."""
    known = freshness.of_services(found or [] if many else [found])
    return ServiceOut(found, many=many, context={"known": known}).data


class ProjectServices(ApiView):
    permission = OBJECT
    serializer_class = ServiceOut
    queryset = Service.objects.all()
    filterset_fields = ["machine__name", "machine__environment"]

    @extend_schema(operation_id="project_services_list", responses=ServiceOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        page = self.paginate_queryset(self.filter_queryset(rows().filter(project=project)))
        return self.get_paginated_response(shown(page, many=True))


class ServiceOne(ApiView):
    permission = OBJECT
    serializer_class = ServiceOut
    queryset = Service.objects.all()

    @extend_schema(operation_id="services_get", responses=ServiceOut)
    def get(self, request: Request, pk: int) -> Response:
        return Response(shown(policy.fetch(self.actor, rows(), pk=pk)))


class ServiceInstances(ApiView):
    permission = OBJECT
    serializer_class = InstanceOut
    queryset = Instance.objects.none()
    filter_backends = []
    pagination_class = None

    @extend_schema(operation_id="service_instances_list", responses=InstanceOut(many=True))
    def get(self, request: Request, pk: int) -> Response:
        service = policy.fetch(self.actor, rows(), pk=pk)
        return Response(InstanceOut(service.instances.all(), many=True).data)


class ServiceLogs(ApiView):
    """The instances' own output, oldest line first; all instances when none is named."""

    permission = OBJECT
    queryset = Service.objects.none()

    @extend_schema(
        parameters=[
            OpenApiParameter("instance", str),
            OpenApiParameter("tail", int),
            OpenApiParameter("since", OpenApiTypes.DATETIME),
            OpenApiParameter("previous", bool),
        ],
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )
    def get(self, request: Request, pk: int) -> HttpResponse:
        service = policy.fetch(self.actor, rows(), pk=pk)
        page = runtime_of(service.machine.cluster).logs(wanted.ref_of(service), query_of(request))
        lines = [
            b"%s %s %s\n" % (line.at.isoformat().encode(), line.instance.encode(), line.data.rstrip(b"\n"))
            for line in page.lines
        ]
        return HttpResponse(b"".join(lines), content_type="text/plain; charset=utf-8")


def query_of(request: Request) -> LogQuery:
    """The query string as a log query. Raises Invalid."""
    given = request.query_params
    tail = given.get("tail", "500")
    if not tail.isdecimal() or not 1 <= int(tail[:9]) <= MAX_TAIL:
        raise Invalid(S("“tail” is a number from 1 to %(limit)s.", limit=MAX_TAIL), fields={"tail": []})
    since: datetime | None = None
    if given.get("since"):
        try:
            since = parse_datetime(given["since"])
        except ValueError:
            since = None
        if since is None or since.tzinfo is None:
            raise Invalid(S("“since” is a time such as 2026-01-31T08:00:00Z."), fields={"since": []})
    return LogQuery(
        instance=given.get("instance", ""),
        tail=int(tail),
        since=since,
        previous=given.get("previous", "") in {"1", "true"},
    )
