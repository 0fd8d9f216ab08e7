"""API over freeze windows: everybody may read when nothing may be deployed, ops decide."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from clusters import actions, freezing
from clusters.api.serializers import FreezeIn, FreezeOut, FreezeTime
from clusters.models import FreezeWindow, Machine
from fangduoduo_release.common.errors import Invalid, NotFound
from fangduoduo_release.common.sentence import S
from permissions.api.views import ApiView
from permissions.enforce import SIGNED_IN

MOST_DAYS = 400


def machines_named(names: list[str]) -> list[Machine]:
    """The machines of these names. Raises Invalid for one that there is not."""
    found = list(Machine.objects.filter(name__in=names))
    missing = sorted(set(names) - {machine.name for machine in found})
    if missing:
        sentence = S("There is no machine called “%(name)s”.", name=missing[0])
        raise Invalid(sentence, fields={"machines": [sentence]})
    return found


def save(actor: Any, window: FreezeWindow, data: dict[str, Any]) -> FreezeWindow:
    """Fill the row with what was given and keep it by the action."""
    names = data.pop("machines", None)
    for name, value in data.items():
        setattr(window, name, value)
    machines = None if names is None else machines_named(names)
    return actions.save_freeze(actor=actor, window=window, machines=machines)


class Freezes(ApiView):
    permission = SIGNED_IN
    ops_writes = True
    serializer_class = FreezeOut
    queryset = FreezeWindow.objects.prefetch_related("machines")
    filterset_fields = ["kind", "active"]
    search_fields = ["name", "reason"]
    ordering_fields = ("name",)

    @extend_schema(operation_id="freezes_list", responses=FreezeOut(many=True))
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(FreezeOut(page, many=True).data)

    @extend_schema(request=FreezeIn, responses={201: FreezeOut})
    def post(self, request: Request) -> Response:
        given = FreezeIn(data=request.data)
        given.is_valid(raise_exception=True)
        window = save(self.actor, FreezeWindow(), dict(given.validated_data))
        return Response(FreezeOut(window).data, status=status.HTTP_201_CREATED)


class FreezeOne(ApiView):
    permission = SIGNED_IN
    ops_writes = True
    serializer_class = FreezeOut
    queryset = FreezeWindow.objects.all()

    def _fetch(self, pk: int) -> FreezeWindow:
        window = FreezeWindow.objects.filter(pk=pk).first()
        if window is None:
            raise NotFound(S("There is nothing here, or you may not see it."))
        return window

    @extend_schema(operation_id="freezes_get", responses=FreezeOut)
    def get(self, request: Request, pk: int) -> Response:
        return Response(FreezeOut(self._fetch(pk)).data)

    @extend_schema(request=FreezeIn(partial=True), responses=FreezeOut)
    def patch(self, request: Request, pk: int) -> Response:
        window = self._fetch(pk)
        given = FreezeIn(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        return Response(FreezeOut(save(self.actor, window, dict(given.validated_data))).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        actions.delete_freeze(actor=self.actor, window=self._fetch(pk))
        return Response(status=status.HTTP_204_NO_CONTENT)


class MachineFreezes(ApiView):
    """When the machine is frozen from now on, for `days` days; what freezes it now comes first."""

    permission = SIGNED_IN
    serializer_class = FreezeTime
    queryset = FreezeWindow.objects.none()
    filter_backends = []
    pagination_class = None

    @extend_schema(
        operation_id="machine_freezes_list",
        parameters=[OpenApiParameter("days", int, description="How far ahead, 1 to 400; 14 when not given.")],
        responses=FreezeTime(many=True),
    )
    def get(self, request: Request, name: str) -> Response:
        machine = Machine.objects.filter(name=name).first()
        if machine is None:
            raise NotFound(S("There is no machine called “%(name)s”.", name=name))
        days = request.query_params.get("days", "14")
        if not days.isdecimal() or not days.isascii() or not 1 <= int(days[:9]) <= MOST_DAYS:
            raise Invalid(S("“days” is a number from 1 to %(most)s.", most=MOST_DAYS), fields={"days": []})
        return Response(FreezeTime(freezing.next_freezes(machine, int(days[:9])), many=True).data)
