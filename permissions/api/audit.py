"""API over the audit trail: who did what to which object, newest first. Ops read all of it; owners and maintainers that
of their project (`?project=`)."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fangduoduo_release.audit.models import AuditEntry
from permissions.api.views import ApiView
from permissions.audit_access import entries_for
from permissions.enforce import OBJECT

TEXT = {"type": "string"}
SIDE = {"type": "object", "additionalProperties": {}, "nullable": True}


class AuditOut(serializers.ModelSerializer[AuditEntry]):
    """`before` and `after` never hold a secret: it is masked before it is written."""

    object = serializers.SerializerMethodField()
    before = extend_schema_field(SIDE)(serializers.JSONField)(read_only=True)
    after = extend_schema_field(SIDE)(serializers.JSONField)(read_only=True)

    class Meta:
        model = AuditEntry
        fields = [
            "id", "seq", "at", "actor", "verb", "object", "project", "before", "after", "address", "user_agent",
            "request_id", "digest",
        ]  # fmt: skip

    @extend_schema_field({"type": "object", "properties": {"kind": TEXT, "id": TEXT, "label": TEXT}})
    def get_object(self, entry: AuditEntry) -> dict[str, Any]:
        return {"kind": entry.object_kind, "id": entry.object_id, "label": entry.object_label}


class AuditFilter(django_filters.FilterSet):
    project = django_filters.CharFilter()
    actor = django_filters.CharFilter()
    verb = django_filters.CharFilter()
    object_kind = django_filters.CharFilter()
    object_id = django_filters.CharFilter()
    since = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    until = django_filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = AuditEntry
        fields: list[str] = []


class Audit(ApiView):
    permission = OBJECT
    serializer_class = AuditOut
    filterset_class = AuditFilter
    search_fields = ["actor", "verb", "object_label"]
    queryset = AuditEntry.objects.none()

    def get_queryset(self) -> QuerySet[AuditEntry]:
        if getattr(self, "swagger_fake_view", False):
            return AuditEntry.objects.none()
        return entries_for(self.actor, self.request.query_params.get("project", "").strip())

    @extend_schema(operation_id="audit_list", responses=AuditOut(many=True))
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(AuditOut(page, many=True).data)
