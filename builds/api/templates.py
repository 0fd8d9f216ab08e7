"""API over the template library, a project's way along it, and the build service."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from builds import build_service, template_actions, template_use, templates
from builds.api.template_serializers import (
    ResolvedOut,
    ResolveIn,
    TemplateDiffOut,
    TemplateIn,
    TemplateOut,
    TemplatePatch,
    TemplateProjectOut,
    TemplateRevisionOut,
    TemplateTextOut,
    UpgradeIn,
    UpgradeOut,
    UpgradeQuery,
)
from builds.merging import conflicts_in
from builds.models import PipelineRevision, Template, TemplateRevision
from builds.validation import parameters_of
from fangduoduo_release.common.differences import unified
from fangduoduo_release.common.errors import Conflict, Invalid
from fangduoduo_release.common.http import say
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.api.views import ApiView
from permissions.enforce import OBJECT, SIGNED_IN
from projects.api.views import fetch_project
from projects.models import Project

FROM = OpenApiParameter("from", int, description="Revision to compare from; default: the one before `to`.")
TO = OpenApiParameter("to", int, description="Revision to compare to; default: the newest.")


class Templates(ApiView):
    permission = SIGNED_IN
    ops_writes = True
    serializer_class = TemplateOut
    queryset = Template.objects.all()
    filterset_fields = ["retired", "language", "builtin"]
    search_fields = ["slug", "name", "description"]
    ordering_fields = ("slug",)

    def get_queryset(self) -> QuerySet[Template]:
        return template_use.library()

    @extend_schema(operation_id="templates_list", responses=TemplateOut(many=True))
    def get(self, request: Request) -> Response:
        templates.have_library()
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        used = template_use.counts(self.actor)
        return self.get_paginated_response(TemplateOut(page, many=True, context={"used": used}).data)

    @extend_schema(operation_id="templates_create", request=TemplateIn, responses={201: TemplateTextOut})
    def post(self, request: Request) -> Response:
        given = TemplateIn(data=request.data)
        given.is_valid(raise_exception=True)
        revision = template_actions.save_template(actor=self.actor, new=True, **given.validated_data)
        return Response(_with_text(self.actor, revision), status=status.HTTP_201_CREATED)


class TemplateOne(ApiView):
    permission = SIGNED_IN
    ops_writes = True
    serializer_class = TemplateTextOut
    queryset = Template.objects.all()

    @extend_schema(operation_id="templates_get", responses=TemplateTextOut)
    def get(self, request: Request, slug: str) -> Response:
        return Response(_with_text(self.actor, templates.revision_of(templates.template_called(slug))))

    @extend_schema(operation_id="templates_put", request=TemplatePatch, responses=TemplateTextOut)
    def put(self, request: Request, slug: str) -> Response:
        """Another text makes a revision; `retired` takes the template from offer, or offers it again."""
        template = templates.template_called(slug)
        given = TemplatePatch(data=request.data)
        given.is_valid(raise_exception=True)
        data = dict(given.validated_data)
        retired = data.pop("retired", None)
        if "text" in data:
            kept = {name: getattr(template, name) for name in ("name", "description", "language")}
            template_actions.save_template(actor=self.actor, slug=template.slug, **{**kept, **data})
        elif retired is None:
            sentence = S("Give a text, or say whether it is retired.")
            raise Invalid(sentence, fields={"text": [sentence]})
        if retired is not None and retired != template.retired:
            template_actions.retire_template(actor=self.actor, template=template, retired=retired)
        return Response(_with_text(self.actor, templates.revision_of(templates.template_called(slug))))


def _with_text(actor: Any, revision: TemplateRevision) -> dict[str, Any]:
    row = template_use.library().get(pk=revision.template_id)
    used = {row.pk: template_use.projects_of(actor, row).count()}
    shown: dict[str, Any] = TemplateOut(row, context={"used": used}).data
    return {**shown, "text": revision.text, "parameters": parameters_of(revision.text)}


class TemplateRevisions(ApiView):
    permission = SIGNED_IN
    serializer_class = TemplateRevisionOut
    queryset = TemplateRevision.objects.all()

    @extend_schema(operation_id="template_revisions_list", responses=TemplateRevisionOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        rows = templates.template_called(slug).revisions.all()
        page = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(TemplateRevisionOut(page, many=True).data)


class TemplateDiff(ApiView):
    permission = SIGNED_IN
    serializer_class = TemplateDiffOut
    queryset = TemplateRevision.objects.none()

    @extend_schema(operation_id="template_diff", parameters=[FROM, TO], responses=TemplateDiffOut)
    def get(self, request: Request, slug: str) -> Response:
        asked = UpgradeQuery(data={"from_": request.query_params.get("from"), "to": request.query_params.get("to")})
        asked.is_valid(raise_exception=True)
        template = templates.template_called(slug)
        new = templates.revision_of(template, asked.validated_data["to"])
        before = asked.validated_data["from_"]
        old = templates.revision_of(template, max(1, new.number - 1) if before is None else before)
        diff = unified(old.text, new.text, str(old.number), str(new.number))
        return Response({"from": old.number, "to": new.number, "diff": diff})


class TemplateProjects(ApiView):
    """The projects that follow it, of those the caller may see."""

    permission = SIGNED_IN
    serializer_class = TemplateProjectOut
    queryset = Project.objects.none()

    @extend_schema(operation_id="template_projects_list", responses=TemplateProjectOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        template = templates.template_called(slug)
        newest = templates.revision_of(template).number
        page = self.paginate_queryset(template_use.projects_of(self.actor, template))
        return self.get_paginated_response(TemplateProjectOut(page, many=True, context={"newest": newest}).data)


class PipelineUpgrade(ApiView):
    """Without a text: what the upgrade would be. With `apply`, or with the resolved text: it is made."""

    permission = OBJECT
    serializer_class = UpgradeOut
    queryset = PipelineRevision.objects.none()

    @extend_schema(operation_id="pipeline_upgrade", request=UpgradeIn, responses=UpgradeOut)
    def post(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        policy.require(self.actor, "change_project", project)
        given = UpgradeIn(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        upgrade = template_actions.merged_upgrade(project, self.wanted(project, data.get("template_revision")))
        text, conflicts = upgrade.merged.text, upgrade.merged.conflicts
        saved = None
        if "text" in data or data["apply"]:
            if "text" not in data and conflicts:
                raise Conflict(
                    S("%(count)s places conflict; send the resolved text.", count=len(conflicts)), code="conflicts"
                )
            text = data.get("text", text)
            conflicts = conflicts_in(text)
            saved = template_actions.upgrade_pipeline(
                actor=self.actor,
                project=project,
                text=text,
                template_revision=upgrade.revision,
                onto=data.get("onto") if "text" in data else upgrade.own.number,
                note=data.get("note", ""),
            )
        answer = {
            "template": upgrade.base.template.slug,
            "from_revision": upgrade.base.number,
            "template_revision": upgrade.revision.number,
            "onto": upgrade.own.number,
            "text": text,
            "conflicts": conflicts,
            "revision": saved.number if saved else None,
        }
        return Response(UpgradeOut(answer).data)

    @staticmethod
    def wanted(project: Project, number: int | None) -> TemplateRevision | None:
        own = template_actions.copied_from(project)
        return templates.revision_of(own.template, number) if own and number is not None else None


class Resolve(ApiView):
    """How the build service would build a project, or a repository with these files, and why. Changes nothing."""

    permission = SIGNED_IN
    serializer_class = ResolvedOut
    queryset = Template.objects.none()
    remembers = False

    @extend_schema(operation_id="build_service_resolve", request=ResolveIn, responses=ResolvedOut)
    def post(self, request: Request) -> Response:
        given = ResolveIn(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        if "project" in data:
            found = build_service.resolve(fetch_project(self.actor, data["project"]), data.get("ref", ""))
        else:
            found = build_service.resolve_files(data["files"])
        reasons = [say(sentence) for sentence in found.why]
        answer = {
            "template": found.revision.template.slug,
            "revision": found.revision.number,
            "text": found.text,
            "why": " ".join(reasons),
            "reasons": reasons,
            "folder": found.choice.folder or ".",
            "considered": found.choice.considered,
            "parameters": parameters_of(found.text),
        }
        return Response(ResolvedOut(answer).data)
