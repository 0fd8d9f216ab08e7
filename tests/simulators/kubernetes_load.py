"""Requests to a service of real pods while it rolls: how many fail?"""

from __future__ import annotations

import threading
import time
from typing import Self

import httpx

from tests.simulators.kubernetes_ground import SPACE, container_of, deployment
from tests.simulators.kubernetes_rig import Rig
from tests.waiting import until


class Load:
    """`with Load(rig, pause):` four clients ask the service `web`; `pause` is its pods' preStop, in seconds."""

    def __init__(self, rig: Rig, pause: int, clients: int = 4, every: float = 0.02) -> None:
        self.rig, self.pause, self.every = rig, pause, every
        self.answered = self.failed = 0
        self.versions: set[str] = set()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Self:
        self.rig.namespace(SPACE)
        self.deploy("v1")
        service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
        self.rig.create("Service", SPACE, service)
        self.rig.rolled_out(SPACE, "web")
        self.url = until(lambda: self.rig.service_url(SPACE, "web"), what="the proxy")
        until(lambda: httpx.get(self.url, timeout=60).status_code == 200, what="its pods")
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def deploy(self, version: str) -> None:
        obj = deployment(f"rig.local/app:{version}", replicas=3)
        obj["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 10
        if self.pause:
            container_of(obj)["lifecycle"] = {"preStop": {"sleep": {"seconds": self.pause}}}
        if version == "v1":
            self.rig.create("Deployment", SPACE, obj)
        else:
            template = {"spec": {"template": obj["spec"]["template"]}}
            self.rig.faults.edit("deployments", SPACE, "web", template)

    def _ask(self) -> None:
        with httpx.Client(timeout=60) as client:
            while not self._ended.is_set():
                answer = client.get(self.url)
                with self._lock:
                    if answer.status_code == 200:
                        self.answered += 1
                        self.versions.add(answer.text.split(" ")[0])
                    else:
                        self.failed += 1
                time.sleep(self.every)


def roll(rig: Rig, load: Load) -> None:
    """From v1 to v2, until the old pods are gone."""
    load.deploy("v2")
    rig.rolled_out(SPACE, "web")
    until(lambda: len(rig.all("pods", SPACE)) == 3, what="the old pods' end")
