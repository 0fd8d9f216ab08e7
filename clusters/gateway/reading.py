"""Get and list: from rows, with their age, or from the API server when that is asked for or the kind is not followed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from django.core import signing

from clusters.drivers.runtime.kubernetes.api import Answer
from clusters.gateway import selectors
from clusters.gateway.mirror import MARK, MIRRORS, Entry, joined
from clusters.gateway.paths import Target
from clusters.gateway.reach import Place, project_of
from clusters.gateway.statuses import Refused, absent
from clusters.kubernetes import api_of
from clusters.models import Cluster, ClusterFeed, ClusterObject
from clusters.observed import age, unpack
from fangduoduo_release.common.sentence import S

SALT: Final = "clusters.gateway.continue"
HOLDS_S: Final = 300  # as long as an API server keeps what a page of it began with
ASKED_ON = ("labelSelector", "fieldSelector", "limit", "continue")
HANDED_ON = ("retry-after", "warning")
Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """An answer as it goes out."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def flag(query: Query, name: str) -> bool:
    """As the API server reads booleans of a query: given without a value it is true."""
    return query.get(name, "false").lower() in {"", "1", "t", "true"}


def read(cluster: Cluster, places: Mapping[str, Place], target: Target, query: Query) -> Found:
    """A get or a list. Raises Refused, Unavailable, Invalid."""
    if flag(query, "watch"):
        raise Refused(
            405, S("The gateway does not watch: list again, X-Cache-Age says how old the answer is."), details=target.details
        )  # fmt: skip
    if flag(query, "fresh") or not target.kind.cached or target.subresource:
        return _asked(cluster, places, target, query)
    feed = feed_of(cluster, target)
    if target.name:
        return _one(cluster, feed, places, target)
    everywhere = target.kind.resource.namespaced and not target.namespace
    named = {name: places.get(name) for name in (sorted(places) if everywhere else [target.namespace])}
    return _list(cluster, feed, target, named, query)


def feed_of(cluster: Cluster, target: Target) -> ClusterFeed:
    """The feed of the target's kind. Raises Refused (503) when it was never read to its end."""
    resource = target.kind.resource.key
    feed = ClusterFeed.objects.filter(cluster=cluster, resource=resource).exclude(synced_at=None).first()
    if feed is None:
        raise Refused(
            503, S("“%(what)s” of this cluster were not read yet; try again, or ask with ?fresh=1.", what=resource), wait=2
        )  # fmt: skip
    return feed


def _headers(feed: ClusterFeed) -> dict[str, str]:
    seen = feed.seen_at or feed.synced_at
    return {"X-Cache": "hit", "X-Cache-Age": f"{age(seen):.3f}" if seen else ""}


def _one(cluster: Cluster, feed: ClusterFeed, places: Mapping[str, Place], target: Target) -> Found:
    resource = target.kind.resource
    rows = ClusterObject.objects.filter(
        cluster=cluster, resource=resource.key, namespace=target.namespace, name=target.name, gone=False
    )
    body = rows.values_list("body", flat=True).first()
    if body is None:
        raise absent(resource.plural, target.name, resource.group)
    item = {"kind": resource.kind, "apiVersion": resource.api_version, **unpack(body)}
    require_shown(places, target, item)
    return Found(orjson.dumps(item), headers=_headers(feed))


def require_shown(places: Mapping[str, Place], target: Target, item: Any) -> None:
    """Raises Refused (404) for what another project has in a namespace that both use: to others it is not there."""
    place = places.get(target.namespace)  # None: of a kind without namespaces, which ops alone read
    if place is not None and not place.shows(project_of(item)):
        resource = target.kind.resource
        raise absent(resource.plural, target.name, resource.group)


def require_shown_pod(cluster: Cluster, places: Mapping[str, Place], target: Target) -> None:
    """The same of the pod whose log is asked for: as rows know it, else as the API server does."""
    rows = ClusterObject.objects.filter(
        cluster=cluster, resource=target.kind.resource.key, namespace=target.namespace, name=target.name, gone=False
    )
    body = rows.values_list("body", flat=True).first()
    if body is not None:
        require_shown(places, target, unpack(body))
        return
    answer = api_of(cluster).ask("GET", target.kind.resource.path(target.namespace, target.name))
    if answer.ok:  # else the log's own answer says what is wrong
        require_shown(places, target, answer.json())


def _list(
    cluster: Cluster, feed: ClusterFeed, target: Target, namespaces: Mapping[str, Place | None], query: Query
) -> Found:
    by_label = selectors.labels(query.get("labelSelector", ""))
    by_field = selectors.fields(query.get("fieldSelector", ""), target.kind.fields)
    limit = _limit(query.get("limit", ""))
    begun = Page.of(query, cluster, feed, target)
    picked: list[Entry] = []
    there: tuple[Entry, ...] = ()
    last, left = "", 0
    plain = by_label is None and by_field is None
    for namespace, place in namespaces.items():
        if namespace < begun.namespace:
            continue
        after = begun.name if namespace == begun.namespace else ""
        there = MIRRORS.entries(cluster, feed, namespace)
        shown: Sequence[Entry] = there
        if after:
            shown = [entry for entry in shown if entry.name > after]
        if place is not None and not place.everything:
            shown = [entry for entry in shown if place.shows(entry.project())]
        if not plain:
            shown = [entry for entry in shown if _passes(entry, by_label, by_field)]
        room = limit - len(picked) if limit else len(shown)
        if shown[:room]:
            picked += shown[:room]
            last = f"{namespace}/{picked[-1].name}"
        left += len(shown[room:])
    metadata: dict[str, Any] = {"resourceVersion": feed.resource_version}
    if left:
        metadata["continue"] = begun.next(last)
        if plain:
            metadata["remainingItemCount"] = left
    resource = target.kind.resource
    head = orjson.dumps({"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata})
    if len(namespaces) == 1 and len(picked) == len(there):  # nothing was left out for anybody's sake
        body = MIRRORS.whole(cluster, feed, namespace, there, head)
    else:
        body = joined(head, picked)
    return Found(body, headers=_headers(feed))


def _passes(
    entry: Entry, by_label: selectors.Test | None, by_field: Callable[[Mapping[str, Any]], bool] | None
) -> bool:
    facts = entry.parsed()
    if by_label is not None and not by_label(facts["metadata"].get("labels") or {}):
        return False
    return by_field is None or by_field(facts)


def _limit(text: str) -> int:
    if not text:
        return 0
    if not text.isdecimal() or not text.isascii() or len(text) > 9:
        raise Refused(400, S("“limit” is a whole number, not “%(text)s”", text=text[:50]))
    return int(text)


@dataclass(frozen=True, slots=True)
class Page:
    """Where a list goes on. Pages follow the order of names, so what is there all the time is listed exactly once; the
    token is bound to what it was given for, and ends as an API server's does."""

    bound: str
    namespace: str = ""
    name: str = ""

    @classmethod
    def of(cls, query: Query, cluster: Cluster, feed: ClusterFeed, target: Target) -> Page:
        """The page that `continue` asks for. Raises Refused: 400 for a token that is not ours, 410 for one that ended."""
        asked = [target.namespace, query.get("labelSelector", ""), query.get("fieldSelector", "")]
        text = orjson.dumps([cluster.pk, feed.resource, *asked])
        bound = hashlib.sha256(text).hexdigest()[:24]
        token = query.get("continue", "")
        if not token:
            return cls(f"{bound}.{feed.pk}")
        try:
            known, at = signing.loads(token, salt=SALT, max_age=HOLDS_S)
        except signing.SignatureExpired as error:
            raise ended() from error
        except (signing.BadSignature, ValueError, TypeError) as error:
            raise Refused(400, S("invalid continue token: it is not one that this list gave")) from error
        if known.partition(".")[0] != bound:
            raise Refused(400, S("invalid continue token: it was given for another list"))
        if known != f"{bound}.{feed.pk}":
            raise ended()
        namespace, _, name = at.partition("/")
        return cls(known, namespace, name)

    def next(self, last: str) -> str:
        return signing.dumps([self.bound, last], salt=SALT)


def ended() -> Refused:
    """In the words that clients look for."""
    return Refused(410, S("The provided continue parameter is too old; begin the list again."))


def _asked(cluster: Cluster, places: Mapping[str, Place], target: Target, query: Query) -> Found:
    """From the API server, without what other projects have there. Raises Refused: 400 where that would show more than one
    may see, 404."""
    if target.kind.resource.namespaced and not target.namespace:
        raise Refused(400, S("The API server is asked for one namespace at a time; name it in the path."))
    passed = {name: query[name] for name in ASKED_ON if query.get(name)} if not target.name else {}
    answer = api_of(cluster).ask("GET", target.path, query=passed)
    body, code = handed_on(answer)
    place = places.get(target.namespace)
    if answer.ok and place is not None and not place.everything and MARK in body:
        body = _without_others(body, places, place, target)
    return Found(body, code, {"X-Cache": "bypass", **kept(answer)})


def _without_others(body: bytes, places: Mapping[str, Place], place: Place, target: Target) -> bytes:
    found = orjson.loads(body)
    if target.name:
        require_shown(places, target, found)
        return body
    items = found.get("items")
    found["items"] = [one for one in items if place.shows(project_of(one))] if isinstance(items, list) else []
    return orjson.dumps(found)


def handed_on(answer: Answer) -> tuple[bytes, int]:
    """Body and status of an answer as callers get it. Raises Refused (503) for a refusal that is meant for the portal."""
    if answer.status == 401:
        raise Refused(503, S("The API server does not accept the portal's own credentials; ops have to renew them."))
    if 300 <= answer.status < 400 or not answer.body.lstrip().startswith(b"{"):
        raise Refused(503, S("The API server answered with something that is not an object of Kubernetes."))
    return answer.body, answer.status


def kept(answer: Answer) -> dict[str, str]:
    """What of the API server's headers means something to callers."""
    return {name.title(): answer.headers[name] for name in HANDED_ON if name in answer.headers}
