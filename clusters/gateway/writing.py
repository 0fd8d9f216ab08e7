"""Changes through the gateway, under the caller's name: may they, may this be there at all, write it down, do it, see it.

Whatever the form of a change, the API server is first asked what would come of it (a dry run). What is judged by the policy, and
what the audit shows, is that result: a patch cannot hide in it what a manifest may not say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from clusters.drivers.runtime.kubernetes import policy
from clusters.drivers.runtime.kubernetes.api import APPLY_PATCH, MERGE_PATCH, Answer, Api
from clusters.drivers.runtime.kubernetes.names import MANAGER, PREFIX, PROJECT
from clusters.gateway import bodies, kinds, recording, settling
from clusters.gateway.paths import Target
from clusters.gateway.reach import Place
from clusters.gateway.reading import Found, flag, handed_on, kept
from clusters.gateway.statuses import Refused
from clusters.kubernetes import api_of
from clusters.models import Cluster
from fangduoduo_release.common.errors import Denied, Unavailable
from fangduoduo_release.common.sentence import S

LONGEST_MANAGER = 128
UNPRINTABLE = re.compile(r"[^\x21-\x7e]")
ON_BODIES = ("fieldValidation",)
DELETE_OPTIONS = ("propagationPolicy", "gracePeriodSeconds", "preconditions")
Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One request to change something. `verb`: as the allow-list and the audit name it; `body`: what is sent."""

    actor: Any
    cluster: Cluster
    place: Place
    target: Target
    verb: str
    method: str
    content_type: str = bodies.JSON
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    dry: bool = False

    @property
    def restarts(self) -> bool:
        """Whether it only has a pod replaced."""
        return self.verb == kinds.DELETE and self.target.kind.resource.plural == "pods"


def change_of(
    actor: Any, cluster: Cluster, place: Place, target: Target, method: str, query: Mapping[str, str], media: str, raw: bytes
) -> Change:  # fmt: skip
    """What a request means. Raises Refused (400, 403, 405, 413, 415), Denied."""
    _require_right(place, target)
    verb = verb_of(method, target, media)
    if verb not in target.kind.writes:
        what = target.kind.resource.key
        raise Refused(403, S("The gateway does not %(verb)s “%(what)s”.", verb=verb, what=what), details=target.details)
    dry = _dry(query)
    change = Change(actor, cluster, place, target, verb, method, dry=dry)
    bar = place.barred_restart if change.restarts else place.barred
    if bar is not None and not dry:
        raise bar
    body, content_type, passed = _sent(change, query, media, raw)
    return Change(actor, cluster, place, target, verb, method, content_type, body, passed, dry)


def verb_of(method: str, target: Target, media: str) -> str:
    """Raises Refused: 405 for what the path does not take, 415 for a content type that is none of its."""
    named = bool(target.name)
    if target.subresource == "scale" and method == "PATCH":
        if media not in {MERGE_PATCH, bodies.STRATEGIC_PATCH}:
            raise Refused(415, S("A scale is changed by a merge patch (%(type)s).", type=MERGE_PATCH))
        return kinds.SCALE
    if target.subresource or (method == "POST") is named:
        raise Refused(405, S("the server does not allow this method on the requested resource"), details=target.details)
    if method == "POST":
        if media not in {bodies.JSON, bodies.YAML}:
            raise Refused(415, S("Send JSON or YAML with its content type."))
        return kinds.CREATE
    if method == "DELETE":
        return kinds.DELETE
    if media == APPLY_PATCH:
        return kinds.APPLY
    if media not in bodies.PATCHES:
        raise Refused(415, S("A patch comes as %(types)s.", types=", ".join(sorted({APPLY_PATCH, *bodies.PATCHES}))))
    return kinds.PATCH


def _dry(query: Mapping[str, str]) -> bool:
    given = query.get("dryRun", "")
    if given not in {"", "All"}:
        raise Refused(400, S("“dryRun” is “All” or nothing."))
    return bool(given)


def _require_right(place: Place, target: Target) -> None:
    """Raises Denied with what is missing."""
    if not place.writes:
        raise Denied(
            S(
                "You may look into the namespace “%(namespace)s”; changing it takes a role that may deploy there.",
                namespace=target.namespace,
            ),
            rule="gateway_write",
        )


def _sent(change: Change, query: Mapping[str, str], media: str, raw: bytes) -> tuple[Any, str, dict[str, str]]:
    target = change.target
    passed = {"dryRun": "All"} if change.dry else {}
    if change.verb == kinds.DELETE:
        return _delete_options(query, media, raw), bodies.JSON, passed
    passed["fieldManager"] = manager_of(change.actor, query.get("fieldManager", ""))
    passed |= {name: query[name] for name in ON_BODIES if query.get(name)}
    value = bodies.parsed(raw, media)
    if change.verb == kinds.SCALE:
        return bodies.require_scale(value, target), MERGE_PATCH, passed
    if change.verb == kinds.PATCH:
        return bodies.require_patch(value, media, target), media, passed
    if change.verb == kinds.APPLY and flag(query, "force"):
        passed["force"] = "true"
    return bodies.require_manifest(value, target), media if media == APPLY_PATCH else bodies.JSON, passed


def manager_of(actor: Any, given: str) -> str:
    """In whose name fields are owned: never in ours. Raises Refused (400)."""
    if given == MANAGER or len(given) > LONGEST_MANAGER or UNPRINTABLE.search(given):
        raise Refused(400, S("“%(name)s” cannot be your field manager.", name=given[:LONGEST_MANAGER]))
    return given or UNPRINTABLE.sub("-", f"gateway-{actor.username}")[:LONGEST_MANAGER]


def _delete_options(query: Mapping[str, str], media: str, raw: bytes) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if raw.strip():
        value = bodies.parsed(raw, media if media in {bodies.JSON, bodies.YAML} else bodies.JSON)
        if not isinstance(value, dict):
            raise Refused(400, S("What a deletion is told is an object (DeleteOptions)."))
        given = {name: value[name] for name in DELETE_OPTIONS if name in value}
        if value.get("dryRun"):
            raise Refused(400, S("Say “dryRun=All” in the address."))
    if policy_of := query.get("propagationPolicy"):
        given["propagationPolicy"] = policy_of
    if grace := query.get("gracePeriodSeconds"):
        if not grace.isdecimal():
            raise Refused(400, S("“gracePeriodSeconds” is a whole number."))
        given["gracePeriodSeconds"] = int(grace)
    return given


def make(change: Change) -> Found:
    """Do it. Raises Refused, Denied, Unavailable (nobody knows whether it was done, or it was not)."""
    api, target = api_of(change.cluster), change.target
    before = None
    if target.name:
        answer = api.ask("GET", target.kind.resource.path(target.namespace, target.name))
        if answer.ok:
            before = answer.json()
        elif answer.status != 404 or change.verb != kinds.APPLY:
            return _handed(answer)
    _require_own(change, before)
    after = None
    if change.verb in {kinds.APPLY, kinds.PATCH, kinds.CREATE}:
        tried = _ask(api, change, {**change.query, "dryRun": "All"})
        if not tried.ok:
            return _handed(tried)
        after = tried.json()
        _require_decent(change, before, after)
        if change.dry:
            return _handed(tried)
    if change.verb == kinds.DELETE and before is not None:
        asked = change.body.get("preconditions")  # the very one that was judged, whatever else is asked for
        change.body["preconditions"] = {"uid": before["metadata"]["uid"], **(asked if isinstance(asked, dict) else {})}
    if change.dry:
        return _handed(_ask(api, change, change.query))
    return _done(api, change, before, after)


def _done(api: Api, change: Change, before: Item | None, after: Item | None) -> Found:
    name = change.target.name or str((after or {}).get("metadata", {}).get("name", ""))
    it = recording.named(change.cluster, change.target, name, recording.project_of(before or after, change.place))
    old, new = recording.facts_of(before), recording.facts_of(after)
    if change.verb == kinds.SCALE and before is not None:
        old, new = {"replicas": (before.get("spec") or {}).get("replicas")}, dict(change.body["spec"])
    recording.intend(change.actor, change.verb, it, before=old, after=new)
    try:
        answer = _ask(api, change, change.query)
    except Unavailable:
        recording.settle(change.actor, change.verb, it, None)
        raise
    recording.settle(change.actor, change.verb, it, answer)
    found = _handed(answer)
    if answer.ok and change.target.kind.cached:
        shown = settling.wait(change.cluster, change.target, answer, deleting=change.verb == kinds.DELETE)
        found.headers["X-Cache-Synced"] = str(shown).lower()
    return found


def _ask(api: Api, change: Change, query: Mapping[str, str]) -> Answer:
    # The client makes JSON of everything but this, which is YAML by name.
    body = orjson.dumps(change.body).decode() if change.content_type == APPLY_PATCH else change.body
    return api.ask(change.method, change.target.path, query=query, body=body, content_type=change.content_type)


def _handed(answer: Answer) -> Found:
    return Found(*handed_on(answer), kept(answer))


def _labels(item: Any) -> Mapping[str, Any]:
    metadata = item.get("metadata") if isinstance(item, Mapping) else None
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    return labels if isinstance(labels, Mapping) else {}


def _require_own(change: Change, item: Item | None) -> None:
    """Namespaces are shared: what is another project's stays theirs. Raises Denied."""
    place = change.place
    if place.everything:
        return
    removing = change.verb == kinds.DELETE and not change.restarts
    own = place.removes if removing else place.deploys
    project = str(_labels(item).get(PROJECT) or "")
    if (project and project not in own) or not own:
        name = change.target.name
        if project in place.deploys or not project:
            raise Denied(S("Removing “%(name)s” takes a role that may operate its project.", name=name), rule="operate_project")  # fmt: skip
        raise Denied(S("“%(name)s” belongs to another project, which you may not deploy.", name=name), rule="gateway_owner")  # fmt: skip


def _require_decent(change: Change, before: Item | None, after: Item) -> None:
    """The policy on what would come of it, and our own labels. Raises Refused (403) with every reason."""
    reasons = list(policy.refusals(after, change.target.namespace, change.target.kind.resource))
    for was, would in zip(_labelled(before), _labelled(after), strict=True):
        for name in sorted({*was, *would}):
            if name.startswith(f"{PREFIX}/") and was.get(name) != would.get(name):
                own = change.place.everything or would.get(name) in change.place.deploys
                if name != PROJECT or not own:
                    reasons.append(S("The label “%(name)s” is the portal's own to set.", name=name))
    if reasons:
        causes = [{"reason": "Policy", "message": str(one)} for one in reasons]
        raise Refused(403, reasons[0], details={**change.target.details, "causes": causes})


def _labelled(item: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The labels of an object, and of the pods that it would make."""
    spec = item.get("spec") if isinstance(item, Mapping) else None
    return _labels(item), _labels(spec.get("template") if isinstance(spec, Mapping) else None)
