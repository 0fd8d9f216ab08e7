"""From what runs to what is wanted, in short steps that anybody may repeat: the rolling update of the local runtime.

A step looks at everything first and then does what is missing, never waiting: bury the dead, move those on their way
out along, give up on a goal that cannot work, start what is missing, send the traffic where it belongs and, once the
proxy really does that, let the old ones drain. Nothing is remembered outside of the files, so a kill -9 between any two
actions costs nothing but the time of that action. The caller holds the group's lock.

New instances are all started at once beside the old ones; the traffic moves in one switch when all of them are ready.
Until then the old ones serve, also when the new ones fail. Where no old one serves, each new one serves as soon as it
is ready.

Must not know the engine, nor wait for anything.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusters.drivers.process import procfs
from clusters.drivers.runtime.base import Failure, ServiceRef, Wanted
from clusters.drivers.traffic.base import Backend, Traffic
from fangduoduo_release.common.errors import DriverError, Rejected, Unavailable

from . import failures
from .archive import Limits, unpack
from .instances import LocalInstance, create, orders, prepare, read_instances
from .layout import GroupDir, Layout, now_boot, read_json, remove_tree
from .ports import with_free_ports

QUIET_S = 0.1
KILL_AFTER_GRACE_S = 5.0
MOST_STARTS = 20
PORT_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Ground:
    """What the steps stand on: paths, the addresses they may use, the proxy (None: nobody routes)."""

    layout: Layout
    host: str
    port_low: int
    port_high: int
    search_path: str
    limits: Limits
    traffic: Traffic | None


class Step:
    """One step for one group of one service."""

    def __init__(self, ground: Ground, group: GroupDir, state: dict[str, Any]) -> None:
        self.ground = ground
        self.group = group
        self.state = state
        self.instances: list[LocalInstance] = []
        self.in_force = False

    def converge(self, wanted: Wanted) -> None:
        """Towards `wanted`, whose manifest is the one in `state`."""
        self.look()
        self.move_leaving(float(wanted.spec.drain_s))
        fresh, stale = self.fresh(), self.stale()
        if self.state.get("failure") is None:
            settled = self.state.get("settled_generation") == self.state["generation"]
            failure = None if settled else self.judge(fresh, wanted)
            missing = wanted.spec.replicas - len(self.fresh())
            if failure is None and missing > 0:
                failure = self.start_missing(wanted, missing)
            if failure is not None:
                self.give_up(failure, fresh, stale)
        self.route(wanted)
        self.note_settled(wanted)

    def remove(self) -> bool:
        """Towards nothing. True when the service is gone."""
        self.look()
        routed = self.unroute()
        self.move_leaving(float(self.state.get("drain_s", 0.0)))
        if routed:
            self.let_go([instance for instance in self.instances if instance.drain is None])
        if self.instances or not routed:
            return False
        self.group.delete()
        return True

    # --- what is there ----------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read all instances; bury those whose shim is gone (with whatever they left behind)."""
        self.instances = []
        for half_made in self.group.instances.glob(".*"):
            remove_tree(half_made)
        for path in self.group.instance_dirs():
            if read_json(path / "instance.json") is None:
                remove_tree(path)
        for instance in read_instances(self.group, self.ground.layout.root):
            if instance.alive:
                self.instances.append(instance)
            else:
                instance.handle.kill_leftovers()
                self.group.bury(instance.path)

    def fresh(self) -> list[LocalInstance]:
        """Made from the goal and to stay, the ready ones first."""
        template = self.state["template"]
        found = [one for one in self.instances if one.record.template == template and one.drain is None]
        return sorted(found, key=lambda one: not one.ready)

    def stale(self) -> list[LocalInstance]:
        """Made from an earlier goal and still whole."""
        template = self.state["template"]
        return [one for one in self.instances if one.record.template != template and one.drain is None]

    # --- giving up --------------------------------------------------------------------------------------------

    def judge(self, fresh: Sequence[LocalInstance], wanted: Wanted) -> Failure | None:
        """Why this goal cannot be reached (None: it still can). Instances whose port was snatched are replaced."""
        for instance in fresh:
            if instance.status is not None and instance.status.reason == "port_taken" and not instance.ready:
                self.state["port_retries"] = int(self.state.get("port_retries", 0)) + 1
                if self.state["port_retries"] > PORT_RETRIES:
                    return failures.port_taken(instance)
                self.group.write_state(self.state)
                self.end(instance)
                continue
            failure = failures.of_instance(instance, wanted)
            if failure is not None:
                return failure
        return None

    def give_up(self, failure: Failure, fresh: Sequence[LocalInstance], stale: Sequence[LocalInstance]) -> None:
        """Remember why, and end what came of this goal; where nothing older serves, keep the part of it that works."""
        self.state["failure"] = failures.as_json(failure)
        self.group.write_state(self.state)
        older_serves = any(instance.ready for instance in stale)
        for instance in fresh:
            if older_serves or not instance.ready:
                self.end(instance)

    # --- starting and ending ----------------------------------------------------------------------------------

    def start_missing(self, wanted: Wanted, count: int) -> Failure | None:
        ground = self.ground
        count = min(count, MOST_STARTS)
        try:
            release = unpack(
                Path(wanted.artifact.archive), wanted.artifact.digest, ground.layout.releases, ground.limits
            )
            folders = with_free_ports(
                ground.layout.root, ground.host, ground.port_low, ground.port_high, count, self.used_ports,
                lambda ports: [(create(self.group, wanted, self.state["template"], port), port) for port in ports],
            )  # fmt: skip
            for path, _ in folders:
                prepare(path, wanted, release)
        except Rejected as error:
            return failures.rejected(error)
        made = {one.path: one for one in read_instances(self.group, ground.layout.root)}
        starters = []
        for path, port in folders:
            told = orders(path, wanted, ground.layout.root, ground.host, port, ground.search_path)
            starters.append((made[path], made[path].handle.begin(told)))
        for instance, starter in starters:
            instance.handle.finish(starter)
            self.instances.append(instance)
        return None

    def used_ports(self) -> Collection[int]:
        """Ports of every instance on this root."""
        records = (read_json(path) for path in self.ground.layout.services.glob("*/*/instances/*/instance.json"))
        return {int(record["port"]) for record in records if record}

    def end(self, instance: LocalInstance) -> None:
        """Stop it now: it has no traffic."""
        instance.write_drain(stop=now_boot())
        instance.handle.terminate()

    def let_go(self, leaving: Sequence[LocalInstance]) -> None:
        """Begin to drain: the proxy sends nothing new."""
        for instance in leaving:
            instance.write_drain()

    def move_leaving(self, drain_s: float) -> None:
        """Stop those that finished their requests (or had time enough), kill those that do not stop."""
        leaving = [instance for instance in self.instances if instance.drain is not None]
        connections = procfs.connections() if leaving else {}
        now = now_boot()
        for instance in leaving:
            drain = instance.drain or {}
            if "stop" in drain:
                instance.handle.terminate()
                if now - drain["stop"] > instance.record.grace_s + KILL_AFTER_GRACE_S:
                    instance.handle.kill()
            elif connections.get(instance.record.port) and now - drain["since"] < drain_s:
                if "quiet" in drain:
                    instance.write_drain(quiet=now)
            elif "quiet" not in drain:
                instance.write_drain(quiet=now)
            elif now - drain["quiet"] >= QUIET_S or now - drain["since"] >= drain_s + QUIET_S:
                self.end(instance)

    # --- traffic ----------------------------------------------------------------------------------------------

    def route(self, wanted: Wanted) -> None:
        """Send the traffic where it belongs now; once the proxy does so, let go of those that are no longer needed."""
        fresh, stale = self.fresh(), self.stale()
        keep, extra = fresh[: wanted.spec.replicas], fresh[wanted.spec.replicas :]
        reached = len(keep) == wanted.spec.replicas and all(instance.ready for instance in keep)
        stale_ready = [instance for instance in stale if instance.ready]
        failed = self.state.get("failure") is not None
        if reached and not failed:
            serving, unneeded = keep, [*stale, *extra]
        else:
            serving, unneeded = stale_ready or [instance for instance in fresh if instance.ready], []
        self.send_to(wanted, serving)
        if unneeded or self.whole(wanted):
            self.in_force = self.proxy_agrees(wanted)
        if self.in_force:
            self.let_go(unneeded)

    def send_to(self, wanted: Wanted, serving: Sequence[LocalInstance]) -> None:
        """Tell the proxy who serves."""
        traffic, service = self.ground.traffic, wanted.service
        if traffic is None or not _routed(wanted):
            return
        ports = {instance.record.port for instance in serving}
        if not ports and wanted.spec.replicas:
            ports = self.best_guess(traffic, service)
        backends = frozenset(Backend(self.ground.host, port) for port in ports)
        traffic.set_backends(service.key, wanted.stable_port, service.group, backends)

    def proxy_agrees(self, wanted: Wanted) -> bool:
        """Whether the proxy really does what it was told; a proxy that is down is started again."""
        traffic = self.ground.traffic
        if traffic is None:
            return True
        if not _routed(wanted):
            return self.unroute()
        try:
            return traffic.in_force(wanted.service.key)
        except Unavailable:
            traffic.ensure()
            return False

    def best_guess(self, traffic: Traffic, service: ServiceRef) -> set[int]:
        """Nobody is ready: leave the traffic with those that had it and still exist, they may be back in a moment."""
        before = traffic.wanted(service.key)
        had = {backend.port for backend in before.backends.get(service.group, ())} if before else set()
        return had & {instance.record.port for instance in self.instances if instance.drain is None}

    def unroute(self) -> bool:
        """Take all traffic away. True when the proxy has done so (or is not there to send any)."""
        traffic, service = self.ground.traffic, self.group.service
        before = traffic.wanted(service.key) if traffic is not None else None
        if traffic is None or (before is None and not self.state.get("stable_port")):
            return True
        others = [group for group, has in (before.backends.items() if before else ()) if has and group != service.group]
        try:
            if before is not None and others:
                traffic.set_backends(service.key, before.port, service.group, ())
                return traffic.in_force(service.key)
            traffic.clear(service.key)
            return traffic.read(service.key) is None
        except DriverError:
            return True

    def whole(self, wanted: Wanted) -> bool:
        """As many as wanted, all from this goal, all ready, and nobody else."""
        fresh = self.fresh()
        return len(self.instances) == len(fresh) == wanted.spec.replicas and all(one.ready for one in fresh)

    def note_settled(self, wanted: Wanted) -> None:
        """The first time that the goal is reached in full; from then on trouble is an incident, not a failed rollout."""
        if self.state.get("failure") or self.state.get("settled_generation") == self.state["generation"]:
            return
        if self.in_force and self.whole(wanted):
            self.state["settled_generation"] = self.state["generation"]
            self.group.write_state(self.state)


def _routed(wanted: Wanted) -> bool:
    return bool(wanted.stable_port and wanted.spec.port_name)
