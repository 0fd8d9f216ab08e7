"""API over builds and their questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import django_filters
from django.db.models import QuerySet, prefetch_related_objects
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from builds import actions
from builds.api.serializers import AnswerIn, BuildDetail, BuildIn, BuildOut
from builds.finding import commit_is, is_commit
from builds.models import Build, InputRequest
from builds.states import BUILD_STATES
from fangduoduo_release.common.errors import NotFound
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.api.views import ApiView
from permissions.enforce import OBJECT, SIGNED_IN
from projects.api.views import fetch_project


class BuildFilter(django_filters.FilterSet):
    project = django_filters.CharFilter(field_name="project__slug")
    state = django_filters.MultipleChoiceFilter(choices=BUILD_STATES.choices, distinct=False)
    ref = django_filters.CharFilter(field_name="ref")
    commit = django_filters.CharFilter(method="of_commit")
    trigger = django_filters.ChoiceFilter(choices=Build.Trigger.choices)
    changes = django_filters.BooleanFilter(field_name="change", lookup_expr="isnull", exclude=True)
    change = django_filters.NumberFilter(field_name="change__number")

    class Meta:
        model = Build
        fields: list[str] = []

    def of_commit(self, rows: QuerySet[Build], name: str, text: str) -> QuerySet[Build]:
        return rows.filter(commit_is(text)) if is_commit(text) else rows.filter(commit_sha__startswith=text)


def rows() -> Any:
    return Build.objects.select_related("project", "version", "started_by", "pipeline", "change")


def told(page: Sequence[Build] | None) -> Sequence[Build]:
    """The builds of a page, those of changes with what their reviewers were told; other pages cost no question more."""
    prefetch_related_objects([build for build in page or () if build.is_change], "reviews")
    return page or ()


def fetch_build(actor: Any, pk: int) -> Build:
    """The build the actor may see. Raises NotFound."""
    return policy.fetch(actor, rows(), pk=pk)


class Builds(ApiView):
    permission = SIGNED_IN
    serializer_class = BuildOut
    filterset_class = BuildFilter
    search_fields = ["commit_subject", "commit_sha", "project__slug"]
    ordering_fields = ("id", "created_at")
    queryset = Build.objects.all()

    @extend_schema(operation_id="builds_list", responses=BuildOut(many=True))
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(policy.visible(self.actor, rows())))
        return self.get_paginated_response(BuildOut(told(page), many=True).data)


class ProjectBuilds(ApiView):
    permission = OBJECT
    serializer_class = BuildOut
    filterset_class = BuildFilter
    search_fields = ["commit_subject", "commit_sha"]
    queryset = Build.objects.all()

    @extend_schema(operation_id="project_builds_list", responses=BuildOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        page = self.paginate_queryset(self.filter_queryset(rows().filter(project=project)))
        return self.get_paginated_response(BuildOut(told(page), many=True).data)

    @extend_schema(request=BuildIn, responses={201: BuildDetail})
    def post(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        given = BuildIn(data=request.data)
        given.is_valid(raise_exception=True)
        build = actions.start_build(
            actor=self.actor,
            project=project,
            ref=given.validated_data.get("ref", ""),
            parameters=given.validated_data.get("parameters"),
            trigger=Build.Trigger.API,
        )
        return Response(BuildDetail(fetch_build(self.actor, build.pk)).data, status=status.HTTP_201_CREATED)


class BuildOne(ApiView):
    permission = OBJECT
    serializer_class = BuildDetail
    queryset = Build.objects.all()

    @extend_schema(operation_id="builds_get", responses=BuildDetail)
    def get(self, request: Request, pk: int) -> Response:
        return Response(BuildDetail(fetch_build(self.actor, pk)).data)


class BuildCancel(ApiView):
    permission = OBJECT
    serializer_class = BuildDetail
    queryset = Build.objects.all()

    @extend_schema(request=None, responses={202: BuildDetail})
    def post(self, request: Request, pk: int) -> Response:
        build = fetch_build(self.actor, pk)
        actions.cancel_build(actor=self.actor, build=build)
        return Response(BuildDetail(fetch_build(self.actor, pk)).data, status=status.HTTP_202_ACCEPTED)


class BuildRetry(ApiView):
    permission = OBJECT
    serializer_class = BuildDetail
    queryset = Build.objects.all()

    @extend_schema(request=None, responses={202: BuildDetail})
    def post(self, request: Request, pk: int) -> Response:
        again = actions.retry_build(actor=self.actor, build=fetch_build(self.actor, pk))
        return Response(BuildDetail(fetch_build(self.actor, again.pk)).data, status=status.HTTP_202_ACCEPTED)


class BuildAnswer(ApiView):
    """Answer a pipeline's `input`."""

    permission = OBJECT
    serializer_class = BuildDetail
    queryset = Build.objects.all()

    @extend_schema(request=AnswerIn, responses={202: BuildDetail})
    def post(self, request: Request, pk: int, ident: str) -> Response:
        build = fetch_build(self.actor, pk)
        question = InputRequest.objects.select_related("build__project").filter(build=build, ident=ident).first()
        if question is None:
            raise NotFound(S("This build asks no such question."))
        given = AnswerIn(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        actions.answer_input(actor=self.actor, request=question, proceed=data["proceed"], values=data.get("values"))
        return Response(BuildDetail(fetch_build(self.actor, pk)).data, status=status.HTTP_202_ACCEPTED)
