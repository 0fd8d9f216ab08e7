"""Crowds of pods, for benchmarks: many at once, and many changes of them."""

from __future__ import annotations

import asyncio
import gc
import random
from typing import TYPE_CHECKING, Any

import orjson

from . import clock, defaults, podstatus
from .deployments import DESIRED, HASH, MOST, REVISION, template_hash
from .kinds import DEPLOYMENTS, NODES, PODS, REPLICASETS, Object
from .managers import updated

if TYPE_CHECKING:
    from .server import Kubernetes


def fill(
    kubernetes: Kubernetes, namespace: str, deployments: int, replicas: int, *, name: str = "app",
    image: str = "registry.example.com/shop/app:v1", labels: dict[str, str] | None = None,
) -> list[str]:  # fmt: skip
    """`name`-0 … with labels `app` and those given, on its template too; the names."""
    kubernetes._namespace(namespace)
    made = []
    gc.disable()  # all of it stays; looking for what does not takes longer than making it
    for number in range(deployments):
        own = f"{name}-{number}"
        _deployment(kubernetes, namespace, own, replicas, image, {"app": own, **(labels or {})})
        made.append(own)
    gc.enable()
    return made


def _deployment(
    kubernetes: Kubernetes, namespace: str, name: str, replicas: int, image: str, labels: dict[str, str]
) -> None:
    container: Object = {"name": "app", "image": image, "ports": [{"containerPort": 8080}]}
    obj: Object = {
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "uid": clock.uid(),
                     "creationTimestamp": clock.now(), "generation": 1, "annotations": {REVISION: "1"}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                 "template": {"metadata": {"labels": dict(labels)}, "spec": {"containers": [container]}}},
    }  # fmt: skip
    defaults.fill("Deployment", obj, namespace)
    now = clock.now()
    word = template_hash(obj["spec"]["template"])
    counts = {"replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas, "observedGeneration": 1}
    said = {"Available": ("MinimumReplicasAvailable", "Deployment has minimum availability."),
            "Progressing": ("NewReplicaSetAvailable", f'ReplicaSet "{name}-{word}" has successfully progressed.')}  # fmt: skip
    conditions = [
        {
            "type": type_,
            "status": "True",
            "lastUpdateTime": now,
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        }
        for type_, (reason, message) in said.items()
    ]
    obj["status"] = {**counts, "updatedReplicas": replicas, "conditions": conditions}
    updated(DEPLOYMENTS, None, obj, "kubectl-create")
    owner = kubernetes.store.put(DEPLOYMENTS, obj).obj
    template = orjson.loads(orjson.dumps(obj["spec"]["template"]))
    template["metadata"]["labels"][HASH] = word
    marks = {REVISION: "1", DESIRED: str(replicas), MOST: str(replicas + -(-replicas // 4))}
    replica_set: Object = {
        "metadata": {"name": f"{name}-{word}", "namespace": namespace, "labels": template["metadata"]["labels"],
                     "annotations": marks, "uid": clock.uid(), "creationTimestamp": now, "generation": 1,
                     "ownerReferences": [_owner("Deployment", owner)]},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name, HASH: word}}, "template": template},
        "status": {**counts, "fullyLabeledReplicas": replicas},
    }  # fmt: skip
    updated(REPLICASETS, None, replica_set, "kube-controller-manager")
    owner = kubernetes.store.put(REPLICASETS, replica_set).obj
    _pods(kubernetes, owner, template, replicas)


def _pods(kubernetes: Kubernetes, owner: Object, template: Object, replicas: int) -> None:
    """The first is made in full; the others differ from it in name and address."""
    metadata = owner["metadata"]
    pod: Object = {
        "metadata": {"generateName": f"{metadata['name']}-", "namespace": metadata["namespace"],
                     "labels": template["metadata"]["labels"], "creationTimestamp": clock.now(), "generation": 1,
                     "ownerReferences": [_owner("ReplicaSet", owner)]},
        "spec": orjson.loads(orjson.dumps(template["spec"])),
    }  # fmt: skip
    pod["metadata"] |= {"name": "", "uid": ""}
    defaults.fill("Pod", pod, metadata["namespace"])
    updated(PODS, None, pod, "kube-controller-manager")
    defaults.admit(pod)
    nodes = [name for _, name in kubernetes.store.tables[NODES]]
    image = kubernetes.images.identity(template["spec"]["containers"][0]["image"])
    for _ in range(replicas):
        each = orjson.loads(orjson.dumps(pod))
        name = kubernetes.store.unused(PODS, metadata["namespace"], f"{metadata['name']}-")
        each["metadata"] |= {"name": name, "uid": clock.uid()}
        node = random.choice(nodes)
        each["spec"]["nodeName"] = node
        containers = podstatus.made_of(each["spec"])
        for container in containers:
            container.run(image)
            container.ready = True
        address, host = kubernetes.kubelet._address(), kubernetes.scheduler.address(node)
        each["status"] = podstatus.write(each["status"], containers, address=address, host=host)
        fields = podstatus.owned(each["status"])
        each["metadata"]["managedFields"].append(
            {"manager": "kubelet", "operation": "Update", "apiVersion": "v1", "time": clock.now(),
             "fieldsType": "FieldsV1", "fieldsV1": fields, "subresource": "status"}
        )  # fmt: skip
        kubernetes.scheduler.taken(each["metadata"]["uid"], node, each)
        kubernetes.store.put(PODS, each)


def _owner(kind: str, obj: Object) -> Object:
    metadata = obj["metadata"]
    return {
        "apiVersion": "apps/v1", "kind": kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True,
        "blockOwnerDeletion": True,
    }  # fmt: skip


async def churn(kubernetes: Kubernetes, per_second: float, seconds: float, namespace: str = "") -> int:
    loop = asyncio.get_running_loop()
    begun, done, wanted = loop.time(), 0, int(per_second * seconds)
    keys: list[Any] = []
    while done < wanted:
        # A machine with no time to spare makes them late, never fewer: what waits for them counts on each.
        due = min(wanted, int((loop.time() - begun) * per_second))
        while done < due:
            if not keys:
                keys = [key for key in kubernetes.store.keys(PODS) if namespace in ("", key[0])]
                random.shuffle(keys)
            stored = kubernetes.store.tables[PODS].get(keys.pop()) if keys else None
            done += 1
            if stored is None or "deletionTimestamp" in stored.obj["metadata"]:
                continue
            new = stored.thaw()
            for status in new["status"].get("containerStatuses") or []:
                status["restartCount"] += 1
            kubernetes.store.put(PODS, new)
        await asyncio.sleep(0.005)
    return done
