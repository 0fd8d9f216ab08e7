"""API over projects, their members and the machines they may use."""

from __future__ import annotations

from typing import Any, NoReturn

from django.contrib.auth.models import Group
from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from clusters import actions as cluster_actions
from clusters.models import Machine
from fangduoduo_release.common.errors import Invalid, NotFound
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.api.views import ApiView
from permissions.enforce import OBJECT, SIGNED_IN
from permissions.models import User
from projects import actions, building, grants
from projects.api.serializers import (
    MachineIn,
    MachineOut,
    MachinePatch,
    MemberIn,
    MemberOut,
    ProjectDetail,
    ProjectIn,
    ProjectOut,
    ProjectPatch,
)
from projects.drivers.source.base import NewRepository
from projects.models import Project


def fetch_project(actor: Any, slug: str) -> Project:
    """The project the actor may see. Raises NotFound."""
    rows = Project.objects.select_related("source_connection", "builder_connection", "registry_connection")
    return policy.fetch(actor, rows, slug=slug)


class Projects(ApiView):
    permission = SIGNED_IN
    serializer_class = ProjectOut
    search_fields = ["slug", "name", "description"]
    filterset_fields = ["archived"]
    ordering_fields = ("slug", "created_at")
    queryset = Project.objects.select_related("source_connection", "builder_connection", "registry_connection")

    @extend_schema(operation_id="projects_list", responses=ProjectOut(many=True))
    def get(self, request: Request) -> Response:
        rows = self.filter_queryset(policy.visible(self.actor, self.get_queryset()))
        return self.get_paginated_response(ProjectOut(self.paginate_queryset(rows), many=True).data)

    @extend_schema(request=ProjectIn, responses={201: ProjectDetail})
    def post(self, request: Request) -> Response:
        given = ProjectIn(data=request.data)
        given.is_valid(raise_exception=True)
        data = dict(given.validated_data)
        source = data.pop("source", {})
        chosen = _building(data)
        building.check(chosen)
        project = actions.create_project(
            actor=self.actor,
            slug=data["slug"],
            name=data.get("name", ""),
            description=data.get("description", ""),
            starter=data.get("starter", ""),
            repository=source.get("repository", ""),
            connection=_connection(source.get("connection")),
            source_kind=source.get("kind", "git"),
            create=source.get("create", False),
            wishes=_wishes(source, data.get("description", "")),
            spec=_object(data.get("spec")),
        )
        if chosen:
            building.choose(actor=self.actor, project=project, **chosen)
        return Response(ProjectDetail(project).data, status=status.HTTP_201_CREATED)


def _connection(name: str | None) -> Connection | None:
    if not name:
        return None
    found = Connection.objects.filter(name=name).first()
    if found is None:
        raise Invalid(S("There is no connection called “%(name)s”.", name=name), fields={"source": []})
    return found


def _wishes(source: dict[str, Any], description: str) -> NewRepository:
    return NewRepository(
        description=description,
        parent=source.get("parent", ""),
        group=source.get("group", ""),
        branches=tuple(source.get("branches", ())),
    )


def _building(data: dict[str, Any]) -> dict[str, Any]:
    """What was said of builder and registry, taken out of `data`, with connections instead of names. Raises Invalid."""
    chosen: dict[str, Any] = {}
    builder, registry = data.pop("builder", None), data.pop("registry", None) or {}
    if builder:
        chosen["builder"] = building.builder_named(builder.get("kind", ""), builder.get("connection"))
    if "connection" in registry:
        chosen["registry"] = building.named("registry", registry["connection"])
    if "image" in registry:
        chosen["image"] = registry["image"]
    return chosen


def _object(value: Any) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, dict):
        raise Invalid(S("The spec must be an object."), fields={"spec": []})
    return value


class ProjectOne(ApiView):
    permission = OBJECT
    serializer_class = ProjectDetail
    queryset = Project.objects.all()

    @extend_schema(operation_id="projects_get", responses=ProjectDetail)
    def get(self, request: Request, slug: str) -> Response:
        return Response(ProjectDetail(fetch_project(self.actor, slug)).data)

    @extend_schema(request=ProjectPatch, responses=ProjectDetail)
    def patch(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        given = ProjectPatch(data=request.data)
        given.is_valid(raise_exception=True)
        changes = dict(given.validated_data)
        spec = _object(changes.pop("spec", None))
        policy.require(self.actor, "change_project", project)
        chosen = _building(changes)
        with transaction.atomic():  # all of it or nothing
            if chosen:
                building.choose(actor=self.actor, project=project, **chosen)
            if changes:
                actions.update_project(actor=self.actor, project=project, **changes)
            if spec is not None:
                actions.save_spec(actor=self.actor, project=project, spec=spec)
        return Response(ProjectDetail(project).data)


class Members(ApiView):
    permission = OBJECT
    serializer_class = MemberOut
    queryset = Project.objects.none()
    filter_backends = []
    pagination_class = None

    @extend_schema(operation_id="members_list", responses=MemberOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        rows = project.role_grants.filter(grants.live()).select_related("user", "team").order_by("id")
        return Response(MemberOut(rows, many=True).data)

    @extend_schema(request=MemberIn, responses=MemberOut(many=True))
    def post(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        given = MemberIn(data=request.data)
        given.is_valid(raise_exception=True)
        data = dict(given.validated_data)
        policy.require(self.actor, "own_project", project)  # before we say who there is
        if data.get("user"):
            data["user"] = User.objects.filter(username=data["user"]).first() or _nobody("user", data["user"])
            if not data["user"].is_active and data["role"] is not None:
                _nobody("user", data["user"].username)
        if data.get("team"):
            data["team"] = Group.objects.filter(name=data["team"]).first() or _nobody("team", data["team"])
        actions.set_member(actor=self.actor, project=project, **data)
        return self.get(request, slug)


def _nobody(field: str, name: str) -> NoReturn:
    raise Invalid(S("There is nobody called “%(name)s”.", name=name), fields={field: []})


class Machines(ApiView):
    """Every signed-in person sees the machines; which of their projects may use one is theirs alone."""

    permission = SIGNED_IN
    ops_writes = True
    serializer_class = MachineOut
    queryset = Machine.objects.select_related("cluster")
    search_fields = ["name", "description"]
    filterset_fields = ["environment", "cluster__name"]
    ordering_fields = ("name", "environment")

    @extend_schema(operation_id="machines_list", responses=MachineOut(many=True))
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        context = {"granted": granted_of(self.actor, page or [])}
        return self.get_paginated_response(MachineOut(page, many=True, context=context).data)

    @extend_schema(request=MachineIn, responses={201: MachineOut})
    def post(self, request: Request) -> Response:
        given = MachineIn(data=request.data)
        given.is_valid(raise_exception=True)
        machine = cluster_actions.create_machine(actor=self.actor, **given.validated_data)
        cluster_actions.look_at_placed(machine)
        return Response(MachineOut(machine).data, status=status.HTTP_201_CREATED)


def granted_of(actor: Any, machines: list[Machine]) -> dict[int, list[str]]:
    """Which of the reader's projects may use each machine: {machine id: slugs}."""
    granted: dict[int, list[str]] = {}
    mine = policy.visible_projects(actor)
    rows = grants.live_machine_grants().filter(machine__in=machines, project__in=mine.values("pk"))
    for machine, slug in rows.values_list("machine_id", "project__slug").order_by("project__slug")[:10_000]:
        granted.setdefault(machine, []).append(slug)
    return granted


class MachineOne(ApiView):
    """One machine; ops change where it stands and who must agree to changes there."""

    permission = SIGNED_IN
    ops_writes = True
    serializer_class = MachineOut
    queryset = Machine.objects.select_related("cluster")

    def _answer(self, machine: Machine) -> Response:
        return Response(MachineOut(machine, context={"granted": granted_of(self.actor, [machine])}).data)

    def _fetch(self, name: str) -> Machine:
        machine = self.get_queryset().filter(name=name).first()
        if machine is None:
            raise NotFound(S("There is no machine called “%(name)s”.", name=name))
        return machine

    @extend_schema(operation_id="machines_get", responses=MachineOut)
    def get(self, request: Request, name: str) -> Response:
        return self._answer(self._fetch(name))

    @extend_schema(request=MachinePatch, responses=MachineOut)
    def patch(self, request: Request, name: str) -> Response:
        machine = self._fetch(name)
        given = MachinePatch(data=request.data)
        given.is_valid(raise_exception=True)
        machine = cluster_actions.update_machine(actor=self.actor, machine=machine, **given.validated_data)
        cluster_actions.look_at_placed(machine)
        return self._answer(machine)


class MachineGrants(ApiView):
    """Ops let a project use a machine, or take it away."""

    permission = OBJECT
    ops_writes = True
    serializer_class = MachineOut
    queryset = Machine.objects.none()
    filter_backends = []
    pagination_class = None

    def _both(self, slug: str, name: str) -> tuple[Project, Machine]:
        machine = Machine.objects.filter(name=name).first()
        if machine is None:
            raise NotFound(S("There is no machine called “%(name)s”.", name=name))
        return fetch_project(self.actor, slug), machine

    @extend_schema(request=None, responses={204: None})
    def put(self, request: Request, slug: str, name: str) -> Response:
        project, machine = self._both(slug, name)
        actions.grant_machine(actor=self.actor, project=project, machine=machine)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, slug: str, name: str) -> Response:
        project, machine = self._both(slug, name)
        actions.revoke_machine(actor=self.actor, project=project, machine=machine)
        return Response(status=status.HTTP_204_NO_CONTENT)
