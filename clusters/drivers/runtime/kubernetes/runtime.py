"""The runtime of kind `kubernetes`: see `clusters.drivers.runtime.base.Runtime`.

It writes to the API server (`writing`) and reads what the informers have seen (`seeing`). A cluster rolls by itself, so
`advance` only looks: it may be called at any time and costs a query.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from clusters.drivers.runtime.base import (
    ExecResult,
    Failure,
    LogPage,
    LogQuery,
    Observed,
    Plan,
    ProbeResult,
    Reconciled,
    ServiceRef,
    Wanted,
)
from fangduoduo_release.common.errors import AppError, NotFound, Rejected, Unavailable
from fangduoduo_release.common.sentence import S, Sentence

from . import drift, lasting, logs, manifests, names, observe, starting
from .api import Api
from .exec import Pods
from .parts import Manifest
from .pods import main_container, path
from .seeing import Reader, Seer
from .writing import Writer

SOON_S = 0.5
KEPT_GOALS = 200
NAMED = 5  # objects that do not go
TELLING = frozenset(
    {"crash_loop", "probe_failing", "not_ready", "start_failed"}
)  # failures of which a pod's own words say more


@dataclass(frozen=True, slots=True)
class KubernetesConfig:
    """`key`: of this installation, which makes hashes of secrets useless elsewhere. `name`: the cluster, as people know it."""

    name: str
    key: bytes = field(repr=False)


class KubernetesRuntime:
    """Runs services as Deployments of one cluster. Safe for several threads."""

    kind = "kubernetes"
    Config = KubernetesConfig

    def __init__(self, config: KubernetesConfig, api: Api, reader: Reader) -> None:
        self.config, self._api = config, api
        self._goals: dict[str, tuple[Wanted, list[Manifest]]] = {}  # the last one of each service: a large base costs
        self._starting, self._lasting = starting.Starting(), lasting.Lasting()
        self._writer, self._seer = Writer(api, config.key), Seer(api, reader)

    def plan(self, wanted: Wanted) -> Plan:
        """What `apply` would change, as the server itself says (a dry run)."""
        return self._writer.plan(wanted)

    def apply(self, wanted: Wanted) -> None:
        """Server-side apply of every object. Raises Conflict ("superseded", "field_conflict", "foreign"), Invalid,
        Rejected, Unavailable; after any of them call it again."""
        with _patient():
            self._writer.apply(wanted)
        self._seer.forget(wanted.service)

    def advance(self, wanted: Wanted, wait_s: float = 0.0) -> Observed:
        """What the cluster has made of the goal so far. Raises Conflict ("superseded"), Unavailable."""
        with _patient():
            sight = self._seer.sight(wanted.service, _namespace(wanted), wanted.generation)
        observe.refuse_older(sight.generation, wanted)
        if sight.deployment is None:
            return self._gone(wanted)
        allowed = starting.allowed_s(sight.deployment, wanted.spec.start_deadline_s)
        overdue = self._starting.overdue(sight.pods, allowed, sight.events)
        finding = self._look(sight, wanted.service, wanted.artifact.image, overdue)
        observed = self._explain(finding, _namespace(wanted))
        drift = self._drift(sight, wanted)
        if sight.generation < wanted.generation:
            # The server itself says so: what was applied has been undone (`kubectl rollout undo` brings back our mark too).
            turned = S("Its Deployment was turned back to an earlier state in the cluster.")
            observed, drift = replace(observed, settled=False, doing=turned), (turned, *drift)
        return replace(observed, drift=drift, url=_url(wanted))

    def _look(
        self, sight: observe.Sight, service: ServiceRef, image: str = "", overdue: frozenset[str] = frozenset()
    ) -> observe.Finding:
        stuck, refused = self._lasting.stuck(sight.pods), self._lasting.refused(sight.replicasets, sight.pods)
        return observe.look(sight, service, image, datetime.now(UTC), lasting.Waited(overdue, stuck, refused))

    def _gone(self, wanted: Wanted) -> Observed:
        sentence = S("Its Deployment is not in the cluster any more: it, or its namespace, was deleted.")
        failure = Failure("gone", sentence) if wanted.generation else None
        return Observed(wanted.service, "absent", 0, "", 0, wanted.spec.replicas, settled=False, failure=failure)

    def _explain(self, finding: observe.Finding, namespace: str) -> Observed:
        """With a failure, the last words of the pod that tells most."""
        observed, trouble = finding.observed, finding.trouble
        if observed.failure is None or trouble is None or trouble.code not in TELLING:
            return observed
        words = logs.last_words(self._api, namespace, finding.culprit, trouble.container, previous=trouble.previous)
        evidence = "\n".join(part for part in (observed.failure.evidence, words) if part)
        return replace(observed, failure=replace(observed.failure, evidence=evidence))

    def _drift(self, sight: observe.Sight, wanted: Wanted) -> tuple[Sentence, ...]:
        """How the Deployment and its Services differ from what we said."""
        try:
            goal = self._goal(wanted)
        except AppError:
            return ()  # whoever asks for a plan is told why
        there = {manifests.title(one): one for one in (sight.deployment, *sight.services) if one is not None}
        gone: list[Sentence] = []
        found: list[Sentence] = []
        for manifest in goal:
            kind, name = manifest["kind"], manifest["metadata"]["name"]
            live = there.get(manifests.title(manifest))
            if live is not None:
                met = drift.differences({"spec": manifest.get("spec") or {}}, live)
                found += drift.sentences(kind, name, met)
            elif kind == names.SERVICES.kind and self._seer.is_gone(names.SERVICES, _namespace(wanted), name):
                gone.append(S("%(kind)s “%(name)s” is not in the cluster any more.", kind=kind, name=name))
        return (*gone, *found)  # the worst first: of a Service that is gone nobody reaches anything

    def _goal(self, wanted: Wanted) -> list[Manifest]:
        kept = self._goals.get(wanted.service.key)
        if kept is None or kept[0] != wanted:
            if len(self._goals) > KEPT_GOALS:
                self._goals.clear()
            kept = self._goals[wanted.service.key] = (wanted, self._writer.goal(wanted)[1])
        return kept[1]

    def observe(self, service: ServiceRef) -> Observed:
        """What runs, whatever was wanted."""
        return self._look(self._seer.sight(service), service).observed

    def removal(self, service: ServiceRef) -> tuple[str, ...]:
        """kind/name of everything that `remove` would delete."""
        return tuple(what for _, what in self._writer.owned(service, self._seer.namespaces(service)))

    def remove(self, service: ServiceRef, wait_s: float = 0.0) -> Observed:
        """Delete everything that is the service's; `absent` once nothing is there any more."""
        with _patient():
            left = self._writer.owned(service, self._seer.namespaces(service))
            for namespace, what in left:
                self._writer.delete(namespace, what)
        self._seer.forget(service)
        if not left:
            return Observed(service, "absent", 0, "", 0, 0, settled=True)
        doing = S("Still being deleted: %(what)s.", what=", ".join(str(what) for _, what in left[:NAMED]))
        return Observed(service, "removing", 0, "", 0, 0, settled=False, doing=doing, look_again_s=SOON_S)

    def logs(self, service: ServiceRef, query: LogQuery) -> LogPage:
        """Lines of one pod or of all, in order of time."""
        return logs.page(self._api, self._seer.pods(service), query)

    def exec(self, service: ServiceRef, instance: str, argv: Sequence[str], timeout_s: float = 8.0) -> ExecResult:
        """Run a command in a pod's main container and wait for it."""
        pod = next((one for one in self._seer.pods(service) if path(one, "metadata", "name") == instance), None)
        if pod is None:
            raise NotFound(S("There is no instance “%(name)s”.", name=instance[:200]))
        namespace, container = str(path(pod, "metadata", "namespace")), main_container(pod)
        programs = Pods(self._api.access)
        return asyncio.run(programs.run(namespace, instance, argv, container=container, timeout_s=min(timeout_s, 9.0)))

    def probe(self, service: ServiceRef) -> tuple[ProbeResult, ...]:
        """What the kubelets' own checks say: nobody else can reach a pod."""
        observed = self.observe(service)
        return tuple(
            ProbeResult(one.name, one.ready, 0.0, one.reason) for one in observed.instances if one.state != "stopping"
        )

    def reconcile(self, known: Iterable[ServiceRef]) -> Reconciled:
        """Services on the cluster that carry our mark and that nobody here knows."""
        keys = {one.key for one in known}
        marked = self._api.list(names.DEPLOYMENTS, labels=names.SERVICE)
        found = [path(one, "metadata", "labels") or {} for one in marked]
        strays = {ServiceRef(one[names.SERVICE], one.get(names.GROUP, "")) for one in found if one.get(names.SERVICE)}
        unknown = [one for one in strays if one.key not in keys]
        return Reconciled(strays=tuple(sorted(unknown, key=lambda one: (one.key, one.group))))

    def stop_all(self, wait_s: float = 8.0) -> bool:
        """Nothing: a cluster does not stop with the portal."""
        return True

    def ensure(self) -> None:
        """Nothing: a cluster looks after itself."""


@contextmanager
def _patient() -> Iterator[None]:
    """A token that ran out in the middle of a change is replaced by ops; until then there is no way on, and none back."""
    try:
        yield
    except Rejected as error:
        if error.code != "unauthorized":
            raise
        raise Unavailable(error.sentence, evidence=error.evidence, code=error.code) from error


def _namespace(wanted: Wanted) -> str:
    return str(wanted.placement.get("namespace") or "")


def _url(wanted: Wanted) -> str:
    wish = wanted.spec.ingress
    return f"{'https' if wish.tls_secret else 'http'}://{wish.host}{wish.path}" if wish is not None else ""
