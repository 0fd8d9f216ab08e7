"""Clusters and connections as JSON; secrets go in and never come out."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from clusters.models import Cluster
from fangduoduo_release.common.models import Connection


class ClusterOut(serializers.ModelSerializer[Cluster]):
    connection = serializers.CharField(source="connection.name", allow_null=True, default=None)

    class Meta:
        model = Cluster
        fields = ["name", "kind", "connection", "description", "created_at"]


class ClusterIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=60)
    kind = serializers.CharField(max_length=30)
    connection = serializers.CharField(required=False, allow_null=True, max_length=60)
    description = serializers.CharField(required=False, allow_blank=True, max_length=200)


class ConnectionOut(serializers.ModelSerializer[Connection]):
    secrets = serializers.SerializerMethodField()
    last_test = serializers.JSONField(read_only=True)

    class Meta:
        model = Connection
        fields = ["name", "kind", "config", "secrets", "last_test", "created_at"]

    def get_secrets(self, connection: Connection) -> list[str]:
        """The names of the secrets that are set."""
        return sorted(connection.secrets or {})


class ConnectionTestOut(serializers.Serializer[Any]):
    """`missing` names what the configuration lacks; `sentence` says what was found."""

    ok = serializers.BooleanField()
    version = serializers.CharField()
    missing = serializers.ListField(child=serializers.CharField())
    sentence = serializers.CharField()


class ConnectionIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=60, required=False)
    kind = serializers.CharField(max_length=30, required=False)
    config = serializers.DictField(required=False)
    secrets = serializers.DictField(required=False, write_only=True)
