"""From rows to config sources, and what a deployment pins of them.

`resolve` asks the source now and keeps the texts by their content, so that what was deployed can be deployed again
whatever is written there later. `drift` compares a pin with what is known now, without asking anybody.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from clusters.config_store import Rows, Sightings, keep_texts, newest, see
from clusters.drivers.config import templating
from clusters.drivers.config.base import ConfigSource, Document
from clusters.drivers.config.binding import EMBEDDED, ConfigBinding
from clusters.drivers.runtime.spec import ConfigFile
from clusters.models import ConfigSeen, ConfigSighting, ConfigText, Machine
from fangduoduo_release.common.differences import unified
from fangduoduo_release.common.drivers import driver_class
from fangduoduo_release.common.errors import Invalid, Rejected, Unavailable
from fangduoduo_release.common.models import Connection
from fangduoduo_release.common.sentence import S, Sentence

KIND = "consul"
PATIENCE_S = 10.0  # with one source, for all keys together


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """One config file: where it is written, and which text it is."""

    path: str
    key: str
    revision: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a deployment pins of its configuration. `key`, `revision` and `sha256` are of the base manifest, "" where there
    are only files."""

    source: str
    key: str
    revision: str
    sha256: str
    files: tuple[PinnedFile, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "files": [asdict(one) for one in self.files]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Pinned | None:
        """A stored pin; None where nothing was pinned."""
        if not data or not data.get("source"):
            return None
        named = {name: str(data.get(name) or "") for name in ("source", "key", "revision", "sha256")}
        parts = ("path", "key", "revision", "sha256")
        files = tuple(PinnedFile(*(str(one.get(part) or "") for part in parts)) for one in data.get("files") or ())
        return cls(**named, files=files)

    @property
    def shas(self) -> list[str]:
        return [sha for sha in (self.sha256, *(one.sha256 for one in self.files)) if sha]


def source_named(name: str) -> ConfigSource:
    """The embedded source, or the one behind a connection. Raises Invalid."""
    if name == EMBEDDED:
        embedded: ConfigSource = driver_class(settings.DRIVERS, "config", EMBEDDED)(Rows())
        return embedded
    return source_of(connection_named(name))


def source_of(connection: Connection) -> ConfigSource:
    """The source behind a connection. Raises Invalid, naming the field that is wrong."""
    driver = driver_class(settings.DRIVERS, "config", connection.kind)  # its libraries are loaded only now
    source: ConfigSource = driver(access_of(driver.Access, connection), Sightings(connection))
    return source


def access_of(kind: Any, connection: Connection) -> Any:
    """How a Consul is reached, as its connection says. Raises Invalid."""
    config, secrets = connection.config, connection.secrets or {}
    names = ("url", "prefix", "namespace", "partition", "datacenter", "ca")
    told = {name: str(config.get(name) or "").strip() for name in names}
    told["url"], told["prefix"] = told["url"].rstrip("/"), told["prefix"].strip("/")
    return kind(**told, token=str(secrets.get("token") or "").strip(), stale=bool(config.get("stale")))


def connection_named(name: str) -> Connection:
    """The connection of a config source. Raises Invalid."""
    found = Connection.objects.filter(name=name, kind=KIND).first()
    if found is None:
        sentence = S("There is no source of configuration called “%(name)s”.", name=name[:100])
        raise Invalid(sentence, code="unknown_source", fields={"config": [sentence]})
    return found


def check_binding(data: object) -> ConfigBinding | None:
    """Read and judge the part `config` of a spec; its source has to be there. Raises Invalid."""
    binding = ConfigBinding.from_json(data)
    if binding is not None and binding.source != EMBEDDED:
        connection_named(binding.source)
    return binding


def values_of(project: str, machine: Machine) -> dict[str, str]:
    """What keys may ask for: `resolve` needs no more."""
    placement = machine.placement if isinstance(machine.placement, dict) else {}
    return {
        "PROJECT": project,
        "MACHINE": machine.name,
        "ENVIRONMENT": str(machine.environment),
        "NAMESPACE": str(placement.get("namespace") or ""),
    }


def resolve(binding: Mapping[str, Any] | None, *, values: Mapping[str, str]) -> Pinned | None:
    """Read what the binding names as it is now, and keep the texts. None without a binding.

    Raises Invalid (a bad binding or text), NotFound (no such key), Unavailable, Rejected (the source's own reasons).
    """
    bound = ConfigBinding.from_json(binding)
    if bound is None:
        return None
    keys = bound.keys(values)
    began = timezone.now()
    documents = _read(source_named(bound.source), bound.source, keys)
    keep_texts(one.text for one in documents.values())
    if bound.source != EMBEDDED:
        connection = connection_named(bound.source)
        for key, one in documents.items():
            see(connection, key, one, before=began)
    base = documents[keys[0]] if bound.key else None
    of_files = zip(bound.files, keys[1:] if bound.key else keys, strict=True)
    return Pinned(
        source=bound.source,
        key=base.key if base else "",
        revision=base.revision if base else "",
        sha256=base.sha256 if base else "",
        files=tuple(
            PinnedFile(file.path, key, documents[key].revision, documents[key].sha256) for file, key in of_files
        ),
    )


def _read(source: ConfigSource, name: str, keys: list[str]) -> dict[str, Document]:
    until, found = time.monotonic() + PATIENCE_S, {}
    for key in dict.fromkeys(keys):
        if time.monotonic() > until:
            sentence = S("The configuration of “%(name)s” comes too slowly to be waited for.", name=name)
            raise Unavailable(sentence, code="too_slow")
        found[key] = source.read(key)
    return found


def texts(pinned: Pinned) -> tuple[str, tuple[ConfigFile, ...]]:
    """The base manifest ("" where there is none) and the files as they were pinned, `${NAMES}` not filled in.

    Raises Rejected when a text is gone.
    """
    kept = dict(ConfigText.objects.filter(sha256__in=pinned.shas).values_list("sha256", "text"))
    for sha, key, revision in [(pinned.sha256, pinned.key, pinned.revision)] + [
        (one.sha256, one.key, one.revision) for one in pinned.files
    ]:
        if sha and sha not in kept:
            sentence = S(
                "The text of “%(key)s” at revision %(revision)s is gone; deploy with what it says now.",
                key=key,
                revision=revision,
            )
            raise Rejected(sentence, code="config_gone")
    base = kept[pinned.sha256] if pinned.sha256 else ""
    return base, tuple(ConfigFile(one.path, kept[one.sha256]) for one in pinned.files)


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with `${VERSION}` and the like replaced; see `drivers/config/templating.py`. Raises Invalid."""
    return templating.fill(text, values)


@dataclass(frozen=True, slots=True)
class Changed:
    """One text that is not what was pinned. `path` "": the base manifest; `now` "": it is not there any more, or not named
    any more; `was` "": it was not pinned. `author` "": the source does not say who."""

    path: str
    key: str
    was: str
    now: str
    author: str
    at: datetime | None
    diff: str


@dataclass(frozen=True, slots=True)
class Drift:
    """What the next deployment would take otherwise. `seen_at`: when the source was last heard of; None: it is ours."""

    source: str
    items: tuple[Changed, ...]
    seen_at: datetime | None
    trouble: Sentence | None


@dataclass(frozen=True, slots=True)
class _Known:
    revision: str
    sha256: str
    text: str
    author: str
    at: datetime | None


def drift(pinned: Pinned, binding: Mapping[str, Any] | None, values: Mapping[str, str]) -> Drift | None:
    """How what the binding names differs from what was pinned, as far as is known here; None when it does not.

    Asks no server, and says nothing of keys that nobody has looked at yet. Raises Invalid (a bad binding).
    """
    bound = ConfigBinding.from_json(binding)
    if bound is None:
        return None
    keys = bound.keys(values)
    paths = ([""] if bound.key else []) + [one.path for one in bound.files]
    wanted = dict(zip(paths, keys, strict=True))
    known, seen_at, trouble = _known(bound.source, keys)
    was = {one.path: one for one in pinned.files}
    if pinned.key:
        was[""] = PinnedFile("", pinned.key, pinned.revision, pinned.sha256)
    kept = dict(ConfigText.objects.filter(sha256__in=pinned.shas).values_list("sha256", "text"))
    items = []
    for path in sorted({*was, *wanted}):
        old, key = was.get(path), wanted.get(path, "")
        now = known.get(key) if key else _Known("", "", "", "", None)
        if now is None or now.sha256 == (old.sha256 if old else ""):
            continue
        before = kept.get(old.sha256, "") if old else ""
        names = (f"{old.key} {old.revision}" if old else "-", f"{key} {now.revision}" if now.sha256 else "-")
        diff = unified(before, now.text, *names)
        told = key or (old.key if old else "")
        revision = now.revision if now.sha256 else ""
        items.append(Changed(path, told, old.revision if old else "", revision, now.author, now.at, diff))
    return Drift(bound.source, tuple(items), seen_at, trouble) if items else None


def _known(source: str, keys: list[str]) -> tuple[dict[str, _Known], datetime | None, Sentence | None]:
    """What our rows say of these keys, when the source was last heard of, and what ails it."""
    if source == EMBEDDED:
        rows = newest(keys)
        gone = {key: _Known("", "", "", "", None) for key in keys if key not in rows}
        there = {
            key: _Known(str(r.number), "" if r.deleted else r.sha256, r.text, r.author, r.created_at)
            for key, r in rows.items()
        }
        return {**gone, **there}, None, None
    seen = list(ConfigSeen.objects.filter(connection__name=source, key__in=keys).exclude(seen_at=None))
    authors = ConfigSighting.objects.filter(connection__name=source, key__in=keys).exclude(author="")
    by_whom = {(key, revision): who for key, revision, who in authors.values_list("key", "revision", "author")}
    found = {
        r.key: _Known(r.revision, r.sha256, r.text, by_whom.get((r.key, r.revision), ""), r.changed_at) for r in seen
    }
    trouble = next((Sentence.from_json(row.trouble) for row in seen if row.trouble), None)
    return found, min((row.seen_at for row in seen if row.seen_at), default=None), trouble
