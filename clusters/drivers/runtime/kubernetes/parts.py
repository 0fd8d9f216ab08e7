"""What the objects of a service are called, what they carry, and those that hold its secrets and files. Pure.

Config files and secret values lie in objects whose names end in what they hash to: pods that run keep what they were started
with, and going back finds it unchanged.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from clusters.drivers.runtime.base import STABLE, PullSecret, Wanted
from fangduoduo_release.common import image_names
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S

from . import names

CONTAINER = "app"
HASHED = re.compile(r"-(files|env)-[0-9a-f]{10}\Z")  # ends of names that say what is in an object
REFERENCE = re.compile(r"(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
Manifest = dict[str, Any]


def name_of(wanted: Wanted) -> str:
    """What the service's objects are called in its namespace. Raises Invalid for a project no object can be named after."""
    name = wanted.project if wanted.service.group == STABLE else f"{wanted.project}-{wanted.service.group}"
    if not names.DNS_LABEL.match(name) or not name[0].isalpha() or len(name) > 50:
        sentence = S(
            "“%(name)s” is no name for objects in Kubernetes (small letters, digits and hyphens).", name=name[:100]
        )
        raise Invalid(sentence, code="bad_name")
    return name


def image_of(wanted: Wanted) -> str:
    """The image as pods are told it: by its digest where that is known. Raises Invalid without an image."""
    image, digest = wanted.artifact.image, wanted.artifact.digest
    if not image:
        raise Invalid(
            S("This version has no image, and Kubernetes runs nothing else; let its pipeline push one."),
            code="no_image",
        )
    if not digest:
        return image
    return f"{image_names.without_reference(image)}@{digest}"


def labels_of(wanted: Wanted) -> dict[str, str]:
    """On everything we make. Without the deployment: pods would be replaced for it."""
    return offered_of(wanted) | marks_of(wanted)


def offered_of(wanted: Wanted) -> dict[str, str]:
    """Everybody's words for what we make. A manifest that says them itself is chosen by them, so its own stay."""
    return {"app.kubernetes.io/name": wanted.project, "app.kubernetes.io/managed-by": names.MANAGER}


def marks_of(wanted: Wanted) -> dict[str, str]:
    """Our own words, by which the service's objects are found again."""
    return {
        names.SERVICE: wanted.service.key,
        names.GROUP: wanted.service.group,
        names.PROJECT: wanted.project,
        **({names.VERSION: wanted.version} if wanted.version else {}),
    }


def selector_of(wanted: Wanted) -> dict[str, str]:
    return {names.SERVICE: wanted.service.key, names.GROUP: wanted.service.group}


class Parts:
    """The objects that go with a Deployment, under names that say what is in them. `key`: of this installation."""

    def __init__(self, wanted: Wanted, namespace: str, key: bytes) -> None:
        self.wanted, self.namespace, self.key = wanted, namespace, key
        self.name = name_of(wanted)
        spec = wanted.spec
        files = {file.path: file.content for file in spec.files}
        self.files = sorted(files.items())  # whatever their order, the same files lie under the same keys
        self.files_name = f"{self.name}-files-{self._mark(files)}" if files else ""
        self.secret_name = f"{self.name}-env-{self._mark(dict(spec.secrets))}" if spec.secrets else ""
        self.pull_name = f"{self.name}-registry" if wanted.pull is not None else ""

    def _mark(self, values: Mapping[str, str]) -> str:
        text = json.dumps(values, sort_keys=True, ensure_ascii=True).encode()
        return hmac.new(self.key, text, hashlib.sha256).hexdigest()[:10]

    def metadata(self, name: str) -> Manifest:
        return {"name": name, "namespace": self.namespace, "labels": labels_of(self.wanted)}

    def manifests(self) -> list[Manifest]:
        spec, found = self.wanted.spec, []
        if self.wanted.pull is not None:
            found.append(
                self._secret(self.pull_name, "kubernetes.io/dockerconfigjson", _docker_config(self.wanted.pull))
            )
        if self.secret_name:
            found.append(self._secret(self.secret_name, "Opaque", dict(spec.secrets)))
        if self.files_name:
            data = {key_of(number): content for number, (_, content) in enumerate(self.files)}
            found.append(
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": self.metadata(self.files_name), "data": data}
            )
        return found

    def _secret(self, name: str, kind: str, values: Mapping[str, str]) -> Manifest:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": self.metadata(name), "type": kind, "data": data}

    def environment(self, port: int = 0) -> list[Manifest]:
        """Of the container: ours first, then people's, then secrets by reference. `port`: it listens on, if not the spec's."""
        spec = self.wanted.spec
        plain = {"FDD_PROJECT": self.wanted.project, "FDD_MACHINE": self.wanted.machine, "HOST": "0.0.0.0"}  # noqa: S104 - inside a pod
        plain |= {"PORT": str(port or spec.port)} if spec.port_name else {}
        found: list[Manifest] = [
            {"name": name, "value": literal(value)} for name, value in (plain | dict(spec.env)).items()
        ]
        for name in spec.secrets:
            found.append({"name": name, "valueFrom": {"secretKeyRef": {"name": self.secret_name, "key": name}}})
        return found

    def volumes(self) -> list[Manifest]:
        return [{"name": "fdd-files", "configMap": {"name": self.files_name}}] if self.files_name else []

    def mounts(self) -> list[Manifest]:
        where = self.wanted.spec.files_at.rstrip("/")
        return [
            {"name": "fdd-files", "mountPath": f"{where}/{path}", "subPath": key_of(number), "readOnly": True}
            for number, (path, _) in enumerate(self.files)
        ]


def key_of(number: int) -> str:
    """A file's key in its ConfigMap: keys take no “/”."""
    return f"file-{number:03d}"


def _docker_config(pull: PullSecret) -> dict[str, str]:
    token = base64.b64encode(f"{pull.username}:{pull.password}".encode()).decode()
    entry = {"username": pull.username, "password": pull.password, "auth": token}
    return {".dockerconfigjson": json.dumps({"auths": {pull.host: entry}}, sort_keys=True)}


def literal(text: str) -> str:
    """Text that Kubernetes would otherwise read references and doubled dollars into."""
    return text.replace("$", "$$")


def word_of(word: str, known: Collection[str]) -> str:
    """An argument with our references (`${NAME}`) as Kubernetes' own (`$(NAME)`); unknown names stay as they are written."""
    parts, end = [], 0
    for found in REFERENCE.finditer(word):
        parts.append(literal(word[end : found.start()]))
        if found[1]:
            parts.append(found[0][1:])
        else:
            parts.append(f"$({found[2]})" if found[2] in known else found[0])
        end = found.end()
    return "".join(parts) + literal(word[end:])
