"""Clusters, freeze windows and connections as JSON; secrets go in and never come out."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from clusters import connecting
from clusters.freezing import Freeze
from clusters.models import MOST_APPROVALS, ApproverRole, Cluster, FreezeWindow
from clusters.standing import STATES, Following, following
from fangduoduo_release.common.models import Connection


class ClusterOut(serializers.ModelSerializer[Cluster]):
    connection = serializers.CharField(source="connection.name", allow_null=True, default=None)
    state = serializers.SerializerMethodField()
    age_s = serializers.SerializerMethodField()
    machines = serializers.SerializerMethodField()

    class Meta:
        model = Cluster
        fields = ["name", "kind", "connection", "description", "state", "age_s", "machines", "created_at"]

    def _following(self, cluster: Cluster) -> Following:
        known: dict[int, Following] = self.context.get("following") or following([cluster])
        return known[cluster.pk]

    @extend_schema_field({"type": "string", "enum": list(STATES)})
    def get_state(self, cluster: Cluster) -> str:
        """How what is known of the cluster is kept up to date; `direct`: it is on this host and simply looked at."""
        return self._following(cluster).state

    @extend_schema_field({"type": "number", "nullable": True})
    def get_age_s(self, cluster: Cluster) -> float | None:
        """Seconds since what is known of it was known to be current; null when it never was, or is looked at directly."""
        age = self._following(cluster).age_s
        return None if age is None else round(age, 1)

    def get_machines(self, cluster: Cluster) -> int:
        """How many machines stand in it."""
        return self._following(cluster).machines


class ClusterIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=60)
    kind = serializers.CharField(max_length=30)
    connection = serializers.CharField(required=False, allow_null=True, max_length=60)
    description = serializers.CharField(required=False, allow_blank=True, max_length=200)


class ClusterPatch(serializers.Serializer[Any]):
    connection = serializers.CharField(required=False, allow_null=True, max_length=60)
    description = serializers.CharField(required=False, allow_blank=True, max_length=200)


class ApprovalIn(serializers.Serializer[Any]):
    """How many must agree to a change on a machine, who may, and whether a rollback or restart waits for them too."""

    needed = serializers.IntegerField(required=False, min_value=0, max_value=MOST_APPROVALS)
    role = serializers.ChoiceField(choices=ApproverRole.choices, required=False)
    restoring = serializers.BooleanField(required=False)


@extend_schema_field({"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$", "example": "22:00"})
class Clock(serializers.TimeField):
    """What a clock on the wall shows: no zone, so it is not what OpenAPI calls a time."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format="%H:%M", input_formats=["%H:%M"], **options)


class FreezeOut(serializers.ModelSerializer[FreezeWindow]):
    machines = serializers.SerializerMethodField()
    environments = serializers.ListField(child=serializers.CharField())
    weekdays = serializers.ListField(child=serializers.IntegerField(), help_text="Monday is 0.")
    exceptions = serializers.ListField(child=serializers.CharField())
    start_time = Clock()
    end_time = Clock(allow_null=True)

    class Meta:
        model = FreezeWindow
        fields = [
            "id", "name", "reason", "active", "blocks_restoring", "everywhere", "environments", "machines", "timezone",
            "kind", "weekdays", "first_day", "start_time", "last_day", "end_time", "duration_minutes", "exceptions",
            "created_at",
        ]  # fmt: skip

    def get_machines(self, window: FreezeWindow) -> list[str]:
        return [machine.name for machine in window.machines.all()]


class FreezeIn(serializers.Serializer[Any]):
    """`once`: first_day start_time … last_day end_time. `weekly`: weekdays start_time, and end_time or
    duration_minutes. `yearly`: first_day … last_day as MM-DD. All local times of `timezone`."""

    name = serializers.CharField(max_length=80)
    reason = serializers.CharField(max_length=300)
    active = serializers.BooleanField(required=False)
    blocks_restoring = serializers.BooleanField(required=False)
    everywhere = serializers.BooleanField(required=False)
    environments = serializers.ListField(child=serializers.CharField(max_length=12), required=False, max_length=3)
    machines = serializers.ListField(child=serializers.CharField(max_length=60), required=False, max_length=1000)
    timezone = serializers.CharField(max_length=64)
    kind = serializers.ChoiceField(choices=FreezeWindow.Kind.choices)
    weekdays = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=6), required=False, max_length=7
    )
    first_day = serializers.CharField(max_length=10, required=False, allow_blank=True)
    start_time = Clock(required=False)
    last_day = serializers.CharField(max_length=10, required=False, allow_blank=True)
    end_time = Clock(required=False, allow_null=True)
    duration_minutes = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=10_080)
    exceptions = serializers.ListField(child=serializers.CharField(max_length=10), required=False, max_length=200)


class FreezeTime(serializers.Serializer[Any]):
    """One time that a window freezes a machine."""

    window = serializers.CharField(source="window.name")
    reason = serializers.CharField(source="window.reason")
    timezone = serializers.CharField(source="window.timezone")
    blocks_restoring = serializers.BooleanField(source="window.blocks_restoring")
    begins_at = serializers.DateTimeField(source="begins")
    ends_at = serializers.DateTimeField(source="ends")
    local = serializers.SerializerMethodField(help_text="From and until by the window's own clock.")
    now = serializers.BooleanField()

    def get_local(self, freeze: Freeze) -> str:
        return f"{freeze.from_words} – {freeze.until_words}"


class ConnectionOut(serializers.ModelSerializer[Connection]):
    secrets = serializers.SerializerMethodField()
    last_test = serializers.SerializerMethodField()

    class Meta:
        model = Connection
        fields = ["name", "kind", "config", "secrets", "last_test", "created_at"]

    @extend_schema_field({"type": "object", "nullable": True, "additionalProperties": True})
    def get_last_test(self, connection: Connection) -> dict[str, Any] | None:
        """What the last test found, and when."""
        return connecting.shown(connection.last_test)

    def get_secrets(self, connection: Connection) -> list[str]:
        """The names of the secrets that are set."""
        return sorted(connection.secrets or {})


class ConnectionTestOut(serializers.Serializer[Any]):
    """`missing` names what the configuration or the account lacks, `lost` what will not work because of it; `sentence` says
    what was found."""

    ok = serializers.BooleanField()
    version = serializers.CharField()
    missing = serializers.ListField(child=serializers.CharField())
    lost = serializers.ListField(child=serializers.CharField(), required=False)
    sentence = serializers.CharField()


class ConnectionIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=60, required=False)
    kind = serializers.CharField(max_length=30, required=False)
    config = serializers.DictField(required=False)
    secrets = serializers.DictField(required=False, write_only=True)
