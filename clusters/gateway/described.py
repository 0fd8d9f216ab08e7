"""What the OpenAPI document says of the gateway: one path for all of Kubernetes' own, and its refusals."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from clusters.drivers.runtime.kubernetes.api import APPLY_PATCH
from clusters.gateway import bodies
from fangduoduo_release.common.api.schema import KUBERNETES

JSON = "application/json"


class StatusOut(serializers.Serializer[Any]):
    """A refusal as Kubernetes words it."""

    kind = serializers.CharField()
    apiVersion = serializers.CharField()  # noqa: N815 - Kubernetes' own name
    metadata = serializers.DictField()
    status = serializers.CharField()
    message = serializers.CharField(required=False)
    reason = serializers.CharField(required=False)
    details = serializers.DictField(required=False)
    code = serializers.IntegerField()


STATUSES = {
    400: "The request cannot be read.",
    401: "Not signed in.",
    403: "Not offered, against the policy, or beyond what one may do there.",
    404: "No such object, namespace or cluster, or one may not see it.",
    405: "No such verb here; watching is none.",
    409: "A conflict of field managers, or it exists already.",
    410: "The list has to begin again.",
    413: "More than 1 MiB.",
    415: "Another content type.",
    422: "The API server finds it invalid.",
    429: "Too often; Retry-After says when.",
    500: "The API server failed.",
    503: "The API server or the portal cannot answer now.",
}
OBJECT = OpenApiResponse(OpenApiTypes.OBJECT, description="An object or a list, as Kubernetes has it.")
ANSWERS: dict[Any, Any] = {code: OpenApiResponse(StatusOut, description=text) for code, text in STATUSES.items()}
# What is refused before the gateway is asked (a NUL, a token in the address) answers as the rest of the API does.
ANSWERS |= {(400, JSON): ANSWERS.pop(400), (400, "application/problem+json"): OpenApiTypes.OBJECT}
ANSWERS_OF_READS: dict[Any, Any] = {(200, JSON): OBJECT, (200, "text/plain"): OpenApiTypes.STR, **ANSWERS}
ANSWERS_OF_WRITES: dict[Any, Any] = {200: OBJECT, 201: OBJECT, 202: OBJECT, **ANSWERS}
PATH = OpenApiParameter(
    "path", str, OpenApiParameter.PATH, description="Kubernetes' own: api/v1/namespaces/{namespace}/pods, ….",
)  # fmt: skip
READ = [
    PATH,
    OpenApiParameter("labelSelector", str),
    OpenApiParameter("fieldSelector", str),
    OpenApiParameter("limit", int),
    OpenApiParameter("continue", str),
    OpenApiParameter("fresh", bool, description="Ask the API server, not the cache."),
]
WRITE = [
    PATH,
    OpenApiParameter("dryRun", str, enum=["All"]),
    OpenApiParameter("fieldManager", str, description="Default: gateway-{user}."),
]
FORCE = OpenApiParameter("force", bool, description="Of an apply: take fields that others own.")
BODY = dict.fromkeys((JSON, "application/yaml"), OpenApiTypes.OBJECT)
PATCH_BODY = dict.fromkeys((APPLY_PATCH, *sorted(bodies.PATCHES)), OpenApiTypes.OBJECT)
_MARKED: dict[str, Any] = {"extensions": {KUBERNETES: True}}
READS = {**_MARKED, "operation_id": "gateway_read", "parameters": READ, "responses": ANSWERS_OF_READS}
_WRITES = {**_MARKED, "responses": ANSWERS_OF_WRITES, "parameters": WRITE}
CREATES = {**_WRITES, "operation_id": "gateway_create", "request": BODY}
CHANGES = {**_WRITES, "operation_id": "gateway_change", "request": PATCH_BODY, "parameters": [*WRITE, FORCE]}
DELETES = {**_WRITES, "operation_id": "gateway_delete", "request": None}
