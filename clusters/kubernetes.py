"""From rows to Kubernetes API servers: which cluster is reached how. Clients are kept while their connection stays as it is."""

from __future__ import annotations

import os
import threading
from functools import lru_cache

from django.conf import settings

from clusters.drivers.runtime.kubernetes.access import Access, from_kubeconfig, in_cluster
from clusters.drivers.runtime.kubernetes.api import Api
from clusters.models import Cluster
from clusters.placing import KUBERNETES as KIND
from clusters.placing import namespace_of
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S

__all__ = ["KIND", "access_from", "access_of", "api_of", "namespace_of"]
_lock = threading.Lock()
_apis: dict[int, tuple[Access, Api]] = {}


def access_from(connection: Connection) -> Access:
    """What a connection of kind `kubernetes` says. Raises Invalid, naming the field that is wrong."""
    config, secrets = connection.config, connection.secrets or {}
    if config.get("in_cluster"):
        return in_cluster(os.environ)
    text = str(secrets.get("kubeconfig") or "")
    if not text.strip():
        sentence = S("Give a kubeconfig, or use the account of the pod that the portal runs in.")
        raise Invalid(sentence, code="bad_kubeconfig", fields={"kubeconfig": [sentence]})
    return _parsed(text, str(config.get("context") or ""), settings.CLUSTER_ALLOW_INSECURE)


@lru_cache(maxsize=100)
def _parsed(text: str, context: str, allow_insecure: bool) -> Access:
    """Every look at a service asks for it; to read YAML and certificates each time would cost more than the look."""
    return from_kubeconfig(text, context, allow_insecure=allow_insecure)


def access_of(cluster: Cluster) -> Access:
    """How this cluster is reached. Raises Invalid."""
    if cluster.kind != KIND or cluster.connection is None:
        raise Invalid(S("The cluster “%(name)s” has no connection to a Kubernetes.", name=cluster.name))
    return access_from(cluster.connection)


def api_of(cluster: Cluster) -> Api:
    """The client of this cluster, shared by the threads of this process. Raises Invalid."""
    access = access_of(cluster)
    with _lock:
        kept = _apis.get(cluster.pk)
        if kept is None or kept[0] != access:
            kept = (access, Api(access))
            _apis[cluster.pk] = kept
        return kept[1]
