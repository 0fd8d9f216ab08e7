"""API over the channels of a project and what they were told."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from fangduoduo_release.notifications.models import Channel, Delivery
from permissions.api.notifications import ChannelIn, ChannelOut, ChannelPatch, DeliveryOut, facts_of
from permissions.api.views import ApiView
from permissions.enforce import OBJECT
from projects import channels
from projects.api.views import fetch_project


class ProjectChannels(ApiView):
    permission = OBJECT
    serializer_class = ChannelOut
    queryset = Channel.objects.all()

    @extend_schema(operation_id="project_channels_list", responses=ChannelOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        rows = channels.of_project(self.actor, fetch_project(self.actor, slug))
        return self.get_paginated_response(ChannelOut(self.paginate_queryset(rows), many=True).data)

    @extend_schema(operation_id="project_channels_add", request=ChannelIn, responses={201: ChannelOut})
    def post(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        channels.of_project(self.actor, project)  # the right first, then what was given
        given = ChannelIn(data=request.data)
        given.is_valid(raise_exception=True)
        channel, made = channels.add_channel(actor=self.actor, project=project, **facts_of(given.validated_data))
        return Response(ChannelOut(channel, context={"made": made}).data, status=status.HTTP_201_CREATED)


class ProjectChannel(ApiView):
    permission = OBJECT
    serializer_class = ChannelOut
    queryset = Channel.objects.all()

    @extend_schema(operation_id="project_channels_change", request=ChannelPatch, responses=ChannelOut)
    def patch(self, request: Request, slug: str, pk: int) -> Response:
        project = fetch_project(self.actor, slug)
        channel = channels.one(self.actor, project, pk)
        given = ChannelPatch(data=request.data)
        given.is_valid(raise_exception=True)
        channels.change_channel(actor=self.actor, project=project, channel=channel, **facts_of(given.validated_data))
        return Response(ChannelOut(channel).data)

    @extend_schema(operation_id="project_channels_remove", responses={204: None})
    def delete(self, request: Request, slug: str, pk: int) -> Response:
        project = fetch_project(self.actor, slug)
        channels.remove_channel(actor=self.actor, project=project, channel=channels.one(self.actor, project, pk))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ProjectChannelTest(ApiView):
    permission = OBJECT
    serializer_class = DeliveryOut
    queryset = Channel.objects.all()

    @extend_schema(operation_id="project_channels_test", request=None, responses={202: DeliveryOut})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        project = fetch_project(self.actor, slug)
        channel = channels.one(self.actor, project, pk)
        row = channels.test_channel(actor=self.actor, project=project, channel=channel)
        return Response(DeliveryOut(Delivery.objects.get(pk=row.pk)).data, status=status.HTTP_202_ACCEPTED)


class ProjectDeliveries(ApiView):
    permission = OBJECT
    serializer_class = DeliveryOut
    filterset_fields = ["state", "event"]
    queryset = Delivery.objects.all()

    @extend_schema(operation_id="project_deliveries_list", responses=DeliveryOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        rows = self.filter_queryset(channels.sent(self.actor, fetch_project(self.actor, slug)))
        return self.get_paginated_response(DeliveryOut(self.paginate_queryset(rows), many=True).data)
