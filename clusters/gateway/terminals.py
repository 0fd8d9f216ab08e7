"""`/ws/clusters/{name}/k8s/api/v1/namespaces/{namespace}/pods/{pod}/exec?container=&command=`: a terminal in any pod that one
may change. The protocol is written in clusters/terminals.py; here is who may, and that it is written down.

`command` is one line, parted into words as a shell would; no shell reads it. Without one it is a shell.
"""

from __future__ import annotations

import re
import shlex
from asyncio import Future
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clusters.drivers.runtime.kubernetes.exec import Pods
from clusters.drivers.runtime.kubernetes.names import PODS, PROJECT
from clusters.drivers.runtime.streams import SHELL, Terminal
from clusters.gateway import kinds, paths, reach, recording
from clusters.gateway.statuses import absent
from clusters.kubernetes import access_of
from clusters.models import Cluster, ClusterObject
from clusters.observed import unpack
from clusters.terminals import Outcome, TerminalSockets
from fangduoduo_release.common.errors import AppError, Denied
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.sockets.guards import Who
from fangduoduo_release.common.sockets.identity import Caller, user_of
from permissions import jwts
from permissions.models import ApiToken

PATH = re.compile(
    r"/ws/clusters/(?P<cluster>[^/]{1,60})/k8s/(?P<path>api/v1/namespaces/[a-z0-9-]{1,63}/pods/[a-z0-9.-]{1,253}/exec)/?"
)
CONTAINER = re.compile(r"[a-z0-9-]{0,63}")
LONGEST_COMMAND = 4000


@dataclass(frozen=True, slots=True)
class Seat:
    """The pod in which somebody may work."""

    cluster: Cluster
    namespace: str
    pod: str
    project: str


def seat(actor: Any, cluster: str, path: str) -> Seat:
    """The pod of that path. Ask again while the terminal is open. Raises Refused (404), Denied."""
    row = reach.cluster_named(cluster)
    place = reach.place(actor, row, paths.namespace_in(path))
    target = paths.parse(path)
    rows = ClusterObject.objects.filter(
        cluster=row, resource=PODS.key, namespace=target.namespace, name=target.name, gone=False
    )
    body = rows.values_list("body", flat=True).first()
    if body is None:
        raise absent(PODS.plural, target.name)
    project = str(((unpack(body).get("metadata") or {}).get("labels") or {}).get(PROJECT) or "")
    if not place.everything and (not place.deploys or (project and project not in place.deploys)):
        raise Denied(
            S("A terminal in “%(pod)s” takes a role that may deploy its project there.", pod=target.name),
            rule="gateway_write",
        )
    return Seat(row, target.namespace, target.name, project if project in place.projects else "")


class PodDoor:
    """One attempt to open a terminal in a pod."""

    def __init__(self, cluster: str, path: str, container: str, argv: Sequence[str]) -> None:
        self._asked = (cluster, path)
        self._container, self._argv = container, argv
        self._user: Any = None
        self._seat: Seat | None = None
        self._pods: Pods | None = None
        self._lost: AppError | None = None  # why there is no way to the cluster

    @property
    def who(self) -> Who:
        return person_of

    def check(self, user: Any) -> object:
        found = seat(user, *self._asked)
        if self._seat is None:
            self._user, self._seat = user, found
            try:
                self._pods = Pods(access_of(found.cluster))
            except AppError as error:  # told when it is opened: it says nothing of who may
                self._lost = error
        return found

    async def open(self, cols: int, rows: int, after: Future[None]) -> Terminal:
        if self._lost is not None:
            raise self._lost
        assert self._seat is not None
        assert self._pods is not None
        return await self._pods.start(
            self._seat.namespace,
            self._seat.pod,
            self._argv,
            container=self._container,
            size=(cols, rows),
            after=after,
        )

    def record(self, outcome: Outcome | None) -> None:
        assert self._seat is not None
        cluster, namespace, pod = self._seat.cluster, self._seat.namespace, self._seat.pod
        target = paths.parse(f"api/v1/namespaces/{namespace}/pods/{pod}")
        it = recording.named(cluster, target, pod, self._seat.project)
        facts: dict[str, Any] = {"container": self._container, "command": " ".join(self._argv)}
        verb = kinds.EXEC
        if outcome is not None:
            verb = "exec_closed"
            facts |= {"seconds": round(outcome.seconds, 1), "exit_code": outcome.exit_code}
            facts |= {"typed_bytes": outcome.typed, "shown_bytes": outcome.shown}
            facts |= {"reason": outcome.reason} if outcome.reason else {}
        recording.intend(self._user, verb, it, after=facts)

    def facts(self) -> dict[str, str]:
        assert self._seat is not None
        return {"instance": self._seat.pod, "container": self._container}


def person_of(caller: Caller) -> Any:
    """Whose a session, an API token or a JWT is. Uses the database."""
    scheme, _, text = caller.authorization.partition(" ")
    if scheme.lower() == "bearer" and not text.strip().startswith(ApiToken.MARK):
        return jwts.user_of(text.strip())
    return user_of(caller)


def plan(found: re.Match[str], query: dict[str, str]) -> PodDoor | None:
    """The door for an address; None when it cannot mean anything."""
    container, line = query.get("container", ""), query.get("command", "")
    if not CONTAINER.fullmatch(container) or len(line) > LONGEST_COMMAND or "\x00" in line:
        return None
    try:
        argv = shlex.split(line) or SHELL
    except ValueError:
        return None
    return PodDoor(found["cluster"], found["path"], container, argv)


def sockets() -> TerminalSockets:
    return TerminalSockets(PATH, plan)
