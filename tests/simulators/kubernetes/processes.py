"""Pods as real processes, and services as real proxies to those that are ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .kinds import Object
from .podstatus import Container
from .programs import Played, Program

if TYPE_CHECKING:
    from .server import Kubernetes


class Programs:
    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes

    def make(self, obj: Object, each: Container) -> Program:
        image = self.kubernetes.images.find(each.image)
        log = self.kubernetes.logs.current[obj["metadata"]["uid"], each.name]
        return Played(image, each.image, log, self.kubernetes.pace)

    async def stop(self) -> None:
        """Nothing runs."""


class Proxies:
    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes

    def follow(self, service: Object, ready: list[str]) -> None:
        """These pods are the ones to send requests to."""

    async def stop(self) -> None:
        """Nothing listens."""
