"""Which configuration is a project's own, which it is bound to, and what is known of it here without asking anybody.

A project's own keys begin with its short name, in every source; whoever may change the project changes them. A binding
reaches no further either, unless ops made it: what another project keeps is not to be read by naming it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clusters import configs
from clusters.config_store import Rows, newest
from clusters.drivers.config import templating
from clusters.drivers.config.base import check_key
from clusters.drivers.config.binding import EMBEDDED, ConfigBinding
from clusters.models import ConfigSeen, Machine
from fangduoduo_release.common import safe_yaml
from fangduoduo_release.common.errors import Denied, Invalid, NotFound
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S, Sentence
from permissions import policy
from projects import grants
from projects.models import Project, SpecRevision

SAMPLE = dict.fromkeys(templating.IN_TEXTS, "1")


@dataclass(frozen=True, slots=True)
class Known:
    """One key as far as is known here. `revision` "": it is not there. `bound`: where it is used, as words of the spec
    ("" the base manifest, else a file's path). `seen_at` None: nobody has looked yet, or the source is ours."""

    source: str
    key: str
    revision: str
    sha256: str
    author: str
    at: datetime | None
    bound: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    seen_at: datetime | None = None
    trouble: Sentence | None = None


def is_own(project: Project, key: str) -> bool:
    return key.startswith(f"{project.slug}/")


def require_address(source: str, key: str) -> None:
    """What stands in an address has to be one: raises NotFound for a source nobody connected, or what can be no key."""
    try:
        check_key(key)
        configs.source_named(source)
    except Invalid as error:
        raise NotFound(error.sentence) from error


def require_own(actor: Any, project: Project, key: str) -> None:
    """Raises Denied for a key that belongs to somebody else; ops change all."""
    check_key(key)
    if not is_own(project, key) and not policy.is_ops(actor):
        sentence = S("The keys of %(project)s begin with “%(project)s/”.", project=project.slug)
        raise Denied(sentence, rule="own_keys", granted_by=["ops"])


def require_readable(actor: Any, project: Project, source: str, key: str) -> None:
    """Texts are for those who may build with them. Raises NotFound for a key that is neither the project's own nor bound
    by it (ops read all), Denied."""
    policy.require(actor, "build_project", project)
    check_key(key)
    if is_own(project, key) or policy.is_ops(actor) or any((source, key) == (k.source, k.key) for k in bound(project)):
        return
    raise NotFound(S("There is no configuration “%(key)s”.", key=key), code="no_config")


def check(actor: Any, project: Project, spec: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Judge the part `config` of a new spec; one that stays as it was is not judged again. Raises Invalid, Denied."""
    if spec.get("config") == before.get("config"):
        return
    binding = configs.check_binding(spec.get("config"))
    if binding is None:
        return
    filled = {"PROJECT": project.slug}
    for key in [binding.key, *(one.key for one in binding.files)]:
        if key:
            _require_bindable(actor, project, templating.fill_key(key, filled))


def _require_bindable(actor: Any, project: Project, key: str) -> None:
    if not is_own(project, key) and not policy.is_ops(actor):
        sentence = S(
            "“%(key)s” is not a key of %(project)s: those begin with “%(project)s/”. Ops can bind others.",
            key=key[:200],
            project=project.slug,
        )
        raise Denied(sentence, rule="own_keys", granted_by=["ops"])


def judge(key: str, text: str) -> None:
    """Raises Invalid for a text that its name promises to be YAML and is none, with samples for `${VERSION}` and the like."""
    if key.endswith((".yaml", ".yml")):
        safe_yaml.load_all(templating.fill(text, SAMPLE))


def sources() -> list[str]:
    """The names that a binding may give: the embedded source, and what ops connected."""
    return [EMBEDDED, *Connection.objects.filter(kind=configs.KIND).order_by("name").values_list("name", flat=True)]


def binding_of(project: Project) -> ConfigBinding | None:
    """What the project's newest spec is bound to; None also for what cannot be read."""
    spec = SpecRevision.objects.filter(project=project).order_by("-number").first()
    try:
        return ConfigBinding.from_json(spec.spec.get("config")) if spec is not None else None
    except Invalid:
        return None


def bound(project: Project) -> list[Known]:
    """The keys that the project's newest spec names, on each machine it may use; what is known of them."""
    binding = binding_of(project)
    if binding is None:
        return []
    machines = list(grants.granted_machines(project))
    places = ([""] if binding.key else []) + [one.path for one in binding.files]
    used: dict[str, tuple[list[str], list[str]]] = {}
    for machine in machines:
        for place, key in zip(places, _keys(project, binding, machine), strict=False):
            where, names = used.setdefault(key, ([], []))
            where += [place] if place not in where else []
            names += [machine.name] if machine.name not in names else []
    found = _of_database(used) if binding.source == EMBEDDED else _of_connection(binding.source, used)
    return [
        Known(**{**facts, "bound": tuple(used[key][0]), "machines": tuple(used[key][1])})
        for key, facts in found.items()
    ]


def own(project: Project) -> list[Known]:
    """The project's keys in the embedded source."""
    keys = Rows().keys(f"{project.slug}/")
    return [Known(**facts) for facts in _of_database(keys).values()]


def unwritten(project: Project) -> list[str]:
    """Own keys that the spec names in the embedded source and nobody has written yet; those with names in them aside."""
    binding = binding_of(project)
    if binding is None or binding.source != EMBEDDED:
        return []
    plain = [key for key in (binding.key, *(one.key for one in binding.files)) if key and "${" not in key]
    known = _of_database([key for key in dict.fromkeys(plain) if is_own(project, key)])
    return [key for key, facts in known.items() if not facts["revision"]]


def _keys(project: Project, binding: ConfigBinding, machine: Machine) -> list[str]:
    try:
        return binding.keys(configs.values_of(project.slug, machine))
    except Invalid:
        return []  # of this machine nothing can be named; whoever deploys there is told


def _of_database(keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    rows = newest(keys)
    found = {}
    for key in keys:
        row = rows.get(key)
        there = row is not None and not row.deleted
        found[key] = {
            "source": EMBEDDED,
            "key": key,
            "revision": str(row.number) if row is not None and there else "",
            "sha256": row.sha256 if row is not None and there else "",
            "author": row.author if row is not None else "",
            "at": row.created_at if row is not None else None,
        }
    return found


def _of_connection(source: str, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    rows = {
        row.key: row for row in ConfigSeen.objects.filter(connection__name=source, key__in=list(keys)).defer("text")
    }
    found = {}
    for key in keys:
        row = rows.get(key)
        found[key] = {
            "source": source,
            "key": key,
            "revision": row.revision if row is not None else "",
            "sha256": row.sha256 if row is not None else "",
            "author": "",
            "at": row.changed_at if row is not None else None,
            "seen_at": row.seen_at if row is not None else None,
            "trouble": Sentence.from_json(row.trouble) if row is not None and row.trouble else None,
        }
    return found
