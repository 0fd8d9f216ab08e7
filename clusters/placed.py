"""The rules of clusters and machines that other rows have a say in: one connection of its kind, one machine for a namespace.

Called inside the transaction that stores them.
"""

from __future__ import annotations

from django.conf import settings
from django.db.models import PROTECT

from clusters.models import Cluster, Machine
from clusters.placing import CONNECTED, KUBERNETES, judged, spelled
from fangduoduo_release.common.errors import Conflict, Invalid
from fangduoduo_release.common.sentence import S, Sentence


def check_cluster(cluster: Cluster) -> None:
    """Raises Invalid, Conflict."""
    kind, connection = cluster.kind, cluster.connection
    if kind not in settings.DRIVERS["runtime"]:
        raise _wrong("kind", S("There is no runtime of kind “%(kind)s” here.", kind=kind))
    if kind == "local" and Cluster.objects.filter(kind="local").exclude(pk=cluster.pk).exists():
        raise Conflict(S("This host is a cluster already."), code="exists")
    if kind in CONNECTED and (connection is None or connection.kind != kind):
        raise _wrong("connection", S("A cluster of kind “%(kind)s” needs a connection of that kind.", kind=kind))
    if kind not in CONNECTED and connection is not None:
        raise _wrong("connection", S("A cluster of kind “%(kind)s” is reached without a connection.", kind=kind))
    before = Cluster.objects.filter(pk=cluster.pk).first() if cluster.pk else None
    if before is not None and before.kind != kind and before.machines.exists():
        raise Conflict(S("The cluster has machines, so its kind cannot be changed."), code="in_use")


def check_machine(machine: Machine) -> None:
    """Bring its placement into the form that is stored. Raises Invalid, Conflict."""
    cluster = Cluster.objects.select_for_update().get(pk=machine.cluster_id)  # two machines wait for one another
    machine.placement = judged(cluster.kind, machine.placement)
    if cluster.kind == KUBERNETES:
        _require_own_namespace(machine)
    before = Machine.objects.filter(pk=machine.pk).first() if machine.pk else None
    if before is None or not _is_used(before):
        return
    if before.cluster_id != machine.cluster_id:
        raise Conflict(
            S("Services were deployed to this machine, so it cannot move to another cluster; add another machine."),
            code="in_use",
        )
    if cluster.kind == KUBERNETES and spelled(before.placement) != spelled(machine.placement):
        raise Conflict(
            S("Services were deployed to this machine, so its namespace cannot be changed; add another machine."),
            code="in_use",
        )


def _require_own_namespace(machine: Machine) -> None:
    wanted = spelled(machine.placement)
    for other in Machine.objects.filter(cluster=machine.cluster_id).exclude(pk=machine.pk):
        if spelled(other.placement) == wanted:
            sentence = S(
                "The namespace “%(name)s” of this cluster is the machine “%(other)s” already.",
                name=wanted,
                other=other.name,
            )
            raise Conflict(sentence, code="namespace_taken")


def _is_used(machine: Machine) -> bool:
    """Whether anything above this room stands on the machine so firmly that it could not be deleted."""
    firmly = [one for one in machine._meta.related_objects if getattr(one, "on_delete", None) is PROTECT]
    return any(one.related_model._default_manager.filter(**{one.field.name: machine}).exists() for one in firmly)


def _wrong(field: str, sentence: Sentence) -> Invalid:
    return Invalid(sentence, fields={field: [sentence]})
