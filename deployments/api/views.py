"""API over deployments: preview, start, follow, cancel, pause, resume."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import django_filters
from django.db.models import prefetch_related_objects
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.models import Machine
from deployments import actions, approvals, pinning, plans, rights
from deployments.api.serializers import DecisionIn, DeploymentIn, DeploymentOut, EventOut, PreviewOut
from deployments.models import Deployment
from deployments.states import DEPLOYMENT_STATES
from fangduoduo_release.common.errors import Invalid, NotFound
from fangduoduo_release.common.http import say
from fangduoduo_release.common.models import Event
from fangduoduo_release.common.sentence import S, Sentence
from permissions import policy
from permissions.api.views import ApiView
from permissions.enforce import OBJECT, SIGNED_IN
from projects.api.views import fetch_project
from projects.models import Project


class DeploymentFilter(django_filters.FilterSet):
    project = django_filters.CharFilter(field_name="service__project__slug")
    machine = django_filters.CharFilter(field_name="service__machine__name")
    state = django_filters.MultipleChoiceFilter(choices=DEPLOYMENT_STATES.choices, distinct=False)
    action = django_filters.ChoiceFilter(choices=Deployment.Action.choices)

    class Meta:
        model = Deployment
        fields: list[str] = []


def rows() -> Any:
    return Deployment.objects.select_related(
        "service__project", "service__machine__cluster", "version", "previous_version", "started_by"
    )


def shown_in(page: Any) -> Any:
    """A page of deployments as JSON; decisions are fetched, at once, only where there may be any."""
    prefetch_related_objects([one for one in page or [] if one.asked_sha256], "approvals")
    return DeploymentOut(page, many=True).data


def fetch_deployment(actor: Any, pk: int) -> Deployment:
    """The deployment the actor may see. Raises NotFound."""
    return policy.fetch(actor, rows(), pk=pk)


def asked(project: Project, data: dict[str, Any]) -> dict[str, Any]:
    """The body's names as rows: machine and version. Raises NotFound, Invalid."""
    machine = Machine.objects.select_related("cluster").filter(name=data["machine"]).first()
    if machine is None:
        raise NotFound(S("There is no machine called “%(name)s”.", name=data["machine"]))
    version = None
    if data.get("version") is not None:
        version = project.versions.select_related("build__pipeline").filter(number=data["version"]).first()
        if version is None:
            sentence = S("There is no version #%(number)s in this project.", number=data["version"])
            raise Invalid(sentence, fields={"version": [sentence]})
    words = {"action": data["action"], "replicas": data.get("replicas"), "take_over": data["take_over"]}
    return {"machine": machine, "version": version, **words}


class Deployments(ApiView):
    permission = SIGNED_IN
    serializer_class = DeploymentOut
    filterset_class = DeploymentFilter
    search_fields = ["reason", "service__project__slug"]
    ordering_fields = ("id", "created_at")
    queryset = Deployment.objects.all()

    @extend_schema(operation_id="deployments_list", responses=DeploymentOut(many=True))
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(policy.visible(self.actor, rows())))
        return self.get_paginated_response(shown_in(page))


class ProjectDeployments(ApiView):
    permission = OBJECT
    serializer_class = DeploymentOut
    filterset_class = DeploymentFilter
    queryset = Deployment.objects.all()

    @extend_schema(operation_id="project_deployments_list", responses=DeploymentOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        page = self.paginate_queryset(self.filter_queryset(rows().filter(service__project=project)))
        return self.get_paginated_response(shown_in(page))

    @extend_schema(request=DeploymentIn, responses={201: DeploymentOut})
    def post(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        given = DeploymentIn(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        deployment = actions.start_deployment(
            actor=self.actor,
            project=project,
            strategy=data["strategy"],
            reason=data.get("reason", ""),
            **asked(project, data),
        )
        found = fetch_deployment(self.actor, deployment.pk)
        return Response(DeploymentOut(found).data, status=status.HTTP_201_CREATED)


class DeploymentPreview(ApiView):
    permission = OBJECT
    serializer_class = PreviewOut
    queryset = Deployment.objects.none()

    @extend_schema(request=DeploymentIn, responses=PreviewOut)
    def post(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        given = DeploymentIn(data=request.data)
        given.is_valid(raise_exception=True)
        found = actions.preview_deployment(actor=self.actor, project=project, **asked(project, given.validated_data))
        if not rights.may_read_texts(self.actor, project, found.choice.config):
            found.diff = ""
            found.warnings.append(rights.HIDDEN)
        return Response(PreviewOut(shown(found)).data)


def shown(found: plans.Preview) -> dict[str, Any]:
    """A preview as the API tells it."""
    version = found.choice.version
    return {
        "diff": found.diff,
        "warnings": [say(w) for w in found.warnings],
        "pins": pinning.shown(found.pins),
        "expected_duration_ms": found.expected_ms,
        "version": version.number if version else None,
        "replicas": found.choice.replicas,
        "commits": [
            {"sha": c.sha, "author": c.author.name, "message": c.subject, "at": c.authored_at.isoformat()}
            for c in found.commits
        ],
        "conflicts": [asdict(one) for one in found.conflicts],
        "deletes": found.deletes,
    }


class DeploymentOne(ApiView):
    permission = OBJECT
    serializer_class = DeploymentOut
    queryset = Deployment.objects.all()

    @extend_schema(operation_id="deployments_get", responses=DeploymentOut)
    def get(self, request: Request, pk: int) -> Response:
        return Response(DeploymentOut(fetch_deployment(self.actor, pk)).data)


class DeploymentEvents(ApiView):
    permission = OBJECT
    serializer_class = EventOut
    queryset = Event.objects.none()
    filter_backends = []
    pagination_class = None

    @extend_schema(
        operation_id="deployment_events_list",
        parameters=[OpenApiParameter("after", int, description="Only events with a larger seq.")],
        responses=EventOut(many=True),
    )
    def get(self, request: Request, pk: int) -> Response:
        deployment = fetch_deployment(self.actor, pk)
        return Response(events_after(deployment.topic, request.query_params.get("after", "0")))


def events_after(topic: str, after: str) -> list[dict[str, Any]]:
    """At most 500 events of a topic after a sequence number. Raises Invalid for a number that is none."""
    if not after.isdecimal() or len(after) > 9:
        raise Invalid(S("“after” is the number of the last event you have."), fields={"after": []})
    found = Event.objects.filter(topic=topic, seq__gt=int(after)).order_by("seq")[:500]
    return [
        {"seq": e.seq, "at": e.at, "kind": e.kind, "text": say(Sentence(e.text, e.data)), "data": e.data} for e in found
    ]


class _Verb(ApiView):
    """One word said to a running deployment: 202 with what it is now."""

    permission = OBJECT
    serializer_class = DeploymentOut
    queryset = Deployment.objects.all()

    def say(self, deployment: Deployment) -> None:
        raise NotImplementedError

    @extend_schema(request=None, responses={202: DeploymentOut})
    def post(self, request: Request, pk: int) -> Response:
        self.say(fetch_deployment(self.actor, pk))
        return Response(DeploymentOut(fetch_deployment(self.actor, pk)).data, status=status.HTTP_202_ACCEPTED)


class DeploymentCancel(_Verb):
    def say(self, deployment: Deployment) -> None:
        actions.cancel_deployment(actor=self.actor, deployment=deployment)


class DeploymentPause(_Verb):
    def say(self, deployment: Deployment) -> None:
        actions.pause_deployment(actor=self.actor, deployment=deployment, paused=True)


class DeploymentResume(_Verb):
    def say(self, deployment: Deployment) -> None:
        actions.pause_deployment(actor=self.actor, deployment=deployment, paused=False)


class _Decision(ApiView):
    """What an approver says about a deployment that waits: 202 with what it is now."""

    permission = OBJECT
    serializer_class = DeploymentOut
    queryset = Deployment.objects.all()

    def decide(self, deployment: Deployment, note: str, seen: str) -> None:
        raise NotImplementedError

    @extend_schema(request=DecisionIn, responses={202: DeploymentOut})
    def post(self, request: Request, pk: int) -> Response:
        deployment = fetch_deployment(self.actor, pk)
        given = DecisionIn(data=request.data)
        given.is_valid(raise_exception=True)
        self.decide(deployment, given.validated_data.get("note", ""), given.validated_data.get("sha256", ""))
        return Response(DeploymentOut(fetch_deployment(self.actor, pk)).data, status=status.HTTP_202_ACCEPTED)


class DeploymentApprove(_Decision):
    def decide(self, deployment: Deployment, note: str, seen: str) -> None:
        approvals.approve_deployment(actor=self.actor, deployment=deployment, note=note, seen=seen)


class DeploymentReject(_Decision):
    def decide(self, deployment: Deployment, note: str, seen: str) -> None:
        approvals.reject_deployment(actor=self.actor, deployment=deployment, note=note, seen=seen)
