"""API over requests for roles and machines: ask, list, look, decide, withdraw, review, renew."""

from __future__ import annotations

from typing import Any

import django_filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.models import Machine
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.api.views import ApiView
from permissions.enforce import OBJECT, SIGNED_IN
from permissions.roles import Role
from permissions.scopes import Scope
from projects import deciders, decisions, requests
from projects.models import AccessRequest, MachineGrant, RoleGrant


class AskIn(serializers.Serializer[Any]):
    """What both kinds of requests say; who asks, the state and the decision are never taken from a body."""

    reason = serializers.CharField(max_length=300)
    until = serializers.DateTimeField(required=False, allow_null=True)
    emergency = serializers.BooleanField(required=False, default=False)


class AskRoleIn(AskIn):
    role = serializers.ChoiceField(choices=Role.choices)


class AskMachineIn(AskIn):
    machine = serializers.CharField(max_length=60)


class RequestNoteIn(serializers.Serializer[Any]):
    note = serializers.CharField(required=False, allow_blank=True, max_length=300, default="")


class RequestDecisionIn(RequestNoteIn):
    """`sha256`: of what was seen; without it, of what stands there now. `until`: earlier than asked. `alone`: an
    emergency with one signature, to be reviewed."""

    sha256 = serializers.CharField(required=False, allow_blank=True, max_length=64, default="")


class RequestApprovalIn(RequestDecisionIn):
    until = serializers.DateTimeField(required=False, allow_null=True)
    alone = serializers.BooleanField(required=False, default=False)


class RequestOut(serializers.ModelSerializer[AccessRequest]):
    """A request as it stands. `project` is what was typed: for who may not see it, it says nothing more."""

    project = serializers.CharField(source="slug")
    requester = serializers.CharField(source="requester_name")
    machine = serializers.CharField(source="machine.name", allow_null=True, default=None)
    environment = serializers.CharField(source="machine.environment", allow_null=True, default=None)
    sha256 = serializers.CharField(source="asked_sha256")
    decided_by = serializers.CharField(source="decided_by_name")
    reviewed_by = serializers.CharField(source="reviewed_by_name")
    may_decide = serializers.SerializerMethodField()

    class Meta:
        model = AccessRequest
        fields = [
            "id", "kind", "project", "requester", "role", "machine", "environment", "reason", "until", "emergency",
            "state", "sha256", "created_at", "expires_at", "decided_by", "decided_at", "note", "reviewed_by",
            "reviewed_at", "review_note", "may_decide",
        ]  # fmt: skip

    def get_may_decide(self, request: AccessRequest) -> bool:
        return request.state == "pending" and deciders.may_decide(self.context["actor"], request)


class RequestFilter(django_filters.FilterSet):
    state = django_filters.MultipleChoiceFilter(choices=AccessRequest.state.field.choices)  # type: ignore[attr-defined]
    kind = django_filters.ChoiceFilter(choices=AccessRequest.Kind.choices)
    project = django_filters.CharFilter(field_name="slug", max_length=60)
    emergency = django_filters.BooleanFilter()

    class Meta:
        model = AccessRequest
        fields: list[str] = []


class RequestView(ApiView):
    """What the views below share."""

    serializer_class = RequestOut
    queryset = AccessRequest.objects.none()
    filter_backends: list[Any] = []
    pagination_class: Any = None

    def answer(self, found: AccessRequest, code: int = status.HTTP_200_OK) -> Response:
        return Response(RequestOut(found, context={"actor": self.actor}).data, status=code)

    def given(self, shape: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
        read = shape(data=request.data)
        read.is_valid(raise_exception=True)
        return dict(read.validated_data)


class AskRole(RequestView):
    """Anybody signed in may ask by the exact name: the answer is the same whether there is such a project or not."""

    permission = SIGNED_IN

    @extend_schema(request=AskRoleIn, responses={201: RequestOut})
    def post(self, request: Request, slug: str) -> Response:
        given = self.given(AskRoleIn, request)
        made = requests.ask(actor=self.actor, slug=slug, kind=AccessRequest.Kind.ROLE, **given)
        return self.answer(made, status.HTTP_201_CREATED)


class AskMachine(RequestView):
    permission = OBJECT

    @extend_schema(request=AskMachineIn, responses={201: RequestOut})
    def post(self, request: Request, slug: str) -> Response:
        given = self.given(AskMachineIn, request)
        name = given.pop("machine")
        machine = Machine.objects.filter(name=name).first()
        if machine is None and policy.visible_projects(self.actor).filter(slug=slug).exists():
            raise Invalid(S("There is no machine called “%(name)s”.", name=name), fields={"machine": []})
        made = requests.ask(actor=self.actor, slug=slug, kind=AccessRequest.Kind.MACHINE, machine=machine, **given)
        return self.answer(made, status.HTTP_201_CREATED)


class Requests(ApiView):
    """Those one asked for, may decide or may see; `?mine=true` narrows to one's own, `?waiting=true` to those that wait
    for one's decision."""

    permission = SIGNED_IN
    serializer_class = RequestOut
    filterset_class = RequestFilter
    search_fields = ["slug", "requester_name", "reason"]
    queryset = AccessRequest.objects.all()

    @extend_schema(
        operation_id="requests_list",
        parameters=[OpenApiParameter(name, OpenApiTypes.BOOL) for name in ("mine", "waiting")],
        responses=RequestOut(many=True),
    )
    def get(self, request: Request) -> Response:
        rows = deciders.visible(self.actor)
        if request.query_params.get("mine", "").lower() in {"1", "true"}:
            rows = rows.filter(requester=self.actor)
        if request.query_params.get("waiting", "").lower() in {"1", "true"}:
            rows = rows.filter(pk__in=deciders.waiting_for(self.actor).values("pk"))
        page = self.paginate_queryset(self.filter_queryset(rows)) or []
        policy.permissions_on_all(self.actor, [one.project for one in page if one.project])
        return self.get_paginated_response(RequestOut(page, many=True, context={"actor": self.actor}).data)


class RequestOne(RequestView):
    permission = OBJECT

    @extend_schema(operation_id="requests_get", responses=RequestOut)
    def get(self, request: Request, pk: int) -> Response:
        return self.answer(deciders.fetch(self.actor, pk))


class Approve(RequestView):
    permission = OBJECT

    @extend_schema(request=RequestApprovalIn, responses=RequestOut)
    def post(self, request: Request, pk: int) -> Response:
        found = deciders.fetch(self.actor, pk)
        given = self.given(RequestApprovalIn, request)
        given["sha256"] = given["sha256"] or found.asked_sha256
        return self.answer(decisions.approve(actor=self.actor, request=found, **given))


class Reject(RequestView):
    permission = OBJECT

    @extend_schema(request=RequestDecisionIn, responses=RequestOut)
    def post(self, request: Request, pk: int) -> Response:
        found = deciders.fetch(self.actor, pk)
        given = self.given(RequestDecisionIn, request)
        given["sha256"] = given["sha256"] or found.asked_sha256
        return self.answer(decisions.reject(actor=self.actor, request=found, **given))


class Withdraw(RequestView):
    permission = OBJECT

    @extend_schema(request=None, responses=RequestOut)
    def post(self, request: Request, pk: int) -> Response:
        requests.withdraw(actor=self.actor, request=deciders.fetch(self.actor, pk))
        return self.answer(deciders.fetch(self.actor, pk))


class Review(RequestView):
    permission = OBJECT

    @extend_schema(request=RequestNoteIn, responses=RequestOut)
    def post(self, request: Request, pk: int) -> Response:
        found = deciders.fetch(self.actor, pk)
        return self.answer(decisions.review(actor=self.actor, request=found, **self.given(RequestNoteIn, request)))


class RenewRole(RequestView):
    """Ask anew for a role of one's own that ends."""

    permission = OBJECT
    write_scope = Scope.MANAGE

    @extend_schema(request=None, responses={201: RequestOut})
    def post(self, request: Request, pk: int) -> Response:
        grant = policy.fetch(self.actor, RoleGrant.objects.select_related("project"), pk=pk)
        return self.answer(requests.renew(actor=self.actor, grant=grant), status.HTTP_201_CREATED)


class RenewMachine(RequestView):
    """Ask anew for a machine whose grant ends."""

    permission = OBJECT
    write_scope = Scope.MANAGE

    @extend_schema(request=None, responses={201: RequestOut})
    def post(self, request: Request, pk: int) -> Response:
        grant = policy.fetch(self.actor, MachineGrant.objects.select_related("project", "machine"), pk=pk)
        return self.answer(requests.renew(actor=self.actor, grant=grant), status.HTTP_201_CREATED)
