"""API over a project's configuration: its keys, texts by revision, history, differences, and the writing of its own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from clusters import configs
from clusters.drivers.config.base import ConfigSource, Document
from clusters.drivers.config.binding import EMBEDDED
from fangduoduo_release.common.differences import unified
from fangduoduo_release.common.http import say
from permissions.api.views import ApiView
from permissions.enforce import OBJECT
from projects import config_actions, configuration
from projects.api.views import fetch_project
from projects.models import Project

SOURCE = OpenApiParameter("source", str, description="“database” (the default), or the name of a connection.")


class ConfigKeyOut(serializers.Serializer[Any]):
    """A key as far as the portal knows, without asking its source. `revision` empty: it is not there. `bound`: the paths of
    files it is used for, "" for the base manifest."""

    source = serializers.CharField()  # type: ignore[assignment]  # named like an attribute of its base
    key = serializers.CharField()
    revision = serializers.CharField()
    sha256 = serializers.CharField()
    author = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)
    bound = serializers.ListField(child=serializers.CharField())
    machines = serializers.ListField(child=serializers.CharField())
    seen_at = serializers.DateTimeField(allow_null=True)
    trouble = serializers.CharField()


class ConfigTextOut(serializers.Serializer[Any]):
    source = serializers.CharField()  # type: ignore[assignment]  # named like an attribute of its base
    key = serializers.CharField()
    revision = serializers.CharField()
    sha256 = serializers.CharField()
    text = serializers.CharField()


class ConfigTextIn(serializers.Serializer[Any]):
    """`expected`: the revision that this replaces, "" for a new key; without it whatever is there is replaced."""

    text = serializers.CharField(allow_blank=True, trim_whitespace=False)
    note = serializers.CharField(required=False, allow_blank=True, max_length=300, default="")
    expected = serializers.CharField(required=False, allow_blank=True, allow_null=True, max_length=40, default=None)


class ConfigRevisionOut(serializers.Serializer[Any]):
    """`author` empty: the source does not say who. `deleted`: from here on the key was not there."""

    revision = serializers.CharField()
    sha256 = serializers.CharField()
    author = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField()
    deleted = serializers.BooleanField()


class ConfigDiffOut(serializers.Serializer[Any]):
    """`diff`: unified; empty when both say the same."""

    key = serializers.CharField()
    old = serializers.CharField()
    new = serializers.CharField()
    diff = serializers.CharField()


class ProjectConfigs(ApiView):
    """The project's own keys, and those that its spec names."""

    permission = OBJECT
    serializer_class = ConfigKeyOut
    queryset = Project.objects.none()
    filter_backends = []
    pagination_class = None

    @extend_schema(operation_id="configs_list", responses=ConfigKeyOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        found = {(one.source, one.key): one for one in [*configuration.own(project), *configuration.bound(project)]}
        told = [{**asdict(one), "trouble": say(one.trouble) if one.trouble else ""} for one in found.values()]
        return Response(ConfigKeyOut(sorted(told, key=lambda one: (one["source"], one["key"])), many=True).data)


class _OfKey(ApiView):
    permission = OBJECT
    queryset = Project.objects.none()
    filter_backends = []
    pagination_class = None

    def source(self, request: Request, project: Project, key: str) -> tuple[str, ConfigSource]:
        """The source that was named, for a key that may be read. Raises NotFound, also for what can be no key, Invalid."""
        name = request.query_params.get("source") or EMBEDDED
        configuration.require_address(name, key)
        configuration.require_readable(self.actor, project, name, key)
        return name, configs.source_named(name)


class ProjectConfigText(_OfKey):
    serializer_class = ConfigTextOut

    @extend_schema(
        operation_id="config_get", parameters=[SOURCE, OpenApiParameter("revision", str)], responses=ConfigTextOut
    )
    def get(self, request: Request, slug: str, key: str) -> Response:
        name, source = self.source(request, fetch_project(self.actor, slug), key)
        return Response(_text(name, source.read(key, request.query_params.get("revision", ""))))

    @extend_schema(operation_id="config_put", parameters=[SOURCE], request=ConfigTextIn, responses=ConfigTextOut)
    def put(self, request: Request, slug: str, key: str) -> Response:
        project = fetch_project(self.actor, slug)
        name = request.query_params.get("source") or EMBEDDED
        configuration.require_address(name, key)
        given = ConfigTextIn(data=request.data)
        given.is_valid(raise_exception=True)
        saved = config_actions.save_config(
            actor=self.actor, project=project, key=key, source=name, **given.validated_data
        )
        return Response(_text(name, saved))

    @extend_schema(operation_id="config_delete", parameters=[OpenApiParameter("expected", str)], responses={204: None})
    def delete(self, request: Request, slug: str, key: str) -> Response:
        project = fetch_project(self.actor, slug)
        configuration.require_address(EMBEDDED, key)
        expected = request.query_params.get("expected")
        config_actions.delete_config(actor=self.actor, project=project, key=key, expected=expected)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ProjectConfigHistory(_OfKey):
    serializer_class = ConfigRevisionOut

    @extend_schema(operation_id="config_history", parameters=[SOURCE], responses=ConfigRevisionOut(many=True))
    def get(self, request: Request, slug: str, key: str) -> Response:
        _name, source = self.source(request, fetch_project(self.actor, slug), key)
        return Response(ConfigRevisionOut([asdict(one) for one in source.history(key)], many=True).data)


class ProjectConfigDiff(_OfKey):
    serializer_class = ConfigDiffOut

    @extend_schema(
        operation_id="config_diff",
        parameters=[
            SOURCE,
            OpenApiParameter("old", str, description="A revision; empty: nothing."),
            OpenApiParameter("new", str, description="A revision; empty: what it says now."),
        ],
        responses=ConfigDiffOut,
    )
    def get(self, request: Request, slug: str, key: str) -> Response:
        _name, source = self.source(request, fetch_project(self.actor, slug), key)
        old, new = request.query_params.get("old", ""), request.query_params.get("new", "")
        before = source.read(key, old).text if old else ""
        after = source.read(key, new)
        diff = unified(before, after.text, old or "-", after.revision)
        return Response(ConfigDiffOut({"key": key, "old": old, "new": after.revision, "diff": diff}).data)


def _text(source: str, document: Document) -> dict[str, Any]:
    return dict(ConfigTextOut({"source": source, **asdict(document)}).data)
