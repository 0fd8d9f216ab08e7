"""API over the audit trail: ops read who did what to which object, newest first."""

from __future__ import annotations

from typing import Any

import django_filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fangduoduo_release.audit.models import AuditEntry
from permissions.api.views import ApiView
from permissions.enforce import OPS

TEXT = {"type": "string"}


class AuditOut(serializers.ModelSerializer[AuditEntry]):
    """`before` and `after` never hold a secret: the actions write names only."""

    object = serializers.SerializerMethodField()

    class Meta:
        model = AuditEntry
        fields = ["id", "at", "actor", "verb", "object", "before", "after", "address", "user_agent", "request_id"]

    @extend_schema_field({"type": "object", "properties": {"kind": TEXT, "id": TEXT, "label": TEXT}})
    def get_object(self, entry: AuditEntry) -> dict[str, Any]:
        return {"kind": entry.object_kind, "id": entry.object_id, "label": entry.object_label}


class AuditFilter(django_filters.FilterSet):
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
    permission = OPS
    serializer_class = AuditOut
    filterset_class = AuditFilter
    search_fields = ["actor", "verb", "object_label"]
    queryset = AuditEntry.objects.all()

    @extend_schema(operation_id="audit_list", responses=AuditOut(many=True))
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(AuditOut(page, many=True).data)
