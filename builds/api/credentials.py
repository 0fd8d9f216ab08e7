"""API over the secrets that pipelines may name: they go in, their names come out, their values never."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from builds import actions
from builds.models import Credential
from permissions import policy
from permissions.api.views import ApiView
from permissions.enforce import OBJECT
from projects.api.views import fetch_project


class CredentialOut(serializers.ModelSerializer[Credential]):
    id = serializers.CharField(source="ident")

    class Meta:
        model = Credential
        fields = ["id", "kind", "description", "created_at"]


class CredentialIn(serializers.Serializer[Any]):
    """`values` by kind: text {secret}; username_password {username, password}; file {name, content};
    ssh_key {username, private_key, passphrase?}."""

    id = serializers.CharField(max_length=80)
    kind = serializers.ChoiceField(choices=Credential.Kind.choices)
    values = serializers.DictField(child=serializers.CharField(max_length=64 * 1024, trim_whitespace=False))
    description = serializers.CharField(required=False, allow_blank=True, max_length=200)


class Credentials(ApiView):
    permission = OBJECT
    serializer_class = CredentialOut
    queryset = Credential.objects.none()
    filter_backends = []
    pagination_class = None

    @extend_schema(operation_id="credentials_list", responses=CredentialOut(many=True))
    def get(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        policy.require(self.actor, "change_project", project)
        return Response(CredentialOut(project.credentials.order_by("ident")[:500], many=True).data)

    @extend_schema(operation_id="credentials_save", request=CredentialIn, responses={201: CredentialOut})
    def post(self, request: Request, slug: str) -> Response:
        project = fetch_project(self.actor, slug)
        given = CredentialIn(data=request.data)
        given.is_valid(raise_exception=True)
        data = dict(given.validated_data)
        row = actions.save_credential(actor=self.actor, project=project, ident=data.pop("id"), **data)
        return Response(CredentialOut(row).data, status=status.HTTP_201_CREATED)


class CredentialOne(ApiView):
    permission = OBJECT
    serializer_class = CredentialOut
    queryset = Credential.objects.none()

    @extend_schema(operation_id="credentials_delete", responses={204: None})
    def delete(self, request: Request, slug: str, ident: str) -> Response:
        project = fetch_project(self.actor, slug)
        actions.delete_credential(actor=self.actor, project=project, ident=ident)
        return Response(status=status.HTTP_204_NO_CONTENT)
