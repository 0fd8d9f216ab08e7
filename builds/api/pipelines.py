"""API over pipelines: read, save, revisions, validate."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from builds import actions, pipelines, template_actions, templates
from builds.api.serializers import PipelineIn, PipelineOut, PipelineRevisionOut, ValidateIn, ValidationOut
from builds.judges import judge
from builds.models import PipelineRevision
from builds.validation import parameters_of
from permissions.api.views import ApiView
from permissions.enforce import OBJECT, SIGNED_IN
from projects.api.views import fetch_project
from projects.models import Project


def _shown(project: Project) -> dict[str, Any]:
    found = pipelines.look(project)
    copy_of = found.template_revision
    return {
        "template": copy_of.template.slug if copy_of else None,
        "template_revision": copy_of.number if copy_of else None,
        "origin": PipelineRevision.Origin.SERVICE if found.chosen else project.pipeline_origin,
        "text": found.text,
        "revision": found.revision.number if found.revision else None,
        "parameters": parameters_of(found.text),
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
        self.save(project, given.validated_data)
        return Response(_shown(project))

    def save(self, project: Project, data: dict[str, Any]) -> None:
        """A template alone is taken; a text with one is a copy of it; a text alone stays a copy of what it was."""
        revision = None
        if data.get("template"):
            template = templates.template_called(data["template"])
            revision = templates.revision_of(template, data.get("template_revision"))
            if "text" not in data:
                template_actions.use_template(actor=self.actor, project=project, template=template, revision=revision)
                return
        actions.save_pipeline(
            actor=self.actor,
            project=project,
            text=data["text"],
            note=data.get("note", ""),
            template_revision=revision or template_actions.copied_from(project),
        )


class PipelineRevisions(ApiView):
    permission = OBJECT
    serializer_class = PipelineRevisionOut
    queryset = PipelineRevision.objects.all()
    filterset_fields = ["origin"]

    @extend_schema(operation_id="pipeline_revisions_list", responses=PipelineRevisionOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        page = self.paginate_queryset(
            self.filter_queryset(project.pipeline_revisions.select_related("template_revision__template"))
        )
        return self.get_paginated_response(PipelineRevisionOut(page, many=True).data)


class PipelineValidate(ApiView):
    permission = SIGNED_IN
    serializer_class = ValidationOut
    queryset = PipelineRevision.objects.none()

    @extend_schema(request=ValidateIn, responses=ValidationOut)
    def post(self, request: Request) -> Response:
        given = ValidateIn(data=request.data)
        given.is_valid(raise_exception=True)
        slug = given.validated_data.get("project", "")
        project = fetch_project(self.actor, slug) if slug else None
        return Response(judge(given.validated_data["text"], project))
