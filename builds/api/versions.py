"""API over versions and their archives."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from builds import versions
from builds.api.serializers import VersionOut
from builds.models import Version
from fangduoduo_release.common.errors import NotFound
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.api.views import ApiView
from permissions.enforce import OBJECT
from projects.api.views import fetch_project


def rows() -> Any:
    return Version.objects.select_related("project").prefetch_related("wanted_by__machine")


class ProjectVersions(ApiView):
    permission = OBJECT
    serializer_class = VersionOut
    search_fields = ["commit_subject", "commit_sha", "notes"]
    filterset_fields = ["number", "ref"]
    queryset = Version.objects.all()

    @extend_schema(operation_id="project_versions_list", responses=VersionOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        page = self.paginate_queryset(self.filter_queryset(rows().filter(project=project)))
        return self.get_paginated_response(VersionOut(page, many=True).data)


class VersionOne(ApiView):
    permission = OBJECT
    serializer_class = VersionOut
    queryset = Version.objects.all()

    @extend_schema(operation_id="versions_get", responses=VersionOut)
    def get(self, request: Request, pk: int) -> Response:
        return Response(VersionOut(policy.fetch(self.actor, rows(), pk=pk)).data)


class VersionArchive(ApiView):
    permission = OBJECT
    queryset = Version.objects.all()

    @extend_schema(responses={(200, "application/gzip"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: int) -> FileResponse:
        version = policy.fetch(self.actor, rows(), pk=pk)
        path = versions.archive_path(version)
        if path is None:
            raise NotFound(S("This version has no archive any more."))
        name = f"{version.project.slug}-{version.number}.tar.gz"
        return FileResponse(path.open("rb"), as_attachment=True, filename=name, content_type="application/gzip")
