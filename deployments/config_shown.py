"""Pins of configuration as people read them: which texts, and which of them are others than those that run.

Only reads rows. Values of Secrets that stand in a manifest are shown to nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import CharField, OuterRef, Subquery, Value
from django.db.models.functions import Cast

from clusters.configs import Pinned
from clusters.drivers.config.binding import EMBEDDED
from clusters.drivers.runtime.kubernetes.manifests import canonical
from clusters.models import ConfigRevision, ConfigSeen, ConfigText
from deployments import configuring
from deployments.models import Service
from fangduoduo_release.common.differences import unified
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.safe_yaml import load_all


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a pin. `path` "": the base manifest. `was`: the revision that runs, where that is another text."""

    path: str
    key: str
    revision: str
    sha256: str
    change: str = ""  # "", "changed", "new" or "gone"
    was: str = ""
    diff: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A pin in full. `source` "": the spec of the portal alone. `was_spec`: the revision that runs, where it is another."""

    source: str
    spec: int | None
    sha256: str
    texts: tuple[Text, ...] = ()
    was_spec: int | None = None

    @property
    def changed(self) -> bool:
        return any(one.change for one in self.texts)


def shown(pin: Mapping[str, Any] | None, runs: Mapping[str, Any] | None = None) -> Shown | None:
    """What a pin names; beside what runs, where there is such a pin. None where nothing is pinned."""
    if not pin:
        return None
    found, before = configuring.pinned(pin), configuring.pinned(runs)
    spec, was = configuring.spec_of(pin), configuring.spec_of(runs)
    inner = pin.get("spec")
    sha256 = str((inner if isinstance(inner, Mapping) else pin).get("sha256") or "")
    texts = _compared(found, before) if runs else tuple(_plain(found))
    source = found.source if found else ""
    return Shown(source, spec, sha256, texts, was if was not in (None, spec) else None)


def _plain(pin: Pinned | None) -> list[Text]:
    if pin is None:
        return []
    base = [Text("", pin.key, pin.revision, pin.sha256)] if pin.key else []
    return [*base, *(Text(one.path, one.key, one.revision, one.sha256) for one in pin.files)]


def _compared(pin: Pinned | None, runs: Pinned | None) -> tuple[Text, ...]:
    """The texts of both; the diffs by one question."""
    now, before = {one.path: one for one in _plain(pin)}, {one.path: one for one in _plain(runs)}
    others = [path for path in sorted({*now, *before}) if _sha(now.get(path)) != _sha(before.get(path))]
    wanted = {_sha(side.get(path)) for path in others for side in (now, before)} - {""}
    kept = dict(ConfigText.objects.filter(sha256__in=wanted).values_list("sha256", "text")) if wanted else {}
    found = []
    for path in sorted({*now, *before}):
        old, new = before.get(path), now.get(path)
        if path not in others:
            assert new is not None
            found.append(new)
            continue
        named = new or old
        assert named is not None
        sides = [readable(path, kept.get(_sha(one), "")) for one in (old, new)]
        titles = [f"{one.key} {one.revision}" if one else "-" for one in (old, new)]
        change = "changed" if old and new else "new" if new else "gone"
        diff = unified(sides[0], sides[1], *titles)
        found.append(
            Text(path, named.key, new.revision if new else "", _sha(new), change, old.revision if old else "", diff)
        )
    return tuple(found)


def _sha(text: Text | None) -> str:
    return text.sha256 if text else ""


def readable(path: str, text: str) -> str:
    """The text as it may be shown: of a manifest that holds a Secret, without its values."""
    if path or ("Secret" not in text and "\\" not in text):  # the word may also be written with escapes
        return text
    try:
        return canonical(_objects(load_all(text)))
    except Invalid:
        return ""  # nobody can say where its secrets are


def _objects(documents: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    """Every object, also of lists."""
    for one in documents:
        items = one.get("items") if isinstance(one, Mapping) and one.get("kind") == "List" else [one]
        yield from (item for item in items or () if isinstance(item, Mapping))


def changed_since(services: Iterable[Service]) -> dict[int, int]:
    """How many pinned texts of each service say something else by now, by its id; the rest is left out. One question
    for all, none where nothing is pinned from a source."""
    wanted: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for service in services:
        pin = configuring.pinned(service.config)
        for text in _plain(pin):
            assert pin is not None
            wanted[pin.source, text.key].append((service.pk, text.sha256))
    if not wanted:
        return {}
    found: dict[int, int] = {}
    for source, key, sha256 in _now(wanted):
        for pk, pinned in wanted.get((source, key), ()):
            if sha256 != pinned:
                found[pk] = found.get(pk, 0) + 1
    return found


def _now(wanted: Iterable[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """(source, key, sha256) as far as is known here; sha256 "": it is not there any more."""
    by_source: dict[str, set[str]] = defaultdict(set)
    for source, key in wanted:
        by_source[source].add(key)
    newest = ConfigRevision.objects.filter(key=OuterRef("key")).order_by("-number").values("number")[:1]
    own = (
        ConfigRevision.objects.filter(key__in=by_source.pop(EMBEDDED, set()), number=Subquery(newest))
        .order_by()
        .annotate(source=Value(EMBEDDED, CharField()), name=Cast("key", CharField()))
    )
    seen = (
        ConfigSeen.objects.filter(connection__name__in=by_source, key__in=set().union(*by_source.values()))
        .exclude(seen_at=None)
        .order_by()
    )
    rows = own.values_list("source", "name", "sha256", "deleted").union(
        seen.annotate(name=Cast("key", CharField()), deleted=Value(False)).values_list(
            "connection__name", "name", "sha256", "deleted"
        ),
        all=True,
    )
    return [(source, key, "" if deleted else sha256) for source, key, sha256, deleted in rows]
