"""API over what one is told, and the shapes that channels and messages have everywhere in the API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from fangduoduo_release.common.errors import NotFound
from fangduoduo_release.common.http import say
from fangduoduo_release.common.sentence import S, Sentence
from fangduoduo_release.notifications import channels, events
from fangduoduo_release.notifications.models import Channel, Delivery, Preference
from permissions.api.views import ApiView
from permissions.enforce import SIGNED_IN
from permissions.scopes import Scope


class ChannelOut(serializers.ModelSerializer[Channel]):
    """A channel without its secrets; `secret` is there once, when it was made for a new webhook."""

    leads_to = serializers.CharField(source="shown", read_only=True)
    events = serializers.ListField(child=serializers.CharField(), read_only=True)  # type: ignore[assignment]
    secret = serializers.SerializerMethodField()

    class Meta:
        model = Channel
        fields = ["id", "kind", "name", "leads_to", "events", "language", "enabled", "created_at", "secret"]

    @extend_schema_field(OpenApiTypes.STR)
    def get_secret(self, channel: Channel) -> str:
        return str(self.context.get("made", ""))


class ChannelIn(serializers.Serializer[Any]):
    kind = serializers.CharField(max_length=30)
    name = serializers.CharField(max_length=80)
    address = serializers.CharField(max_length=2000)
    secret = serializers.CharField(max_length=200, required=False, allow_blank=True)
    language = serializers.CharField(max_length=10, required=False, allow_blank=True)
    events = serializers.ListField(child=serializers.CharField(max_length=40), required=False, max_length=50)


class ChannelPatch(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80, required=False)
    language = serializers.CharField(max_length=10, required=False, allow_blank=True)
    events = serializers.ListField(child=serializers.CharField(max_length=40), required=False, max_length=50)
    enabled = serializers.BooleanField(required=False)


class DeliveryOut(serializers.ModelSerializer[Delivery]):
    """A message on its way or at its end; `reason` says why it did not get through."""

    channel = serializers.IntegerField(source="channel_id", allow_null=True, read_only=True)
    text = serializers.SerializerMethodField()
    reason = serializers.SerializerMethodField()

    class Meta:
        model = Delivery
        fields = ["id", "key", "event", "project", "channel", "text", "link", "state", "tries", "reason"]
        fields += ["created_at", "finished_at"]

    @extend_schema_field(OpenApiTypes.STR)
    def get_text(self, row: Delivery) -> str:
        return say(Sentence.from_json(row.sentence))

    @extend_schema_field(OpenApiTypes.STR)
    def get_reason(self, row: Delivery) -> str:
        return say(Sentence.from_json((row.error or {}).get("sentence") or {}))


class ChoiceOut(serializers.Serializer[Any]):
    language = serializers.CharField()
    by_mail = serializers.ListField(child=serializers.CharField())
    events = serializers.DictField(child=serializers.CharField())


class ChoicePatch(serializers.Serializer[Any]):
    language = serializers.CharField(max_length=10, required=False, allow_blank=True)
    by_mail = serializers.ListField(child=serializers.CharField(max_length=40), required=False, max_length=50)


def facts_of(data: dict[str, Any]) -> dict[str, Any]:
    """What was given, by the names the actions have for it."""
    facts = dict(data)
    if "events" in facts:
        facts["heard"] = facts.pop("events")
    return facts


class MyChoices(ApiView):
    permission = SIGNED_IN
    write_scope = Scope.MANAGE
    serializer_class = ChoiceOut

    @extend_schema(operation_id="my_notifications_get", responses=ChoiceOut)
    def get(self, request: Request) -> Response:
        choice = Preference.objects.filter(user=self.actor).first() or Preference()
        return Response(self.shown(choice))

    @extend_schema(operation_id="my_notifications_change", request=ChoicePatch, responses=ChoiceOut)
    def patch(self, request: Request) -> Response:
        given = ChoicePatch(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(self.shown(channels.choose(actor=self.actor, **given.validated_data)))

    @staticmethod
    def shown(choice: Preference) -> dict[str, Any]:
        kinds = events.for_whom(events.PERSON)
        return {
            "language": choice.language,
            "by_mail": [kind.name for kind in kinds if kind.name not in choice.not_by_mail],
            "events": {kind.name: str(kind.label) for kind in kinds},
        }


class MyChannels(ApiView):
    permission = SIGNED_IN
    write_scope = Scope.MANAGE
    serializer_class = ChannelOut
    queryset = Channel.objects.defer("secrets")

    @extend_schema(operation_id="my_channels_list", responses=ChannelOut(many=True))
    def get(self, request: Request) -> Response:
        rows = self.get_queryset().filter(user=self.actor)
        return self.get_paginated_response(ChannelOut(self.paginate_queryset(rows), many=True).data)

    @extend_schema(operation_id="my_channels_add", request=ChannelIn, responses={201: ChannelOut})
    def post(self, request: Request) -> Response:
        given = ChannelIn(data=request.data)
        given.is_valid(raise_exception=True)
        facts = facts_of(given.validated_data)
        if facts["kind"] == "email":  # people have their own address already, and lend the portal's mail to nobody
            raise NotFound(S("There is no such channel."))
        channel, made = channels.add(actor=self.actor, user=self.actor, **facts)
        return Response(ChannelOut(channel, context={"made": made}).data, status=status.HTTP_201_CREATED)


def own(actor: Any, pk: int) -> Channel:
    """The actor's channel of that number. Raises NotFound."""
    found = Channel.objects.defer("secrets").filter(user=actor, pk=pk).first()
    if found is None:
        raise NotFound(S("There is no such channel."))
    return found


class MyChannel(ApiView):
    permission = SIGNED_IN
    write_scope = Scope.MANAGE
    serializer_class = ChannelOut
    queryset = Channel.objects.defer("secrets")

    @extend_schema(operation_id="my_channels_change", request=ChannelPatch, responses=ChannelOut)
    def patch(self, request: Request, pk: int) -> Response:
        channel = own(self.actor, pk)
        given = ChannelPatch(data=request.data)
        given.is_valid(raise_exception=True)
        channels.change(actor=self.actor, channel=channel, **facts_of(given.validated_data))
        return Response(ChannelOut(channel).data)

    @extend_schema(operation_id="my_channels_remove", responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        channels.remove(actor=self.actor, channel=own(self.actor, pk))
        return Response(status=status.HTTP_204_NO_CONTENT)


class MyChannelTest(ApiView):
    permission = SIGNED_IN
    write_scope = Scope.MANAGE
    serializer_class = DeliveryOut
    queryset = Delivery.objects.all()

    @extend_schema(operation_id="my_channels_test", request=None, responses={202: DeliveryOut})
    def post(self, request: Request, pk: int) -> Response:
        row = channels.send_test(actor=self.actor, channel=own(self.actor, pk))
        return Response(DeliveryOut(Delivery.objects.get(pk=row.pk)).data, status=status.HTTP_202_ACCEPTED)


class MyDeliveries(ApiView):
    permission = SIGNED_IN
    serializer_class = DeliveryOut
    filterset_fields = ["state", "event"]
    queryset = Delivery.objects.all()

    @extend_schema(operation_id="my_deliveries_list", responses=DeliveryOut(many=True))
    def get(self, request: Request) -> Response:
        rows = self.filter_queryset(self.get_queryset().filter(user=self.actor))
        return self.get_paginated_response(DeliveryOut(self.paginate_queryset(rows), many=True).data)
