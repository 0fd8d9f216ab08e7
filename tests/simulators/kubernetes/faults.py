"""Everything that goes wrong with a cluster's API server, on demand.

What concerns requests is a *rule*: it holds for requests whose line (`GET /api/v1/pods?watch=1`) its pattern is found in,
so many `times`, until it is lifted (a rule is a context manager) or all are (`clear`). The rest happens at once.
Anybody may call these, from any thread.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

import orjson

from .admission import Webhook
from .kinds import DEPLOYMENTS, NAMESPACES, Object, named
from .objects import How

if TYPE_CHECKING:
    from .server import Kubernetes

Verb = Literal["latency", "status", "reset", "cut", "silent", "gone"]


@dataclass(eq=False)
class Rule:
    """One way in which requests go wrong. `hits`: how often it has so far."""

    verb: Verb
    pattern: re.Pattern[str]
    value: float = 0
    retry_after: int | None = None
    times: int | None = None
    hits: int = 0
    lifted: bool = False
    bytes: int | None = None
    _faults: Faults | None = field(default=None, repr=False)

    def lift(self) -> None:
        self.lifted = True
        if self._faults is not None:
            self._faults.lift(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.lift()


class Faults:
    """`rig.faults`."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes
        self._rules: list[Rule] = []
        self.no_bookmarks = False

    # -- of requests ------------------------------------------------------------------------------------------------

    def latency(self, seconds: float, pattern: str = "", times: int | None = None) -> Rule:
        """Answer so much later."""
        return self._add(Rule("latency", re.compile(pattern), seconds, times=times))

    def status(self, status: int, pattern: str = "", times: int | None = None, retry_after: int | None = None) -> Rule:
        """Answer 429, 500, 503, 504, 401 or 403 instead, without any effect."""
        if status == 429 and retry_after is None:
            retry_after = 1
        return self._add(Rule("status", re.compile(pattern), status, retry_after, times))

    def reset(self, pattern: str = "", times: int | None = 1) -> Rule:
        """Cut the connection instead of an answer."""
        return self._add(Rule("reset", re.compile(pattern), times=times))

    def cut_watches(
        self, seconds: float = 0, pattern: str = "", times: int | None = None, after_bytes: int | None = None
    ) -> Rule:
        """Streams end so long after they began, or after so many bytes: then in the middle of a line, by a cut connection."""
        return self._add(Rule("cut", re.compile(pattern), seconds, times=times, bytes=after_bytes))

    def silence(self, pattern: str = "watch=") -> Rule:
        """Streams stay open and say nothing any more, also those that run; what happens meanwhile is never told."""
        return self._add(Rule("silent", re.compile(pattern)))

    def gone_at_once(self, pattern: str = "", times: int | None = None) -> Rule:
        """A watch from a forgotten revision is refused with 410 instead of an ERROR in a stream."""
        return self._add(Rule("gone", re.compile(pattern), times=times))

    def clear(self) -> None:
        """All is well again."""
        for rule in list(self._rules):
            rule.lift()
        self.no_bookmarks = False
        self._kubernetes.call(self._kubernetes.admission.webhooks.clear)
        self._kubernetes.pace.stuck = False
        self.come_back()

    def lift(self, rule: Rule) -> None:
        if rule in self._rules:
            self._rules.remove(rule)

    def meet(self, verb: Verb, line: str) -> Rule | None:
        """The first such rule that holds for this request, counted."""
        for rule in list(self._rules):
            if rule.verb == verb and rule.pattern.search(line):
                rule.hits += 1
                if rule.times is not None and rule.hits >= rule.times:
                    self.lift(rule)
                return rule
        return None

    def silent(self, line: str) -> bool:
        return any(rule.verb == "silent" and rule.pattern.search(line) for rule in self._rules)

    def _add(self, rule: Rule) -> Rule:
        rule._faults = self
        self._rules.append(rule)
        return rule

    # -- of the server ----------------------------------------------------------------------------------------------

    def go_away(self) -> None:
        """No connections any more, and all that there were are cut; the cluster itself goes on."""
        self._kubernetes.await_(self._kubernetes.front.close())

    def come_back(self) -> None:
        self._kubernetes.await_(self._kubernetes.front.open())

    def cut_connections(self) -> None:
        self._kubernetes.call(self._kubernetes.front.cut)

    def compact(self) -> None:
        """What changed up to now is forgotten."""
        self._kubernetes.call(self._kubernetes.compact)

    # -- of the state -----------------------------------------------------------------------------------------------

    def edit(self, kind: str, namespace: str, name: str, patch: Object, manager: str = "kubectl-edit") -> Object:
        """Somebody else changes an object, by a merge patch."""
        how = How(manager=manager)
        media = "application/merge-patch+json"
        change = self._kubernetes.objects.patch
        stored, _ = self._kubernetes.call(change, named(kind), namespace, name, media, orjson.dumps(patch), how)
        return stored.obj

    def delete_namespace(self, name: str) -> None:
        self._kubernetes.call(self._kubernetes.deletion.delete, NAMESPACES, ("", name), {})

    def deny(
        self, message: str, *kinds: str, name: str = "policy.example.com", namespace: str = "", code: int = 400,
        unreachable: bool = False,
    ) -> Webhook:  # fmt: skip
        """An admission webhook refuses these kinds (`Deployment`: at apply; `Pod`: when one is created)."""
        hook = Webhook(name, message, frozenset(kinds or ("Deployment",)), namespace, code=code, broken=unreachable)
        self._kubernetes.call(self._kubernetes.admission.webhooks.append, hook)
        return hook

    def allow(self, hook: Webhook | None = None) -> None:
        hooks = self._kubernetes.admission.webhooks
        self._kubernetes.call(hooks.remove, hook) if hook is not None else self._kubernetes.call(hooks.clear)

    def stuck(self, stuck: bool = True) -> None:
        """The controllers do nothing any more; with False they take up what they missed."""
        self._kubernetes.pace.stuck = stuck
        if not stuck:
            self._kubernetes.call(self._kubernetes.controllers.everything)

    def slow_controller(self, seconds: float) -> None:
        self._kubernetes.pace.reaction = seconds

    def fail_pod(self, namespace: str, name: str, exit_code: int = 1, reason: str = "Error") -> None:
        """A container that runs ends, now."""
        self._kubernetes.call(self._kubernetes.kubelet.fail, namespace, name, exit_code, reason)

    def unready(self, namespace: str, name: str, message: str = "HTTP probe failed with statuscode: 503") -> None:
        """The readiness probe of a pod fails from now on."""
        self._kubernetes.call(self._kubernetes.kubelet.unready, namespace, name, message)

    def autoscale(self, namespace: str, name: str, replicas: int) -> Any:
        """What a horizontal autoscaler does to a deployment."""
        patch = {"spec": {"replicas": replicas}}
        change = self._kubernetes.scales.patch
        return self._kubernetes.call(
            change, DEPLOYMENTS, namespace, name, patch, How(manager="kube-controller-manager", subresource="scale")
        )
