"""API over pipelines: read, save, revisions, validate."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from builds import actions, pipelines
from builds.api.serializers import PipelineIn, PipelineOut, PipelineRevisionOut, ValidateIn, ValidationOut
from builds.models import PipelineRevision
from builds.validation import judged, parameters_of
from permissions.api.views import ApiView
from permissions.enforce import OBJECT, SIGNED_IN
from projects.api.views import fetch_project
from projects.models import Project


def _shown(project: Project) -> dict[str, Any]:
    text, revision = pipelines.shown(project)
    return {
        "template": None,
        "template_revision": None,
        "origin": project.pipeline_origin,
        "text": text,
        "revision": revision.number if revision else None,
        "parameters": parameters_of(text),
    }


class Pipeline(ApiView):
    permission = OBJECT
    serializer_class = PipelineOut
    queryset = PipelineRevision.objects.none()

    @extend_schema(operation_id="pipeline_get", responses=PipelineOut)
    def get(self, request: Request, slug: str) -> Response:
        return Response(_shown(fetch_project(self.actor, slug)))

    @extend_schema(request=PipelineIn, responses=PipelineOut)
    def put(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        given = PipelineIn(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        actions.save_pipeline(actor=self.actor, project=project, text=data["text"], note=data.get("note", ""))
        return Response(_shown(project))


class PipelineRevisions(ApiView):
    permission = OBJECT
    serializer_class = PipelineRevisionOut
    queryset = PipelineRevision.objects.all()
    filterset_fields = ["origin"]

    @extend_schema(operation_id="pipeline_revisions_list", responses=PipelineRevisionOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        page = self.paginate_queryset(self.filter_queryset(project.pipeline_revisions.all()))
        return self.get_paginated_response(PipelineRevisionOut(page, many=True).data)


class PipelineValidate(ApiView):
    permission = SIGNED_IN
    serializer_class = ValidationOut
    queryset = PipelineRevision.objects.none()

    @extend_schema(request=ValidateIn, responses=ValidationOut)
    def post(self, request: Request) -> Response:
        given = ValidateIn(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(judged(given.validated_data["text"]))
