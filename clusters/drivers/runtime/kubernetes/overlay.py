"""Manifests of one's own (from Consul, or the portal's own store), with what only the portal knows set on them. Pure.

Set are: namespace, labels, image by digest, replicas (unless something scales it), environment, health checks where the spec
names them, the wait before a pod stops, and that no pod is taken away before its successor is ready. All else stays as
it is written, and wherever it has a form that cannot be filled in, it is refused.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from clusters.drivers.runtime.base import Wanted
from clusters.drivers.runtime.spec import FETCH_S
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.safe_yaml import load_all
from fangduoduo_release.common.sentence import S, Sentence

from . import names, parts, policy, render, scaled
from .parts import CONTAINER, Manifest, Parts

MOST_OBJECTS = 50
# What an object that was read from a cluster carries, and no goal may.
SERVERS = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink", "generateName")


def manifests(wanted: Wanted, namespace: str, key: bytes) -> list[Manifest]:
    """Every object of the goal, in the order they are applied. Raises Invalid with every refusal."""
    if not wanted.base.strip():
        return render.from_spec(wanted, namespace, key)
    return from_base(wanted, namespace, key)


def from_base(wanted: Wanted, namespace: str, key: bytes) -> list[Manifest]:
    """The base manifests, filled in. Raises Invalid."""
    documents = _flat(load_all(wanted.base))
    if len(documents) > MOST_OBJECTS:
        raise _bad(S("The manifest holds more than %(limit)s objects.", limit=MOST_OBJECTS))
    refused = [sentence for one in documents for sentence in policy.refusals(one, namespace)]
    if refused:
        raise Invalid(refused[0], code="manifest_refused", fields={"manifest": refused})
    twice = _twice(documents)
    if twice:
        raise _bad(S("The manifest holds %(what)s twice.", what=twice))
    ours = Parts(wanted, namespace, key)
    main = _main(documents, ours.name)
    main_name = str(main["metadata"]["name"])
    found: list[Manifest] = []
    for one in documents:
        mine = _prepared(one, wanted, namespace)
        if one is main:
            _fill(mine, wanted, ours, by_load=bool(scaled.scaler_among(documents, main_name)))
        found.append(mine)
    found += ours.manifests() + _more(documents, main_name, wanted, ours)
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


def _prepared(document: Mapping[str, Any], wanted: Wanted, namespace: str) -> Manifest:
    """A copy in our namespace and with our labels, and without what a cluster had said of it."""
    mine = copy.deepcopy(dict(document))
    mine.pop("status", None)
    _require_texts(mine)
    metadata = mine["metadata"] = {k: v for k, v in mine["metadata"].items() if k not in SERVERS}
    metadata["namespace"] = namespace
    metadata["labels"] = parts.offered_of(wanted) | _texts(metadata, "labels", mine) | parts.marks_of(wanted)
    notes = _texts(metadata, "annotations", mine)
    metadata.pop("annotations", None)
    kept = {name: text for name, text in notes.items() if not _is_ours(name)}
    if kept:
        metadata["annotations"] = kept
    template = mine["spec"].get("template") if isinstance(mine.get("spec"), Mapping) else None
    if isinstance(template, Mapping) and isinstance(template.get("metadata"), Mapping):
        # Which pods are the service's is ours to say.
        labels = _texts(template["metadata"], "labels", mine)
        mine["spec"]["template"]["metadata"]["labels"] = {k: v for k, v in labels.items() if not _is_ours(k)}
    return mine


def _is_ours(name: str) -> bool:
    return name.startswith(f"{names.PREFIX}/")


def _main(documents: list[Any], name: str) -> Any:
    """The Deployment that is the service: the only one, else the one that is called like it. Raises Invalid."""
    candidates = [one for one in documents if one["kind"] == "Deployment"]
    if len(candidates) > 1:
        candidates = [one for one in candidates if one["metadata"]["name"] == name]
    if not candidates:
        raise _bad(S("The manifest needs one Deployment, or one that is called “%(name)s”.", name=name))
    found = candidates[0]
    pods = list(policy.pod_specs(found))
    if not pods or not _objects(pods[0], "containers", found):
        raise _bad(S("The Deployment “%(name)s” has no container.", name=str(found["metadata"]["name"])))
    return found


def _more(documents: list[Any], main: str, wanted: Wanted, ours: Parts) -> list[Manifest]:
    """What the spec asks for and the manifests do not bring: an autoscaler, an address. Raises Invalid."""
    found: list[Manifest] = []
    if wanted.spec.autoscale is not None and not scaled.scaler_among(documents, main):
        found.append(render.autoscaler(wanted, ours, main))
    if wanted.spec.ingress is not None and not any(one["kind"] == "Ingress" for one in documents):
        there = [one for one in documents if one["kind"] == "Service"]
        service = next((one for one in there if one["metadata"]["name"] in (main, ours.name)), next(iter(there), None))
        spec = service.get("spec") if service is not None else None
        ports = _objects(spec, "ports", service) if isinstance(spec, Mapping) else []
        if service is None or not ports or not isinstance(ports[0].get("port"), int):
            raise _bad(S("An address from outside needs a Service with a port, and the manifest has none."))
        found.append(render.ingress(wanted, ours, str(service["metadata"]["name"]), ports[0]["port"]))
    return found


def _fill(manifest: Manifest, wanted: Wanted, ours: Parts, *, by_load: bool) -> None:
    spec = manifest["spec"]
    spec.pop("replicas", None)
    spec.pop("paused", None)  # to hold a roll-out is done in the portal
    if not by_load and wanted.spec.autoscale is None:
        spec["replicas"] = wanted.spec.replicas
    pod = spec["template"]["spec"]
    container = _main_container(pod, spec["template"], ours.name, manifest)
    _fill_template(spec["template"], wanted, str(container.get("name") or ""), manifest)
    _fill_selector(spec, wanted, manifest)
    least = spec.get("minReadySeconds")
    deadline = math.ceil(wanted.spec.start_deadline_s + FETCH_S) + (least if isinstance(least, int) else 0)
    if spec.get("progressDeadlineSeconds") is None:
        spec["progressDeadlineSeconds"] = deadline
    _fill_strategy(spec, manifest)
    pulls = _objects(pod, "imagePullSecrets", manifest)
    if ours.pull_name and {"name": ours.pull_name} not in pulls:
        pod["imagePullSecrets"] = [*pulls, {"name": ours.pull_name}]
    if ours.files_name:
        pod["volumes"] = [*_objects(pod, "volumes", manifest), *ours.volumes()]
    if not isinstance(pod.get("terminationGracePeriodSeconds"), int):
        pod["terminationGracePeriodSeconds"] = render.grace_of(wanted)
    _fill_container(container, wanted, ours, manifest, grace=pod["terminationGracePeriodSeconds"])


def _fill_template(template: Manifest, wanted: Wanted, main: str, manifest: Manifest) -> None:
    metadata = template["metadata"] = _object(template, "metadata", manifest)
    metadata["labels"] = parts.offered_of(wanted) | _texts(metadata, "labels", manifest) | parts.marks_of(wanted)
    metadata["annotations"] = _texts(metadata, "annotations", manifest) | render.notes_of(wanted, main)


def _fill_selector(spec: Manifest, wanted: Wanted, manifest: Manifest) -> None:
    """Ours where none is written; one that is must choose the pods of this very template."""
    selector = spec["selector"] = _object(spec, "selector", manifest) or {"matchLabels": parts.selector_of(wanted)}
    labels, chosen = spec["template"]["metadata"]["labels"], _texts(selector, "matchLabels", manifest)
    # Of Deployments that are there, some were given a selector that chooses what we once forced upon every pod.
    labels |= {name: text for name, text in parts.offered_of(wanted).items() if chosen.get(name) == text}
    if not chosen.items() <= labels.items():
        name = str(manifest["metadata"]["name"])
        raise _bad(S("The selector of the Deployment “%(name)s” does not choose its own pods.", name=name))


def _fill_strategy(spec: Manifest, manifest: Manifest) -> None:
    strategy = spec["strategy"] = _object(spec, "strategy", manifest) or {"type": "RollingUpdate"}
    if strategy.get("type") in (None, "RollingUpdate"):
        rolling = strategy["rollingUpdate"] = _object(strategy, "rollingUpdate", manifest)
        if rolling.get("maxSurge") not in (0, "0", "0%"):  # then there is no other way than to take one away first
            rolling.setdefault("maxUnavailable", 0)


def _main_container(pod: Mapping[str, Any], template: Mapping[str, Any], name: str, manifest: Manifest) -> Manifest:
    """The one that the template's annotation names, the one called like the service, or `app`, else the first."""
    containers = _objects(pod, "containers", manifest)
    noted = _texts(_object(template, "metadata", manifest), "annotations", manifest).get(names.MAIN, "")
    for wish in (noted, name, CONTAINER):
        for one in containers:
            if wish and one.get("name") == wish:
                return one
    return containers[0]


def _fill_container(container: Manifest, wanted: Wanted, ours: Parts, manifest: Manifest, *, grace: int) -> None:
    container["image"] = parts.image_of(wanted)
    port = _port_of(container, wanted.spec.port, manifest)
    there = _objects(container, "env", manifest)
    mine = ours.environment(port)
    wished = {*wanted.spec.env, *wanted.spec.secrets, "FDD_PROJECT", "FDD_MACHINE"}
    written = {str(one.get("name")) for one in there}
    # HOST and PORT are offered to who has not said otherwise; what people wrote into the spec wins over the manifest.
    taken = [one for one in mine if one["name"] in wished or one["name"] not in written]
    names_taken = {one["name"] for one in taken}
    environment = container["env"] = [*(one for one in there if str(one.get("name")) not in names_taken), *taken]
    if wanted.spec.command and not container.get("command"):
        known = {str(one.get("name")) for one in environment}
        container["command"] = [parts.word_of(word, known) for word in wanted.spec.command]
    if ours.files_name:
        container["volumeMounts"] = [*_objects(container, "volumeMounts", manifest), *ours.mounts()]
    health = wanted.spec.health
    for name, check in (("startup", health.startup), ("readiness", health.readiness), ("liveness", health.liveness)):
        if check is not None:
            container[f"{name}Probe"] = render.probe(check, port, environment)
    # A pod that is given little time to end must not spend all of it waiting.
    seconds = min(math.ceil(wanted.spec.drain_s), grace - 1)
    if not container.get("lifecycle") and container.get("ports") and seconds > 0:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": seconds}}}


def _port_of(container: Mapping[str, Any], wish: int, manifest: Manifest) -> int:
    """The port that the program listens on: as the manifest says it, where it does."""
    found = [one.get("containerPort") for one in _objects(container, "ports", manifest)]
    numbers = [one for one in found if isinstance(one, int)]
    return wish if wish in numbers or not numbers else numbers[0]


# -- pieces of a manifest, and the refusal of those that have another form than Kubernetes gives them ----------------


def _object(holder: Mapping[str, Any], key: str, manifest: Any) -> Manifest:
    found = holder.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise _shapeless(key, manifest)
    return found


def _objects(holder: Mapping[str, Any], key: str, manifest: Any) -> list[Manifest]:
    found = holder.get(key)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _shapeless(key, manifest)
    return found


def _texts(holder: Mapping[str, Any], key: str, manifest: Any) -> dict[str, str]:
    """Labels and the like; a number among them is the text that was meant."""
    found = _object(holder, key, manifest)
    if any(isinstance(value, dict | list) for value in found.values()):
        raise _shapeless(key, manifest)
    return {name: _text(value) for name, value in found.items()}


def _require_texts(manifest: Manifest) -> None:
    """A server repeats a value that is no text in its refusal, and that may be a password."""
    for group in ("data", "stringData", "binaryData") if manifest["kind"] in ("Secret", "ConfigMap") else ():
        for name, value in _object(manifest, group, manifest).items():
            if not isinstance(value, str):
                raise _bad(
                    S(
                        "“%(key)s” in the %(kind)s “%(name)s” is not text; write it in quotes.",
                        key=str(name)[:100], kind=manifest["kind"], name=str(manifest["metadata"]["name"])[:100],
                    )
                )  # fmt: skip


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _shapeless(key: str, manifest: Any) -> Invalid:
    kind, name = str(manifest["kind"])[:60], str(manifest["metadata"]["name"])[:100]
    return _bad(
        S(
            "“%(field)s” in the %(kind)s “%(name)s” is not written as Kubernetes expects it.",
            field=key,
            kind=kind,
            name=name,
        )
    )


def _bad(sentence: Sentence) -> Invalid:
    return Invalid(sentence, code="bad_manifest", fields={"manifest": [sentence]})
