"""What an account may do on a cluster, asked right by right, and what will not work without the rights it lacks.

`NEEDED` and `WISHED` are the whole list of what the portal ever asks an API server for; `deploy/kubernetes/rbac.yaml` grants
exactly that. Rights are asked of the whole cluster first: what holds there holds in each namespace.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from fangduoduo_release.common.errors import Rejected
from fangduoduo_release.common.sentence import S, Sentence

from .api import Api, judge
from .names import (
    ACCESS_REVIEWS,
    AUTOSCALERS,
    CONFIGMAPS,
    CRONJOBS,
    DEPLOYMENTS,
    EVENTS,
    INGRESSES,
    JOBS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SECRETS,
    SERVICES,
    STATEFULSETS,
    Resource,
)

OLDEST = (1, 27)
ATONCE = 8
WHOLE_S, ONE_S = 8.0, 4.0  # whoever saves a connection waits ten seconds at most
T = TypeVar("T")
_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource."""

    verb: str
    resource: Resource
    subresource: str = ""

    @property
    def named(self) -> str:
        """`deployments.apps`, `pods/exec`."""
        return f"{self.resource.key}/{self.subresource}" if self.subresource else self.resource.key


def _rights(verbs: str, *resources: Resource, sub: str = "") -> tuple[Right, ...]:
    return tuple(Right(verb, one, sub) for one in resources for verb in verbs.split())


@dataclass(frozen=True, slots=True)
class Wish:
    """Rights that go together, and what does not work without them: a sentence that still wants its `namespace`."""

    rights: tuple[Right, ...]
    lost: Sentence


FOLLOW = _rights(
    "list watch", DEPLOYMENTS, REPLICASETS, PODS, SERVICES, EVENTS
)  # of the whole cluster, or of a namespace
FOLLOW_NODES = _rights("list watch", NODES)
NEEDED = (
    *FOLLOW,
    *_rights("get", DEPLOYMENTS, REPLICASETS, PODS, SERVICES, EVENTS),
    *_rights("get list create patch delete", SECRETS, CONFIGMAPS),
    *_rights("create patch delete", SERVICES, DEPLOYMENTS),
)
WISHED = (
    Wish(_rights("get list create patch delete", INGRESSES), S("Services in %(namespace)s cannot have an Ingress.")),
    Wish(
        _rights("get list create patch delete", AUTOSCALERS), S("Services in %(namespace)s cannot be scaled by load.")
    ),
    Wish(_rights("get", PODS, sub="log"), S("Logs of pods in %(namespace)s cannot be shown.")),
    # Opening a terminal is a GET with an upgrade; servers before 1.35 judge it as “get”, later ones as “create” too.
    Wish(_rights("get create", PODS, sub="exec"), S("There are no terminals in %(namespace)s.")),
    Wish(
        (
            *_rights("delete", PODS),
            *_rights("get patch", DEPLOYMENTS, STATEFULSETS, sub="scale"),
            *_rights("get list create patch delete", STATEFULSETS),
            *_rights("get list", JOBS, CRONJOBS),
        ),
        S(
            "Through the gateway no pod of %(namespace)s can be deleted, nothing scaled, and no StatefulSet, Job or CronJob used."
        ),
    ),
    Wish(_rights("get", NAMESPACES), S("Nobody is told when the namespace %(namespace)s does not exist.")),
)
IN_NAMESPACE = (*NEEDED, *(right for wish in WISHED for right in wish.rights))


@dataclass(frozen=True, slots=True)
class Facts:
    """What a look at a cluster found. `missing`: by name; `lost`: what will not work because of it."""

    ok: bool
    sentence: Sentence
    version: str
    user: str = ""
    missing: tuple[Sentence, ...] = ()
    lost: tuple[Sentence, ...] = ()


def check(api: Api, namespaces: Sequence[str]) -> Facts:
    """Look at the server and ask what we may do in these namespaces. Raises what `Api` raises."""
    began = time.monotonic()
    version = _version(api)
    asking = _Asking(api, began + WHOLE_S)
    try:
        return _judged(asking, version, namespaces)
    finally:
        asking.close()


def _judged(asking: _Asking, version: str, namespaces: Sequence[str]) -> Facts:
    user = asking.begin(_user, asking.api)
    absent = {name: asking.begin(_is_absent, asking.api, name) for name in namespaces}
    everywhere = asking.held([(right, "") for right in {*IN_NAMESPACE, *FOLLOW_NODES}])
    left = [(right, name) for name in namespaces for right in IN_NAMESPACE if (right, "") not in everywhere]
    held = everywhere | asking.held(left)

    def lacks(rights: Iterable[Right], namespace: str) -> list[Right]:
        return [one for one in rights if (one, "") not in held and (one, namespace) not in held]

    needed: list[Sentence] = [
        S("there is no namespace %(namespace)s", namespace=n) for n in namespaces if absent[n].result()
    ]
    wished: list[Sentence] = []
    lost: list[Sentence] = []
    for name in namespaces:
        needed += _told(lacks(NEEDED, name), name)
        for wish in WISHED:
            if found := lacks(wish.rights, name):
                wished += _told(found, name)
                lost.append(S(wish.lost.msgid, namespace=name))
    if found := lacks(FOLLOW, ""):
        wished += _told(found, "")
        lost.append(S("The cluster cannot be followed as a whole; each machine's namespace is followed by itself."))
    if found := lacks(FOLLOW_NODES, ""):
        wished += _told(found, "")
        lost.append(S("Nodes and what they can hold are not shown."))
    if too_old(version):
        lost.append(S("This Kubernetes is older than 1.27, the oldest one that the portal is written for."))
    who = user.result()
    return Facts(
        ok=not needed,
        sentence=_sentence(version, who, bool(needed), bool(lost), bool(namespaces)),
        version=version,
        user=who,
        missing=(*needed, *wished),
        lost=tuple(lost),
    )


def _sentence(version: str, user: str, needed: bool, lost: bool, placed: bool) -> Sentence:
    if needed:
        return S("Kubernetes %(version)s answers, but the account lacks what the portal needs.", version=version)
    if not placed:
        return S(
            "Kubernetes %(version)s answers. What the account may do in a namespace is asked once a machine names one.",
            version=version,
        )
    if lost:
        return S("Kubernetes %(version)s answers; some of what the portal can do will not work.", version=version)
    if not user:
        return S("Kubernetes %(version)s answers, and the account may do all that the portal needs.", version=version)
    return S("Kubernetes %(version)s answers; signed in as “%(user)s”.", version=version, user=user)


def _told(rights: Iterable[Right], namespace: str) -> Iterator[Sentence]:
    """One line for each resource, with all the verbs that lack."""
    by_name: dict[str, list[str]] = {}
    for right in rights:
        by_name.setdefault(right.named, []).append(right.verb)
    for name, verbs in by_name.items():
        said = ", ".join(verbs)
        if namespace:
            yield S("may not %(verbs)s %(resource)s in %(namespace)s", verbs=said, resource=name, namespace=namespace)
        else:
            yield S("may not %(verbs)s %(resource)s in the whole cluster", verbs=said, resource=name)


class _Asking:
    """Many small questions at once, up to a moment after which none is asked any more."""

    def __init__(self, api: Api, until: float) -> None:
        self.api, self._until = api, until
        self._pool = ThreadPoolExecutor(ATONCE, thread_name_prefix="review")

    def begin(self, ask: Callable[..., T], *args: Any) -> Future[T]:
        return self._pool.submit(ask, *args)

    def held(self, wanted: Sequence[tuple[Right, str]]) -> set[tuple[Right, str]]:
        """Which of these rights (in a namespace, or "" for all of them) the account has. Raises what the server says."""
        asked = {self.begin(_may, self.api, right, name): (right, name) for right, name in wanted}
        late = wait(asked, timeout=max(0.0, self._until - time.monotonic())).not_done
        if late:
            sentence = S(
                "The API server answers too slowly to be asked for all rights; %(left)s of %(all)s are left.",
                left=len(late),
                all=len(asked),
            )
            raise Rejected(sentence, code="slow")
        return {one for future, one in asked.items() if future.result()}

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _version(api: Api) -> str:
    """What it says it is, "1.33.13". Raises Rejected when that is no Kubernetes."""
    answer = api.ask("GET", "/version", timeout_s=ONE_S)
    if answer.status in {401, 403, 429} or answer.status >= 500:
        raise judge(answer)
    said = str(answer.json().get("gitVersion") or "") if answer.ok else ""
    if not _VERSION.match(said):
        raise Rejected(
            S("What answers there is no Kubernetes API server (%(status)s).", status=answer.status),
            evidence=answer.body[:500].decode(errors="replace"),
        )
    return said.removeprefix("v")


def too_old(version: str) -> bool:
    found = _VERSION.match(version)
    return found is not None and (int(found[1]), int(found[2])) < OLDEST


def _user(api: Api) -> str:
    """Who the server takes us for; "" where it does not say (before 1.28)."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = api.ask("POST", _SELF, body=body, timeout_s=ONE_S)
    status = answer.json().get("status") if answer.ok else None
    info = status.get("userInfo") if isinstance(status, dict) else None
    return str(info.get("username") or "") if isinstance(info, dict) else ""


def _is_absent(api: Api, namespace: str) -> bool:
    """Whether the server says that there is none; one that will not tell does not say so."""
    return api.ask("GET", NAMESPACES.path(name=namespace), timeout_s=ONE_S).status == 404


def _may(api: Api, right: Right, namespace: str) -> bool:
    attributes = {"verb": right.verb, "group": right.resource.group, "resource": right.resource.plural}
    attributes |= {"subresource": right.subresource} if right.subresource else {}
    if namespace:
        attributes["namespace"] = namespace
        # A namespace itself is an object of the cluster, yet its own roles may let one look at it.
        attributes |= {"name": namespace} if right.resource is NAMESPACES else {}
    body = {
        "apiVersion": ACCESS_REVIEWS.api_version,
        "kind": ACCESS_REVIEWS.kind,
        "spec": {"resourceAttributes": attributes},
    }
    answer = api.ask("POST", ACCESS_REVIEWS.path(), body=body, timeout_s=ONE_S)
    if not answer.ok:
        raise judge(answer)
    status = answer.json().get("status")
    return isinstance(status, dict) and status.get("allowed") is True
