"""Events, counted where they say the same again."""

from __future__ import annotations

import time

from . import clock
from .kinds import EVENTS, PODS, Kind, Object
from .store import Store

_FIELDS: Object = {
    "f:count": {}, "f:firstTimestamp": {}, "f:involvedObject": {}, "f:lastTimestamp": {}, "f:message": {}, "f:reason": {},
    "f:reportingComponent": {}, "f:reportingInstance": {}, "f:source": {"f:component": {}}, "f:type": {},
}  # fmt: skip
_NEW_FIELDS: Object = {
    "f:action": {}, "f:eventTime": {}, "f:note": {}, "f:reason": {}, "f:regarding": {}, "f:reportingController": {},
    "f:reportingInstance": {}, "f:type": {},
}  # fmt: skip


class Events:
    def __init__(self, store: Store) -> None:
        self.store = store
        self._told: dict[tuple[str, str, str, str], tuple[str, str]] = {}

    def tell(
        self, kind: Kind, obj: Object, reason: str, message: str, *, by: str, warning: bool = False, host: str = "",
        container: str = "",
    ) -> None:  # fmt: skip
        """As client-go's recorder: one object, its count rising."""
        metadata = obj["metadata"]
        told = (metadata["uid"], reason, message, container)
        key = self._told.get(told)
        known = self.store.tables[EVENTS].get(key) if key else None
        if known is not None:
            again = known.thaw()
            again["count"] += 1
            again["lastTimestamp"] = clock.now()
            again["metadata"]["managedFields"][0]["time"] = clock.now()
            self.store.put(EVENTS, again)
            return
        event = self._event(kind, obj, reason, message, by, warning, container)
        source = {"component": by} | ({"host": host} if host else {})
        event |= {"source": source, "firstTimestamp": clock.now(), "lastTimestamp": clock.now(), "count": 1}
        event |= {"eventTime": None, "reportingComponent": by, "reportingInstance": host}
        fields = _FIELDS | ({"f:source": {"f:component": {}, "f:host": {}}} if host else {})
        self._sign(event, by, "v1", fields)
        self.store.put(EVENTS, event)
        self._told[told] = (metadata["namespace"], event["metadata"]["name"])

    def schedule(self, pod: Object, reason: str, message: str, *, warning: bool = False) -> None:
        """The scheduler writes the newer kind of event."""
        event = self._event(PODS, pod, reason, message, "default-scheduler", warning, "")
        event |= {"source": {}, "firstTimestamp": None, "lastTimestamp": None, "eventTime": clock.micro()}
        event |= {"action": "Scheduling" if warning else "Binding", "reportingComponent": "default-scheduler"}
        event["reportingInstance"] = "default-scheduler-vm"
        self._sign(event, "kube-scheduler", "events.k8s.io/v1", _NEW_FIELDS)
        self.store.put(EVENTS, event)

    def _event(
        self, kind: Kind, obj: Object, reason: str, message: str, by: str, warning: bool, container: str
    ) -> Object:
        metadata = obj["metadata"]
        of: Object = {"kind": kind.name, "namespace": metadata["namespace"], "name": metadata["name"]}
        of |= {"uid": metadata["uid"], "apiVersion": kind.api_version, "resourceVersion": metadata["resourceVersion"]}
        if container:
            of["fieldPath"] = f"spec.containers{{{container}}}"
        name = f"{metadata['name']}.{time.time_ns():x}"
        return {
            "metadata": {
                "name": name, "namespace": metadata["namespace"], "uid": clock.uid(), "creationTimestamp": clock.now()
            },
            "involvedObject": of, "reason": reason, "message": message, "type": "Warning" if warning else "Normal",
        }  # fmt: skip

    def _sign(self, event: Object, manager: str, version: str, fields: Object) -> None:
        event["metadata"]["managedFields"] = [
            {"manager": manager, "operation": "Update", "apiVersion": version, "time": clock.now(),
             "fieldsType": "FieldsV1", "fieldsV1": fields}
        ]  # fmt: skip
