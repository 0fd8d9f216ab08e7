"""Manifests of one's own (from Consul, or the portal's own store), with what only the portal knows set on them. Pure.

Set are: namespace, labels, image by digest, replicas (unless something scales it), environment, health checks where the spec
names them, the wait before a pod stops, and that no pod is taken away before its successor is ready. All else stays as
it is written.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from clusters.drivers.runtime.base import Wanted
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.safe_yaml import load_all
from fangduoduo_release.common.sentence import S, Sentence

from . import names, policy, render
from .render import CONTAINER, Manifest, Parts

MOST_OBJECTS = 50


def manifests(wanted: Wanted, namespace: str, key: bytes) -> list[Manifest]:
    """Every object of the goal, in the order they are applied. Raises Invalid with every refusal."""
    if not wanted.base.strip():
        return render.from_spec(wanted, namespace, key)
    return from_base(wanted, namespace, key)


def from_base(wanted: Wanted, namespace: str, key: bytes) -> list[Manifest]:
    """The base manifests, filled in. Raises Invalid."""
    documents = _flat(load_all(wanted.base))
    refused = [sentence for one in documents for sentence in policy.refusals(one, namespace)]
    if refused:
        raise Invalid(refused[0], code="manifest_refused", fields={"manifest": refused})
    if len(documents) > MOST_OBJECTS:
        raise _bad(S("The manifest holds more than %(limit)s objects.", limit=MOST_OBJECTS))
    twice = _twice(documents)
    if twice:
        raise _bad(S("The manifest holds %(what)s twice.", what=twice))
    parts = Parts(wanted, namespace, key)
    main = _main(documents, wanted)
    found: list[Manifest] = []
    for one in documents:
        mine = copy.deepcopy(dict(one))
        metadata = mine["metadata"] = dict(mine["metadata"])
        metadata["namespace"] = namespace
        metadata["labels"] = _texts(metadata.get("labels")) | render.labels_of(wanted)
        if one is main:
            _fill(mine, wanted, parts, scaled=_is_scaled(documents, str(metadata["name"])))
        found.append(mine)
    found += parts.manifests()
    order = [resource.kind for resource in names.DEPLOYABLE]
    return sorted(found, key=lambda one: order.index(one["kind"]))


def _flat(documents: list[Any]) -> list[Any]:
    """Lists of kind `List` taken apart."""
    found: list[Any] = []
    for one in documents:
        items = one.get("items") if isinstance(one, Mapping) and one.get("kind") == "List" else None
        found += items if isinstance(items, list) else [one]
    return found


def _twice(documents: list[Any]) -> str:
    seen = set()
    for one in documents:
        what = f"{one['kind']}/{one['metadata']['name']}"
        if what in seen:
            return what
        seen.add(what)
    return ""


def _main(documents: list[Any], wanted: Wanted) -> Any:
    """The Deployment that is the service: the only one, else the one that is called like it. Raises Invalid."""
    candidates = [one for one in documents if one["kind"] == "Deployment"]
    name = render.name_of(wanted)
    if len(candidates) > 1:
        candidates = [one for one in candidates if one["metadata"]["name"] == name]
    if not candidates:
        raise _bad(S("The manifest needs one Deployment, or one that is called “%(name)s”.", name=name))
    found = candidates[0]
    pods = list(policy.pod_specs(found))
    if not pods or not isinstance(pods[0].get("containers"), list) or not pods[0]["containers"]:
        raise _bad(S("The Deployment “%(name)s” has no container.", name=str(found["metadata"]["name"])))
    return found


def _is_scaled(documents: list[Any], name: str) -> bool:
    for one in documents:
        target = one["spec"].get("scaleTargetRef") if isinstance(one.get("spec"), Mapping) else None
        if one["kind"] == "HorizontalPodAutoscaler" and isinstance(target, Mapping) and target.get("name") == name:
            return True
    return False


def _fill(manifest: Manifest, wanted: Wanted, parts: Parts, *, scaled: bool) -> None:
    spec = manifest["spec"]
    spec.pop("replicas", None)
    if not scaled and wanted.spec.autoscale is None:
        spec["replicas"] = wanted.spec.replicas
    template = spec["template"]
    metadata = template["metadata"] = dict(template.get("metadata") or {})
    own = _texts(metadata.get("labels"))
    metadata["labels"] = own | render.labels_of(wanted)
    if wanted.restart_nonce:
        metadata["annotations"] = _texts(metadata.get("annotations")) | {names.RESTARTED: wanted.restart_nonce}
    spec.setdefault("selector", {"matchLabels": render.selector_of(wanted)})
    spec.setdefault("progressDeadlineSeconds", max(1, math.ceil(wanted.spec.start_deadline_s)))
    strategy = spec.setdefault("strategy", {"type": "RollingUpdate"})
    if strategy.get("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy["rollingUpdate"] = dict(strategy.get("rollingUpdate") or {})
        rolling.setdefault("maxUnavailable", 0)
    pod = template["spec"]
    if parts.pull_name and {"name": parts.pull_name} not in (pod.get("imagePullSecrets") or []):
        pod["imagePullSecrets"] = [*(pod.get("imagePullSecrets") or []), {"name": parts.pull_name}]
    if parts.files_name:
        pod["volumes"] = [*(pod.get("volumes") or []), *parts.volumes()]
    _fill_container(_main_container(pod["containers"], parts.name), wanted, parts)
    pod.setdefault("terminationGracePeriodSeconds", render.grace_of(wanted))


def _main_container(containers: list[Manifest], name: str) -> Manifest:
    """The one called like the service, or `app`, else the first."""
    for wish in (name, CONTAINER):
        for one in containers:
            if one.get("name") == wish:
                return one
    return containers[0]


def _fill_container(container: Manifest, wanted: Wanted, parts: Parts) -> None:
    container["image"] = render.image_of(wanted)
    ours = parts.environment()
    wished = {*wanted.spec.env, *wanted.spec.secrets, "FDD_PROJECT", "FDD_MACHINE"}
    written = {str(one.get("name")) for one in container.get("env") or [] if isinstance(one, Mapping)}
    # HOST and PORT are offered to who has not said otherwise; what people wrote into the spec wins over the manifest.
    taken = [one for one in ours if one["name"] in wished or one["name"] not in written]
    names_taken = {one["name"] for one in taken}
    kept = [one for one in container.get("env") or [] if one.get("name") not in names_taken]
    container["env"] = [*kept, *taken]
    if wanted.spec.command and not container.get("command"):
        known = {str(one["name"]) for one in container["env"]}
        container["command"] = [render.word_of(word, known) for word in wanted.spec.command]
    if parts.files_name:
        container["volumeMounts"] = [*(container.get("volumeMounts") or []), *parts.mounts()]
    health = wanted.spec.health
    for name, check in (("startup", health.startup), ("readiness", health.readiness), ("liveness", health.liveness)):
        if check is not None:
            container[f"{name}Probe"] = render.probe(check, wanted.spec.port)
    if not container.get("lifecycle") and container.get("ports"):
        seconds = math.ceil(wanted.spec.drain_s)
        if seconds:
            container["lifecycle"] = {"preStop": {"sleep": {"seconds": seconds}}}


def _texts(values: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in values.items()} if isinstance(values, Mapping) else {}


def _bad(sentence: Sentence) -> Invalid:
    return Invalid(sentence, code="bad_manifest", fields={"manifest": [sentence]})
