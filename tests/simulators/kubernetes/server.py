"""The simulated cluster: its API server on a real socket, its controllers and kubelets in the same loop."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import orjson

from . import clock, crowd
from .admission import Admission
from .auth import Users
from .controllers import Controllers
from .deletion import Deletion
from .deployments import Deployments
from .door import Door
from .endpoints import Followers
from .events import Events
from .execs import Execs
from .faults import Faults
from .front import Front
from .images import Image, Images
from .kinds import NAMESPACES, NODES, Kind, Object, named
from .kubelet import Kubelet
from .listing import Lister
from .logs import Logs
from .objects import How, Objects
from .pace import Pace
from .processes import Programs
from .proxies import Proxies
from .replicasets import ReplicaSets
from .requests import Requests
from .rollout import complete
from .routes import Routes
from .scales import Scales
from .scheduler import Scheduler
from .store import Store
from .watching import Watching

T = TypeVar("T")


class Kubernetes:
    """`with Kubernetes() as kubernetes:` serves at `kubernetes.url`. What is public here may be called from any thread;
    its parts (`store`, `objects`, …) belong to its loop: `kubernetes.call(kubernetes.store.get, …)`.
    """

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, pace: Pace | None = None, processes: bool = False,
        folder: Path | None = None,
    ) -> None:  # fmt: skip
        self.tls = tls
        self.pace = pace or Pace()
        self.processes = processes
        self.folder = folder
        self.users = Users()
        self.requests = Requests()
        self.images = Images()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="kubernetes", daemon=True)
        self._ended: asyncio.Event
        self._begun = threading.Event()
        self._failure: BaseException | None = None

    def start(self, port: int = 0) -> None:
        self._port = port
        self._thread.start()
        self._begun.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.front.port}"

    # -- its loop ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._main())
        finally:
            self._begun.set()
            self.loop.close()

    async def _main(self) -> None:
        self._ended = asyncio.Event()
        self._build()
        try:
            await self.front.start(self._port)
        except OSError as wrong:
            self._failure = wrong
            return
        working = asyncio.create_task(self.controllers.run())
        self._begun.set()
        await self._ended.wait()
        working.cancel()
        await self.front.stop()
        await self.proxies.stop()
        await self.programs.stop()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.wait_for(asyncio.gather(*left, return_exceptions=True), 60)

    def _build(self) -> None:
        self.store = Store()
        self.admission = Admission(self.store)
        self.objects = Objects(self.store, self.admission)
        self.events = Events(self.store)
        self.deletion = Deletion(self.objects)
        self.lister = Lister(self.store)
        self.faults = Faults(self)
        self.logs = Logs(self)
        self.execs = Execs(self)
        self.scheduler = Scheduler(self)
        self.watching = Watching(self)
        self.scales = Scales(self.objects)
        self.controllers = self.deletion.controllers = Controllers(self)
        self.deployments = Deployments(self)
        self.replicasets = ReplicaSets(self)
        self.programs = Programs(self)
        self.proxies = Proxies(self)
        self.kubelet = Kubelet(self)
        if self.processes:
            self.kubelet.program = self.programs.make
        self.followers = Followers(self)
        self.controllers.workers = {
            "deployment": self.deployments.sync, "replicaset": self.replicasets.sync, "garbage": self.deletion.collect,
            "services": self.followers.services, "quotas": self.followers.quotas, "autoscaler": self.followers.autoscaler,
        }  # fmt: skip
        self.routes = Routes(self)
        self.door = Door(self)
        self.front = Front(self, self.tls)
        for name in ("default", "kube-system"):
            self._namespace(name)

    def call(self, what: Callable[..., T], *given: Any, **named_: Any) -> T:
        """Do something in the loop, and wait for it."""
        if threading.current_thread() is self._thread:
            return what(*given, **named_)

        async def done() -> T:
            return what(*given, **named_)

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(60)

    def await_(self, what: Awaitable[T]) -> T:
        async def done() -> T:
            return await what

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(60)

    def compact(self) -> None:
        self.store.compact()
        self.lister.compact()

    # -- the cluster ------------------------------------------------------------------------------------------------

    def namespace(self, name: str) -> None:
        self.call(self._namespace, name)

    def _namespace(self, name: str) -> None:
        if self.store.get(NAMESPACES, "", name) is None:
            self.objects.create(NAMESPACES, "", {"metadata": {"name": name}}, How("kubectl-create"))

    def node(
        self, name: str, *, cpu: str = "8", memory: str = "32Gi", pods: str = "20000", kubelet: str = "v1.33.13",
        **labels: str,
    ) -> None:  # fmt: skip
        """Another node, or one of another size, or with an older kubelet."""
        self.call(self._node, name, cpu, memory, pods, kubelet, labels)

    def _node(self, name: str, cpu: str, memory: str, pods: str, kubelet: str, labels: dict[str, str]) -> None:
        allocatable = {"cpu": cpu, "memory": memory, "pods": pods, "ephemeral-storage": "100Gi"}
        number = len(self.store.tables[NODES]) + 1
        now = clock.now()
        ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": now, "lastTransitionTime": now,
                 "reason": "KubeletReady", "message": "kubelet is posting ready status"}  # fmt: skip
        known = self.store.get(NODES, "", name)
        obj: Object = known.thaw() if known else {
            "metadata": {"name": name, "uid": clock.uid(), "creationTimestamp": now,
                         "labels": {"kubernetes.io/hostname": name, **labels}},
            "spec": {},
        }  # fmt: skip
        obj["status"] = {
            "capacity": allocatable, "allocatable": allocatable, "conditions": [ready],
            "addresses": [{"type": "InternalIP", "address": f"10.77.0.{number}"}, {"type": "Hostname", "address": name}],
            "nodeInfo": {"kubeletVersion": kubelet, "osImage": "Debian GNU/Linux 12 (bookworm)",
                         "containerRuntimeVersion": "containerd://1.7.27", "architecture": "amd64",
                         "operatingSystem": "linux", "kernelVersion": "6.1.0"},
        }  # fmt: skip
        self.store.put(NODES, obj)
        self.scheduler.again()

    def image(self, reference: str, **behaviour: Any) -> Image:
        """How containers of this image behave: the fields of `images.Image`."""
        return self.images.add(reference, **behaviour)

    def tag(self, reference: str, digest: str) -> None:
        self.images.tag(reference, digest)

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        stored = self.call(self.store.get, named(kind), namespace, name)
        return stored.obj if stored is not None else None

    def all(self, kind: str, namespace: str = "") -> list[Object]:
        return self.call(lambda: [stored.obj for stored in self.store.all(named(kind), namespace)])

    def create(self, kind: str, namespace: str, obj: Object, manager: str = "kubectl-create") -> Object:
        copy = orjson.loads(orjson.dumps(obj))
        return self.call(self.objects.create, named(kind), namespace, copy, How(manager)).obj

    def status(self, kind: str, namespace: str, name: str, status: Object, manager: str = "controller") -> None:
        """What some other controller says of an object."""
        self.call(self._status, named(kind), namespace, name, status, manager)

    def _status(self, kind: Kind, namespace: str, name: str, status: Object, manager: str) -> None:
        new = self.objects.get(kind, namespace, name).thaw()
        new["status"] = status
        self.objects.write(kind, new, manager, "status")

    def delete(self, kind: str, namespace: str, name: str, **options: Any) -> None:
        self.call(self.deletion.delete, named(kind), (namespace, name), options)

    def pods(self, namespace: str, selector: dict[str, str] | None = None) -> list[Object]:
        """Those that are not about to end."""
        wanted = (selector or {}).items()
        return [
            pod for pod in self.all("pods", namespace)
            if wanted <= (pod["metadata"].get("labels") or {}).items() and "deletionTimestamp" not in pod["metadata"]
        ]  # fmt: skip

    def say(self, namespace: str, pod: str, lines: list[str], container: str = "") -> None:
        """A container writes these lines to its log."""
        self.call(self.logs.write, namespace, pod, lines, container)

    def service_url(self, namespace: str, name: str) -> str:
        """Where a service's proxy listens; only with `processes`. Empty until the service is known to it."""
        proxy = self.call(lambda: self.proxies.all.get((namespace, name)))
        return f"http://127.0.0.1:{proxy.port}" if proxy is not None and proxy.port else ""

    def fill(self, namespace: str, deployments: int, replicas: int, **more: Any) -> list[str]:
        """Many deployments with their running pods, without the work of rolling them out."""
        return self.call(crowd.fill, self, namespace, deployments, replicas, **more)

    def churn(self, per_second: float, seconds: float, namespace: str = "") -> int:
        """So many changes of pods, evenly; answers how many, when they are done."""
        return self.await_(crowd.churn(self, per_second, seconds, namespace))

    def revision(self) -> int:
        return self.call(lambda: self.store.revision)

    def watchers(self, kind: str = "pods") -> int:
        return self.call(lambda: len(self.watching.watches.get(named(kind), ())))

    @property
    def failures(self) -> list[str]:
        """What went wrong in the controllers themselves: must be empty."""
        return self.controllers.failures

    def ready(self, namespace: str, name: str) -> bool:
        """Whether a deployment's latest generation is rolled out and serves."""
        found = self.get("deployments", namespace, name)
        return found is not None and complete(found)
