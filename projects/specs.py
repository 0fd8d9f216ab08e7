"""A project's spec, revision by revision: plain values in one row, secret values encrypted beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from clusters.drivers.runtime.spec import ServiceSpec
from fangduoduo_release.common.actor import name_of
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S
from projects import configuration
from projects.models import Project, SpecRevision

EMPTY: dict[str, Any] = {
    "command": ["./start"],
    "replicas": 1,
    "port": 8080,
    "env": {},
    "health_check": {},
}


def starter_spec(starter: str) -> dict[str, Any]:
    """The spec that goes with a starter, else a plain one to be filled in."""
    path = Path(settings.STARTERS_ROOT) / f"{starter}.spec.json"
    return dict(json.loads(path.read_text())) if path.is_file() else dict(EMPTY)


def latest(project: Project) -> SpecRevision | None:
    return project.spec_revisions.order_by("-number").first()


def service_spec(revision: SpecRevision) -> ServiceSpec:
    """The typed spec of a revision, secrets included: hand it to a runtime, show it to nobody."""
    return ServiceSpec.from_json(revision.spec, revision.secrets or {})


def store(actor: Any, project: Project, data: Mapping[str, Any]) -> SpecRevision:
    """Validate and keep a new revision; unchanged content keeps the old one. Call inside a transaction.

    `secrets` maps names to new values; a name with null is removed; names not given keep their value.
    Raises Invalid with every broken field, Denied for configuration of other projects.
    """
    plain = {name: value for name, value in data.items() if name != "secrets"}
    given = data.get("secrets") or {}
    if not isinstance(given, Mapping):
        sentence = S("“%(field)s” must map names to text.", field="secrets")
        raise Invalid(sentence, code="bad_spec", fields={"secrets": [sentence]})
    Project.objects.select_for_update().get(pk=project.pk)  # what follows builds on the newest revision
    previous = latest(project)
    secrets = dict(previous.secrets or {}) if previous else {}
    for name, value in given.items():
        if value is None:
            secrets.pop(name, None)
        else:
            secrets[name] = value
    ServiceSpec.from_json(plain, secrets)
    configuration.check(actor, project, plain, previous.spec if previous else {})
    sha256 = fingerprint(plain, secrets)
    if previous is not None and previous.sha256 == sha256:
        return previous
    return SpecRevision.objects.create(
        project=project,
        number=(previous.number if previous else 0) + 1,
        spec=plain,
        secrets=secrets,
        sha256=sha256,
        author=name_of(actor),
    )


def fingerprint(plain: Mapping[str, Any], secrets: Mapping[str, str]) -> str:
    """sha256 over the canonical spec; secret values enter as their own hashes."""
    hashed = {name: hashlib.sha256(value.encode()).hexdigest() for name, value in secrets.items()}
    text = json.dumps({"spec": plain, "secrets": hashed}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
