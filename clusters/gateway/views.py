"""`/api/clusters/{name}/k8s/{path}`: parse, ask who may, answer. What is read and written is in the modules beside."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from clusters.gateway import bodies, described, limits, logs, paths, reach, reading, statuses, writing
from clusters.gateway.reading import Found
from clusters.models import Cluster
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.api.authentication import GatewayJWT, TokenAuthentication
from permissions.api.views import READING, ApiView
from permissions.enforce import SIGNED_IN
from permissions.models import ApiToken

JSON = "application/json"


class Gateway(ApiView):
    """Kubernetes' API within what the caller is granted. Every answer, refusals too, is an object of Kubernetes."""

    permission = SIGNED_IN
    remembers = False  # Kubernetes' verbs have their own ways to be safe: names, resourceVersions, field managers
    authentication_classes = [GatewayJWT, TokenAuthentication, SessionAuthentication]
    serializer_class = described.StatusOut
    queryset = Cluster.objects.none()
    pagination_class = None
    filter_backends = []

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        token = request.auth if isinstance(request.auth, ApiToken) else None
        limits.take(limits.caller_of(request.user, token), writes=request.method not in READING)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, statuses.exceptions.AuthenticationFailed | statuses.exceptions.NotAuthenticated):
            exc.auth_header = self.get_authenticate_header(self.request)  # type: ignore[union-attr]
        told = statuses.told(exc)
        if told is None:
            raise exc
        set_rollback()
        return Response(told.body, status=told.status, headers=told.headers, content_type=JSON)

    @extend_schema(**described.READS)
    def get(self, request: Request, name: str, path: str) -> HttpResponseBase:
        cluster = reach.cluster_named(name, connected=False)
        places = reach.places(self.actor, cluster)
        namespace = paths.namespace_in(path)
        if namespace and namespace not in places:
            raise statuses.absent("namespaces", namespace)
        target = paths.parse(path)
        if target.kind.ops and not policy.is_ops(self.actor):
            raise statuses.Refused(403, S("Only ops may do this."), details=target.details)
        if target.subresource == "exec":
            raise statuses.Refused(400, S("A terminal is a WebSocket: open it below /ws/."), details=target.details)
        if target.subresource == "log":
            reading.require_shown_pod(cluster, places, target)
            return self._log(cluster, target)
        return _answer(reading.read(cluster, places, target, self.query))

    @extend_schema(**described.CREATES)
    def post(self, request: Request, name: str, path: str) -> HttpResponseBase:
        return self._change(request, name, path)

    @extend_schema(**described.CHANGES)
    def patch(self, request: Request, name: str, path: str) -> HttpResponseBase:
        return self._change(request, name, path)

    @extend_schema(**described.DELETES)
    def delete(self, request: Request, name: str, path: str) -> HttpResponseBase:
        return self._change(request, name, path)

    def _change(self, request: Request, name: str, path: str) -> HttpResponse:
        cluster = reach.cluster_named(name)
        namespace = paths.namespace_in(path)
        if namespace:
            place = reach.place(self.actor, cluster, namespace, changing=True)
        else:
            reach.places(self.actor, cluster)
        target = paths.parse(path)
        if not target.namespace:
            what = target.kind.resource.key
            raise statuses.Refused(
                403, S("“%(what)s” are changed in a namespace; name it in the path.", what=what), details=target.details
            )
        asked = request._request
        raw = bodies.raw_of(asked)
        change = writing.change_of(
            self.actor, cluster, place, target, str(asked.method), self.query, bodies.media_type(asked), raw
        )
        return _answer(writing.make(change))

    def _log(self, cluster: Cluster, target: paths.Target) -> HttpResponseBase:
        token = self.request.auth if isinstance(self.request.auth, ApiToken) else None
        caller, actor = limits.caller_of(self.actor, token), self.actor

        def still() -> bool:
            return reach.still_reads(actor, token, cluster, target.namespace)

        found = logs.open_log(cluster, target, self.query, caller, still)
        if isinstance(found, logs.Log):
            response = StreamingHttpResponse(found, content_type="text/plain; charset=utf-8")
            response["X-Accel-Buffering"] = "no"
            return response
        return _answer(Found(*reading.handed_on(found), reading.kept(found)))

    @property
    def query(self) -> dict[str, str]:
        return {name: str(values[-1]) for name, values in self.request.query_params.lists()}


def _answer(found: Found) -> HttpResponse:
    return HttpResponse(found.body, status=found.status, headers=found.headers, content_type=JSON)
