"""Probes of containers: what readiness and liveness do to a pod."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from .kinds import Object
from .podstatus import Container
from .programs import Played
from .runs import Gone, Run

if TYPE_CHECKING:
    from .kubelet import Kubelet


class Probes:
    def __init__(self, kubelet: Kubelet) -> None:
        self.kubelet = kubelet
        self.images = kubelet.kubernetes.images
        self.pace = kubelet.pace

    async def watch(self, run: Run, each: Container) -> None:
        """As long as the container runs."""
        with contextlib.suppress(Gone):
            obj = self.kubelet.obj(run)
            spec = next(one for one in obj["spec"]["containers"] if one["name"] == each.name)
            image = self.images.find(each.image)
            probe = spec.get("readinessProbe") or {}
            wait = self.pace.ready + image.delay + probe.get("initialDelaySeconds", 0) * self.pace.second
            if wait:
                self.kubelet.write(run)
            await asyncio.sleep(wait)
            if image.live:
                await self._readiness(run, each, probe)
            else:
                await self._not_live(run, each, spec.get("livenessProbe") or {})

    async def _readiness(self, run: Run, each: Container, probe: Object) -> None:
        """What is only played is ready once for all."""
        program = each.program
        assert program is not None
        while True:
            program.image = self.images.find(each.image)
            why = run.probe or await program.ready()
            if why:
                self.kubelet.tell(run, each, "Unhealthy", f"Readiness probe failed: {why}", warning=True)
            each.ready = not why
            self.kubelet.write(run)
            if not why and isinstance(program, Played):
                return
            await asyncio.sleep(min(probe.get("periodSeconds", 10) * self.pace.second, 0.5))

    async def _not_live(self, run: Run, each: Container, probe: Object) -> None:
        each.ready = True
        self.kubelet.write(run)
        image = self.images.find(each.image)
        for _ in range(probe.get("failureThreshold", 3)):
            await asyncio.sleep(min(probe.get("periodSeconds", 10) * self.pace.second, 0.2))
            self.kubelet.tell(run, each, "Unhealthy", f"Liveness probe failed: {image.probe}", warning=True)
        self.kubelet.tell(run, each, "Killing", f"Container {each.name} failed liveness probe, will be restarted")
        if each.program is not None:
            each.program.kill(137)
