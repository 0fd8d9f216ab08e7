"""A service's objects: from the informers' rows while those are fresh, else by a look of our own, and seldom."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from clusters.drivers.runtime.base import ServiceRef
from fangduoduo_release.common.errors import AppError, Rejected

from . import names, observe
from .api import Api
from .pods import Object, is_of, is_ready

FRESH_S = 10.0
DIRECT_S = 2.0  # between two looks of our own at one service, while nobody watches the cluster
LOOKED_AT = (names.DEPLOYMENTS, names.REPLICASETS, names.PODS, names.SERVICES)
# Objects of one service as they were last seen, and how many seconds old that is (None: nobody has looked yet).
Reader = Callable[[str], tuple[Sequence[Object], float | None]]


class Seer:
    """What is known of one cluster. Safe for several threads."""

    def __init__(self, api: Api, reader: Reader) -> None:
        self._api, self._reader = api, reader
        self._direct: dict[tuple[str, str], tuple[float, tuple[Object, ...]]] = {}
        self._lock = threading.Lock()

    def sight(self, service: ServiceRef, namespace: str = "", generation: int = 0) -> observe.Sight:
        """The service's objects; `generation`: of the goal that they are expected to show by now. Raises Unavailable."""
        objects, age_s = self._rows(service)
        sight = observe.sort_out(objects, service)
        fresh = age_s is not None and age_s <= FRESH_S
        if fresh and (sight.deployment is not None or not generation) and sight.generation >= generation:
            return sight
        # Rows are behind, or somebody took it away or turned it back: only the server knows which.
        where = namespace or service.where
        kept = self._kept(service, where)
        looked = observe.sort_out(kept if kept is not None else self._look(service, where), service)
        if kept is not None and (looked.deployment is None or looked.generation < generation):
            looked = observe.sort_out(self._look(service, where), service)  # perhaps that was before it was applied
        return looked

    def is_gone(self, resource: names.Resource, namespace: str, name: str) -> bool:
        """Whether an object that should be there and was not seen is really not there: what the informers have seen of one kind
        may be behind what they have of another. What cannot be asked is not said to be gone."""
        try:
            return self._api.get(resource, namespace, name) is None
        except AppError:
            return False

    def pods(self, service: ServiceRef) -> list[Object]:
        """Its pods."""
        objects, age_s = self._rows(service)
        found = [one for one in objects if one.get("kind") == "Pod" and is_of(one, service.key, service.group)]
        if found or (age_s is not None and age_s <= FRESH_S):
            return found
        kept = self._kept(service, service.where)
        looked = kept if kept is not None else self._look(service, service.where)
        return [one for one in looked if one.get("kind") == "Pod" and is_of(one, service.key, service.group)]

    def namespaces(self, service: ServiceRef) -> list[str]:
        """Where the service is to be and was seen; [""] (the whole cluster) when nobody can say."""
        objects, _ = self._reader(service.key)
        mine = [one for one in objects if is_of(one, service.key, service.group)]
        found = {service.where} | {str(one["metadata"].get("namespace") or "") for one in mine}
        return sorted(found - {""}) or [""]

    def _rows(self, service: ServiceRef) -> tuple[Sequence[Object], float | None]:
        """What the informers saw where the service is to be: our mark is a label that anybody may set elsewhere."""
        objects, age_s = self._reader(service.key)
        here = ("", service.where)
        return [o for o in objects if not service.where or o["metadata"].get("namespace", "") in here], age_s

    def _kept(self, service: ServiceRef, namespace: str) -> tuple[Object, ...] | None:
        """What a look of our own found a moment ago; None when there was none."""
        with self._lock:
            kept = self._direct.get((service.key, namespace))
        return kept[1] if kept is not None and time.monotonic() - kept[0] < DIRECT_S else None

    def _look(self, service: ServiceRef, namespace: str) -> tuple[Object, ...]:
        """The service's objects from the server itself. Raises Unavailable, Rejected."""
        key, now = (service.key, namespace), time.monotonic()
        found: list[Object] = []
        # What is made of others is read after them: what is seen of it is never older than what made it.
        for resource in LOOKED_AT:
            found += self._api.list(resource, namespace, labels=f"{names.SERVICE}={service.key}")
        if any(one.get("kind") == "Pod" and not is_ready(one) for one in found):
            found += self._events(namespace)
        with self._lock:
            if len(self._direct) > 1000:
                self._direct.clear()
            self._direct[key] = (now, tuple(found))
        return tuple(found)

    def _events(self, namespace: str) -> list[Object]:
        """They only explain: an account that may not read them still sees what runs."""
        try:
            return [*self._api.list(names.EVENTS, namespace, fields="involvedObject.kind=Pod")]
        except Rejected as error:
            if error.code != "forbidden":
                raise
            return []

    def forget(self, service: ServiceRef) -> None:
        """What was looked at is out of date: something was written."""
        with self._lock:
            for key in [key for key in self._direct if key[0] == service.key]:
                del self._direct[key]
