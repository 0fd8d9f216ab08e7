"""API over what makes a project build by itself, and over what came in for it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from builds.lately import Came, items_of, with_builds
from builds.models import BuildRules
from builds.rule_actions import save_rules
from builds.rules import LONGEST_DEBOUNCE_S, LONGEST_PATTERN, MOST_PATTERNS, rules_of
from fangduoduo_release.common.http import say
from fangduoduo_release.common.models import InboxItem
from fangduoduo_release.common.sentence import Sentence
from permissions.api.views import ApiView
from permissions.enforce import OBJECT
from projects.api.views import fetch_project


class RulesOut(serializers.ModelSerializer[BuildRules]):
    """Which pushes and changes build; what was never chosen is as every project begins."""

    class Meta:
        model = BuildRules
        fields = [
            "branches", "tags", "paths", "skip_marker", "debounce_s", "cancel", "changes", "changes_since", "vote",
            "comment",
        ]  # fmt: skip

    branches = serializers.ListField(child=serializers.CharField())
    tags = serializers.ListField(child=serializers.CharField())
    paths = serializers.ListField(child=serializers.CharField())


def _patterns() -> serializers.ListField:
    one = serializers.CharField(max_length=LONGEST_PATTERN)
    return serializers.ListField(child=one, max_length=MOST_PATTERNS, required=False)


class RulesIn(serializers.Serializer[Any]):
    """What is left out stays as it is. Patterns are globs; “!” takes out again, the last that matches decides."""

    branches = _patterns()
    tags = _patterns()
    paths = _patterns()
    skip_marker = serializers.BooleanField(required=False)
    debounce_s = serializers.IntegerField(required=False, min_value=0, max_value=LONGEST_DEBOUNCE_S)
    cancel = serializers.ChoiceField(choices=BuildRules.Cancel.choices, required=False)
    changes = serializers.BooleanField(required=False)
    vote = serializers.BooleanField(required=False)
    comment = serializers.BooleanField(required=False)


class NewsChangeOut(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    patch_set = serializers.IntegerField()
    subject = serializers.CharField()
    url = serializers.CharField()


class NewsBuildOut(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="pk")
    number = serializers.IntegerField()
    state = serializers.CharField()
    url = serializers.SerializerMethodField()

    @extend_schema_field({"type": "string"})
    def get_url(self, build: Any) -> str:
        return f"{settings.PUBLIC_URL}/builds/{build.pk}/"


class NewsOut(serializers.Serializer[Any]):
    """A push or a change of which the portal heard. `via`: push, stream, hook or compare; `why_not`: why nothing was
    built; `latency_ms`: from hearing of it to the build in the queue."""

    id = serializers.IntegerField(source="item.pk")
    kind = serializers.CharField(source="item.kind")
    state = serializers.CharField(source="item.state")
    ref = serializers.CharField(source="item.payload.ref", default="")
    branch = serializers.CharField(source="name")
    sha = serializers.CharField()
    forced = serializers.BooleanField()
    deleted = serializers.BooleanField(source="gone")
    change = serializers.SerializerMethodField()
    actor = serializers.CharField(source="who")
    via = serializers.CharField()
    received_at = serializers.DateTimeField(source="item.received_at")
    handled_at = serializers.DateTimeField(source="item.handled_at", allow_null=True)
    latency_ms = serializers.IntegerField(allow_null=True)
    build = NewsBuildOut(allow_null=True)
    why_not = serializers.SerializerMethodField()

    @extend_schema_field(NewsChangeOut(allow_null=True))
    def get_change(self, one: Came) -> dict[str, Any] | None:
        return dict(NewsChangeOut(one.payload).data) if one.is_change else None

    @extend_schema_field({"type": "string", "nullable": True})
    def get_why_not(self, one: Came) -> str | None:
        return say(Sentence.from_json(one.why_not)) if one.why_not else None


class Triggers(ApiView):
    permission = OBJECT
    serializer_class = RulesOut
    queryset = BuildRules.objects.none()
    filter_backends = []
    pagination_class = None

    @extend_schema(operation_id="project_triggers_get", responses=RulesOut)
    def get(self, request: Request, slug: str) -> Response:
        return Response(RulesOut(rules_of(fetch_project(self.actor, slug))).data)

    @extend_schema(operation_id="project_triggers_set", request=RulesIn, responses=RulesOut)
    def put(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        given = RulesIn(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(RulesOut(save_rules(actor=self.actor, project=project, **given.validated_data)).data)


class Pushes(ApiView):
    """What came in, newest first, with what became of it."""

    permission = OBJECT
    serializer_class = NewsOut
    queryset = InboxItem.objects.none()
    filterset_fields = ["kind", "state"]

    @extend_schema(operation_id="project_pushes_list", responses=NewsOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        rows = self.filter_queryset(items_of(fetch_project(self.actor, slug)))
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(NewsOut(with_builds(page or []), many=True).data)
