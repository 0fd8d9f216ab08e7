"""API over clusters and connections."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from clusters import actions
from clusters.api.serializers import (
    ClusterIn,
    ClusterOut,
    ClusterPatch,
    ConnectionIn,
    ConnectionOut,
    ConnectionTestOut,
)
from clusters.models import Cluster
from clusters.standing import following
from fangduoduo_release.common.errors import Invalid, NotFound
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S
from permissions.api.views import ApiView
from permissions.enforce import OPS, SIGNED_IN


class Clusters(ApiView):
    permission = SIGNED_IN
    ops_writes = True
    serializer_class = ClusterOut
    queryset = Cluster.objects.select_related("connection")
    filterset_fields = ["kind"]
    search_fields = ["name", "description"]
    ordering_fields = ("name",)

    @extend_schema(operation_id="clusters_list", responses=ClusterOut(many=True))
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        context = {"following": following(page)}
        return self.get_paginated_response(ClusterOut(page, many=True, context=context).data)

    @extend_schema(request=ClusterIn, responses={201: ClusterOut})
    def post(self, request: Request) -> Response:
        given = ClusterIn(data=request.data)
        given.is_valid(raise_exception=True)
        cluster = actions.create_cluster(actor=self.actor, **given.validated_data)
        return Response(ClusterOut(cluster).data, status=status.HTTP_201_CREATED)


class ClusterOne(ApiView):
    """One cluster; ops change its description and how it is reached."""

    permission = SIGNED_IN
    ops_writes = True
    serializer_class = ClusterOut
    queryset = Cluster.objects.select_related("connection")

    def _fetch(self, name: str) -> Cluster:
        found = self.get_queryset().filter(name=name).first()
        if found is None:
            raise NotFound(S("There is no cluster called “%(name)s”.", name=name))
        return found

    @extend_schema(operation_id="clusters_get", responses=ClusterOut)
    def get(self, request: Request, name: str) -> Response:
        return Response(ClusterOut(self._fetch(name)).data)

    @extend_schema(request=ClusterPatch, responses=ClusterOut)
    def patch(self, request: Request, name: str) -> Response:
        cluster = self._fetch(name)
        given = ClusterPatch(data=request.data)
        given.is_valid(raise_exception=True)
        cluster = actions.update_cluster(actor=self.actor, cluster=cluster, **given.validated_data)
        return Response(ClusterOut(cluster).data)


class Connections(ApiView):
    permission = OPS
    serializer_class = ConnectionOut
    queryset = Connection.objects.all()
    filterset_fields = ["kind"]
    search_fields = ["name"]
    ordering_fields = ("name",)

    @extend_schema(operation_id="connections_list", responses=ConnectionOut(many=True))
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(ConnectionOut(page, many=True).data)

    @extend_schema(request=ConnectionIn, responses={201: ConnectionOut})
    def post(self, request: Request) -> Response:
        given = ConnectionIn(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        if not data.get("name"):
            raise Invalid(S("A connection needs a name."), fields={"name": [S("A connection needs a name.")]})
        row = actions.save_connection(actor=self.actor, **data)
        actions.look_at_saved(row)
        return Response(ConnectionOut(row).data, status=status.HTTP_201_CREATED)


def fetch_connection(name: str) -> Connection:
    """The connection of that name; only doors for ops ask. Raises NotFound."""
    found = Connection.objects.filter(name=name).first()
    if found is None:
        raise NotFound(S("There is no connection called “%(name)s”.", name=name))
    return found


class ConnectionTest(ApiView):
    """Does it work? 200 in either case: `ok` is the answer."""

    permission = OPS
    serializer_class = ConnectionTestOut
    queryset = Connection.objects.all()

    @extend_schema(request=None, responses=ConnectionTestOut)
    def post(self, request: Request, name: str) -> Response:
        found = actions.try_connection(actor=self.actor, connection=fetch_connection(name))
        return Response(ConnectionTestOut(found).data)


class ConnectionOne(ApiView):
    permission = OPS
    serializer_class = ConnectionOut
    queryset = Connection.objects.all()

    @extend_schema(operation_id="connections_get", responses=ConnectionOut)
    def get(self, request: Request, name: str) -> Response:
        return Response(ConnectionOut(fetch_connection(name)).data)

    @extend_schema(request=ConnectionIn, responses=ConnectionOut)
    def patch(self, request: Request, name: str) -> Response:
        row = fetch_connection(name)
        given = ConnectionIn(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        row = actions.save_connection(
            actor=self.actor, name=row.name, config=data.get("config"), secrets=data.get("secrets"), connection=row
        )
        actions.look_at_saved(row)
        return Response(ConnectionOut(row).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        actions.delete_connection(actor=self.actor, connection=fetch_connection(name))
        return Response(status=status.HTTP_204_NO_CONTENT)
