"""Who says how many replicas there are: whoever deploys, or an autoscaler, and how the number passes from one to the other."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from clusters.drivers.runtime.base import FieldConflict, ServiceRef
from fangduoduo_release.common.errors import NotFound, Rejected
from fangduoduo_release.common.sentence import S, Sentence

from . import manifests, names
from .api import Answer, Api
from .parts import Manifest
from .pods import Object, path


def scaler_among(documents: Iterable[Any], name: str) -> str:
    """kind/name of the autoscaler among these that scales the Deployment of that name; "" when none does."""
    return next((manifests.title(one) for one in documents if _scales(one, name)), "")


def _scales(one: Any, name: str) -> bool:
    target = path(one, "spec", "scaleTargetRef") or {}
    return bool(
        one["kind"] == names.AUTOSCALERS.kind and (path(target, "kind"), path(target, "name")) == ("Deployment", name)
    )


class Beside:
    """Autoscalers that others made in a cluster. Safe for several threads."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._kept: dict[str, tuple[float, Sequence[Object]]] = {}

    def scaler(self, service: ServiceRef, name: str, namespace: str, seen_s: float = 0.0) -> str:
        """kind/name of one that scales the Deployment of that name and is not the service's own (those come and go with
        its goal); "" when there is none, or nobody can say. Asked for anew unless seen `seen_s` ago. Raises Unavailable, Rejected."""
        kept = self._kept.get(namespace)
        if kept is None or time.monotonic() - kept[0] > seen_s:
            kept = self._kept[namespace] = (time.monotonic(), self._there(namespace))
        others = (one for one in kept[1] if path(one, "metadata", "labels", names.SERVICE) != service.key)
        return scaler_among((one for one in others if not manifests.is_ending(one)), name)

    def _there(self, namespace: str) -> Sequence[Object]:
        try:
            return self._api.list(names.AUTOSCALERS, namespace)
        except NotFound:
            return []  # an old server
        except Rejected as error:
            if error.code != "forbidden":
                raise
            return []


def warnings(main: Manifest, scaler: str, *, beside: bool, stand: int | None) -> Iterator[Sentence]:
    """What people should know of a Deployment that is scaled by the load. `beside`: by what is not part of the goal;
    `stand`: its number of replicas now."""
    if beside:
        yield S(
            "%(what)s of this cluster decides how many instances there are; the replicas given here do not count.",
            what=scaler,
        )
    if scaler and stand == 0:
        yield S(
            "%(what)s stands at 0 instances, and this starts none: whoever scales it has to, and a HorizontalPodAutoscaler does nothing at 0.",
            what=manifests.title(main),
        )  # fmt: skip


def is_orphaned(api: Api, one: FieldConflict, manifest: Manifest, namespace: str, leaving: Sequence[str] = ()) -> bool:
    """A number of replicas that an autoscaler set, and none scales it any more, or only those that are `leaving`
    (kind/name): nobody is left who could mind."""
    ours = manifests.is_main(manifest) and one.what == manifests.title(manifest)
    if one.owner != names.CONTROLLERS or one.field != "spec.replicas" or not ours:
        return False
    try:
        there = api.list(names.AUTOSCALERS, namespace)
    except (Rejected, NotFound):
        return False  # nobody can say
    staying = (item for item in there if not manifests.is_ending(item) and manifests.title(item) not in leaving)
    return not scaler_among(staying, manifest["metadata"]["name"])


def is_handed_over(live: Object, manifest: Manifest) -> bool:
    """Whether our own apply, and nobody else, says how many replicas there are, and this goal leaves it to others."""
    if manifest["kind"] != "Deployment" or "replicas" in manifest["spec"] or path(live, "spec", "replicas") is None:
        return False
    holders = [
        (one.get("manager"), one.get("operation"))
        for one in path(live, "metadata", "managedFields") or []
        if path(one, "fieldsV1", "f:spec", "f:replicas") is not None
    ]
    return holders == [(names.MANAGER, "Apply")]


def hand_over(api: Api, live: Object, main: Manifest, namespace: str) -> Answer:
    """The number that is there to the heir: a field that we alone hold and leave out would fall back to one replica."""
    heir = {
        "apiVersion": main["apiVersion"], "kind": main["kind"],
        "metadata": {"name": main["metadata"]["name"], "namespace": namespace}, "spec": {"replicas": live["spec"]["replicas"]},
    }  # fmt: skip
    return api.apply(names.DEPLOYMENTS, namespace, heir, force=True, manager=names.HEIR)
