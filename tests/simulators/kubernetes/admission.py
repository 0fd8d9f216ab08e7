"""What stands between a valid object and the store: admission webhooks and quotas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from . import status
from .kinds import PODS, QUOTAS, Kind, Object
from .status import Refused
from .store import Store
from .validation import quantity


@dataclass(eq=False)
class Webhook:
    """Refuses what it is told to, with a message. `kinds`: names of kinds, such as `Pod`."""

    name: str
    message: str
    kinds: frozenset[str]
    namespace: str = ""
    unless: Callable[[Object], bool] | None = None
    code: int = 400
    broken: bool = False
    hits: int = field(default=0)


class Admission:
    """`webhooks` refuse, `mutations` change what is written, quotas are the objects `resourcequotas`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.webhooks: list[Webhook] = []
        self.mutations: list[Callable[[Kind, Object], None]] = []

    def mutate(self, kind: Kind, obj: Object, live: Object | None) -> None:
        for mutation in self.mutations:
            mutation(kind, obj)

    def judge(self, kind: Kind, obj: Object, live: Object | None) -> None:
        namespace = obj["metadata"].get("namespace", "")
        for hook in list(self.webhooks):
            if kind.name not in hook.kinds or hook.namespace not in ("", namespace):
                continue
            if hook.unless is not None and hook.unless(obj):
                continue
            hook.hits += 1
            if hook.broken:
                said = f'Internal error occurred: failed calling webhook "{hook.name}": failed to call webhook: {hook.message}'
                raise Refused(500, "InternalError", said, {"causes": [{"message": said.partition(": ")[2]}]})
            reason = "" if hook.code == 400 else "Forbidden"
            raise Refused(hook.code, reason, f'admission webhook "{hook.name}" denied the request: {hook.message}')
        if kind is PODS and live is None:
            self._quota(obj)

    def _quota(self, pod: Object) -> None:
        namespace = pod["metadata"]["namespace"]
        for quota in self.store.all(QUOTAS, namespace):
            hard = (quota.obj.get("spec") or {}).get("hard") or {}
            asked = {name: _needs(pod, name) for name in hard}
            others = [each.obj for each in self.store.all(PODS, namespace) if _counts(each.obj)]
            used = {name: sum(_needs(other, name) for other in others) for name in hard}
            over = [name for name in sorted(hard) if asked[name] and used[name] + asked[name] > quantity(hard[name])]
            if over:
                said = {
                    "requested": [f"{name}={spoken(name, asked[name])}" for name in over],
                    "used": [f"{name}={spoken(name, used[name])}" for name in over],
                    "limited": [f"{name}={hard[name]}" for name in over],
                }
                listed = ", ".join(f"{word}: {','.join(values)}" for word, values in said.items())
                why = f"exceeded quota: {quota.obj['metadata']['name']}, {listed}"
                raise status.forbidden(PODS, pod["metadata"]["name"], why)

    def quota_status(self, quota: Object) -> Object:
        hard = (quota.get("spec") or {}).get("hard") or {}
        pods = [each.obj for each in self.store.all(PODS, quota["metadata"]["namespace"]) if _counts(each.obj)]
        return {"hard": hard, "used": {name: spoken(name, sum(_needs(pod, name) for pod in pods)) for name in hard}}


def _counts(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


def _needs(pod: Object, name: str) -> float:
    if name in ("pods", "count/pods"):
        return 1
    part, _, resource = name.partition(".") if "." in name else ("requests", "", name)
    return sum(needed(container, part, resource) for container in pod["spec"].get("containers") or [])


def needed(container: Object, part: str, resource: str) -> float:
    return quantity(((container.get("resources") or {}).get(part) or {}).get(resource, 0))


def spoken(name: str, amount: float) -> str:
    """A quantity in its usual unit."""
    if "cpu" in name:
        return f"{round(amount * 1000)}m" if amount % 1 else str(int(amount))
    if "memory" in name or "storage" in name:
        for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
            if amount and amount % size == 0:
                return f"{int(amount // size)}{unit}"
    return str(int(amount))
