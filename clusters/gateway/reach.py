"""Who may read and change objects in which namespace: asked through the settings, because this room knows no projects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from clusters.drivers.runtime.kubernetes.names import PROJECT
from clusters.gateway.statuses import absent
from clusters.kubernetes import KIND
from clusters.models import Cluster
from fangduoduo_release.common.errors import AppError
from permissions.models import ApiToken, User


@dataclass(frozen=True, slots=True)
class Place:
    """What somebody may do in one namespace; that there is one means that they may read it, but for what other projects
    have there.

    Sets of projects, as objects are labelled with them: `deploys` may be changed, `removes` deleted too. `everything`:
    objects of all projects and of none (ops). `barred`: why nothing may be changed now, whoever asks;
    `barred_restart`: why pods may not even be replaced.
    """

    projects: frozenset[str] = frozenset()
    deploys: frozenset[str] = frozenset()
    removes: frozenset[str] = frozenset()
    everything: bool = False
    barred: AppError | None = None
    barred_restart: AppError | None = None

    @property
    def writes(self) -> bool:
        return self.everything or bool(self.deploys)

    def shows(self, project: str) -> bool:
        """Whether objects of that project ("": of none) may be read here: a namespace may be shared."""
        return self.everything or not project or project in self.projects


def project_of(item: Any) -> str:
    """Whose an object is, by its label; "" when it does not say."""
    metadata = item.get("metadata") if isinstance(item, Mapping) else None
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    return str(labels.get(PROJECT) or "") if isinstance(labels, Mapping) else ""


def cluster_named(name: str, *, connected: bool = True) -> Cluster:
    """The Kubernetes of that name. Raises Refused (404). Not `connected`: its connection, which would be decrypted, is
    read when it is asked for; most that only read are answered without."""
    rows = Cluster.objects.select_related("connection") if connected else Cluster.objects
    found = rows.filter(name=name, kind=KIND).first()
    if found is None:
        raise absent("clusters", name)
    return found


def places(actor: Any, cluster: Cluster, *, changing: bool = False) -> Mapping[str, Place]:
    """The namespaces of the cluster that the actor may read. Raises Refused (404) when there is none: to them the
    cluster is not there. `changing`: what bars changes is worked out too."""
    found: Mapping[str, Place] = import_string(settings.GATEWAY_REACH)(actor, cluster, changing=changing)
    if not found:
        raise absent("clusters", cluster.name)
    return found


def place(actor: Any, cluster: Cluster, namespace: str, *, changing: bool = False) -> Place:
    """One of them. Raises Refused (404)."""
    found = places(actor, cluster, changing=changing).get(namespace)
    if found is None:
        raise absent("namespaces", namespace)
    return found


def still_reads(actor: Any, token: ApiToken | None, cluster: Cluster, namespace: str) -> bool:
    """Whether they may read on, asked anew: the account, the token, the grants."""
    person = User.objects.filter(pk=actor.pk, is_active=True, epoch=actor.epoch).first()
    if person is None:
        return False
    if token is not None:
        kept = ApiToken.objects.filter(pk=token.pk).first()
        if kept is None or kept.state != "ok":
            return False
    person.scopes = actor.scopes
    return namespace in places(person, cluster)
