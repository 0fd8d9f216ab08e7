"""What happens to pods: they are put on a node, their containers are started, probed, restarted and ended."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from . import clock, podstatus
from .kinds import PODS, Object
from .podstatus import Container
from .probes import Probes
from .programs import Played, Program
from .runs import Gone, Run, ended, pre_stop, seconds
from .store import Change

if TYPE_CHECKING:
    from .server import Kubernetes


class Kubelet:
    def __init__(self, kubernetes: Kubernetes) -> None:
        self.kubernetes = kubernetes
        self.store = kubernetes.store
        self.pace = kubernetes.pace
        self.runs: dict[str, Run] = {}
        self.program: Callable[[Object, Container], Program] = self._played
        self.probes = Probes(self)
        self._addresses = itertools.count(26)
        self.store.listeners.append(self.heard)

    def ready_since(self, uid: str) -> float:
        run = self.runs.get(uid)
        return run.ready_since if run is not None else 0.0

    def heard(self, change: Change) -> None:
        if change.kind is not PODS:
            return
        metadata = change.stored.obj["metadata"]
        uid = metadata["uid"]
        if change.type == "DELETED":
            self._forget(uid)
        elif change.type == "ADDED" and not change.stored.obj["spec"].get("nodeName"):
            run = self._run(change.stored.obj)
            self._spawn(run, self._begin(run))
        elif "deletionTimestamp" in metadata and not self._run(change.stored.obj).ending:
            run = self._run(change.stored.obj)
            run.ending = True
            for task in run.tasks:
                task.cancel()
            self._spawn(run, self._end(run))

    def _run(self, obj: Object) -> Run:
        metadata = obj["metadata"]
        run = self.runs.get(metadata["uid"])
        if run is None:
            key = (metadata["namespace"], metadata["name"])
            run = self.runs[metadata["uid"]] = Run(metadata["uid"], key, podstatus.made_of(obj["spec"]))
            run.address = (obj.get("status") or {}).get("podIP", "")
            for each, known in zip(
                run.containers, (obj.get("status") or {}).get("containerStatuses") or (), strict=False
            ):
                each.state, each.last, each.ready = known["state"], known["lastState"], known["ready"]
                each.restarts, each.identity = known["restartCount"], known["imageID"]
                each.id = known.get("containerID", "")
                each.started_at = (known["state"].get("running") or {}).get("startedAt") or clock.now()
        return run

    def _spawn(self, run: Run, what: Coroutine[Any, Any, None]) -> None:
        async def guarded() -> None:
            with contextlib.suppress(asyncio.CancelledError, Gone):
                await what

        task = asyncio.get_running_loop().create_task(guarded())
        run.tasks = [each for each in run.tasks if not each.done()] + [task]

    def _forget(self, uid: str) -> None:
        run = self.runs.pop(uid, None)
        if run is None:
            return
        for each in run.containers:
            if each.program is not None:
                each.program.kill()
        for task in run.tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for (owner, _), log in list(self.kubernetes.logs.current.items()):
            if owner == uid:
                log.end()
        self.kubernetes.logs.forget(uid)
        self.kubernetes.execs.forget(uid)
        self.kubernetes.scheduler.freed(uid)

    # -- beginning --------------------------------------------------------------------------------------------------

    async def _begin(self, run: Run) -> None:
        await asyncio.sleep(self.pace.schedule)
        node = await self.kubernetes.scheduler.place(run.key, lambda: self.obj(run))
        host = self.kubernetes.scheduler.address(node)
        self.write(run, host)
        await asyncio.sleep(self.pace.start)
        for each in run.containers:
            self._spawn(run, self._live(run, each))

    def obj(self, run: Run) -> Object:
        stored = self.store.get(PODS, *run.key)
        if stored is None or stored.obj["metadata"]["uid"] != run.uid:
            raise Gone
        return stored.obj

    def write(self, run: Run, host: str = "", *, done: bool = False) -> None:
        self.obj(run)
        stored = self.store.get(PODS, *run.key)
        assert stored is not None
        new = stored.thaw()
        host = host or new["status"].get("hostIP", "") or "10.77.0.1"
        new["status"] = podstatus.write(new["status"], run.containers, address=run.address, host=host, done=done)
        if new["status"] == stored.obj["status"]:
            return
        was, now = run.ready_since, all(each.ready for each in run.containers)
        run.ready_since = (was or time.monotonic()) if now else 0.0
        entries = [each for each in new["metadata"].get("managedFields", []) if each["manager"] != "kubelet"]
        mine = {
            "manager": "kubelet", "operation": "Update", "apiVersion": "v1", "time": clock.now(),
            "fieldsType": "FieldsV1", "fieldsV1": podstatus.owned(new["status"]), "subresource": "status",
        }  # fmt: skip
        new["metadata"]["managedFields"] = [*entries, mine]
        self.store.put(PODS, new)

    def tell(self, run: Run, each: Container | None, reason: str, message: str, *, warning: bool = False) -> None:
        obj = self.obj(run)
        host = obj["spec"].get("nodeName", "")
        container = each.name if each is not None else ""
        self.kubernetes.events.tell(
            PODS, obj, reason, message, by="kubelet", warning=warning, host=host, container=container
        )

    # -- one container ----------------------------------------------------------------------------------------------

    async def _live(self, run: Run, each: Container) -> None:
        await self._pull(run, each)
        pause = self.pace.backoff
        while True:
            if await self._once(run, each):
                return
            if each.restarts >= 1:
                await self._back_off(run, each, pause)
                pause = min(pause * 2, self.pace.backoff_max)
            else:
                await asyncio.sleep(self.pace.start)
            each.last, each.restarts = ended(each), each.restarts + 1

    async def _pull(self, run: Run, each: Container) -> None:
        images = self.kubernetes.images
        run.address = run.address or self._address()
        pause = self.pace.pull_backoff
        while not images.find(each.image).exists:
            error = images.pull_error(each.image)
            self.tell(run, each, "Pulling", f'Pulling image "{each.image}"')
            self.tell(run, each, "Failed", f'Failed to pull image "{each.image}": {error}', warning=True)
            self.tell(run, each, "Failed", "Error: ErrImagePull", warning=True)
            each.state = {"waiting": {"reason": "ErrImagePull", "message": error}}
            self.write(run)
            await asyncio.sleep(pause)
            self.tell(run, each, "BackOff", f'Back-off pulling image "{each.image}"')
            self.tell(run, each, "Failed", "Error: ImagePullBackOff", warning=True)
            said = f'Back-off pulling image "{each.image}": ErrImagePull: {error}'
            each.state = {"waiting": {"reason": "ImagePullBackOff", "message": said}}
            self.write(run)
            await asyncio.sleep(pause)
            pause = min(pause * 2, max(self.pace.backoff_max, pause))
        self.tell(run, each, "Pulled", f'Container image "{each.image}" already present on machine')

    async def _once(self, run: Run, each: Container) -> bool:
        """From its start to its end; whether that was all."""
        obj = self.obj(run)
        image = self.kubernetes.images.find(each.image)
        log = self.kubernetes.logs.begin(run.uid, each.name)
        each.program = self.program(obj, each)
        self.tell(run, each, "Created", f"Created container: {each.name}")
        each.run(self.kubernetes.images.identity(each.image))
        await each.program.start()
        self.tell(run, each, "Started", f"Started container {each.name}")
        probing = asyncio.create_task(self.probes.watch(run, each))
        try:
            code = await asyncio.shield(each.program.ended)
        finally:
            probing.cancel()
        each.end(code, each.why or (image.reason if code == image.exit_code else ""))
        each.why = ""
        log.end()
        self.write(run)
        policy = obj["spec"].get("restartPolicy", "Always")
        if policy == "Never" or (policy == "OnFailure" and code == 0):
            if all("terminated" in other.state for other in run.containers):
                self.write(run, done=True)
            return True
        return False

    async def _back_off(self, run: Run, each: Container, pause: float) -> None:
        await asyncio.sleep(self.pace.shown)
        namespace, name = run.key
        said = f"back-off {seconds(pause)} restarting failed container={each.name} pod={name}_{namespace}({run.uid})"
        told = f"Back-off restarting failed container {each.name} in pod {name}_{namespace}({run.uid})"
        self.tell(run, each, "BackOff", told, warning=True)
        each.last = ended(each)
        each.state = {"waiting": {"reason": "CrashLoopBackOff", "message": said}}
        self.write(run)
        await asyncio.sleep(pause)

    # -- ending -----------------------------------------------------------------------------------------------------

    async def _end(self, run: Run) -> None:
        grace = self.obj(run)["metadata"].get("deletionGracePeriodSeconds", 0) * self.pace.second
        end = time.monotonic() + grace
        await asyncio.gather(*(self._stop(run, each, end) for each in run.containers))
        self.write(run, done=True)
        stored = self.store.get(PODS, *run.key)
        if stored is None:
            return
        last = stored.thaw()
        last["metadata"]["deletionGracePeriodSeconds"] = 0
        self.store.put(PODS, last)
        if not last["metadata"].get("finalizers"):
            self.store.remove(PODS, run.key)

    async def _stop(self, run: Run, each: Container, end: float) -> None:
        if "running" not in each.state:
            if "waiting" in each.state:
                each.started_at = each.started_at or clock.now()
                each.end(137, "ContainerStatusUnknown")
            return
        self.tell(run, each, "Killing", f"Stopping container {each.name}")
        if each.program is None:
            each.program = Played(self.kubernetes.images.find(each.image), each.image, self._log(run, each), self.pace)
        spec = next(one for one in self.obj(run)["spec"]["containers"] if one["name"] == each.name)
        await asyncio.sleep(min(pre_stop(spec) * self.pace.second, max(0.0, end - time.monotonic())))
        each.program.stop()
        try:
            # Even when preStop took all of it, two more seconds are granted.
            async with asyncio.timeout(max(end - time.monotonic(), min(2.0, self.pace.second * 2))):
                code = await asyncio.shield(each.program.ended)
        except TimeoutError:
            each.program.kill(137)
            code = 137
        each.end(code)

    def _log(self, run: Run, each: Container) -> Any:
        return self.kubernetes.logs.current.get((run.uid, each.name)) or self.kubernetes.logs.begin(run.uid, each.name)

    # -- on demand --------------------------------------------------------------------------------------------------

    def fail(self, namespace: str, name: str, exit_code: int, reason: str) -> None:
        run = self._run(self.kubernetes.objects.get(PODS, namespace, name).obj)
        for each in run.containers:
            each.why = reason
            if each.program is not None:
                each.program.kill(exit_code)
            elif "running" in each.state:
                self._spawn(run, self._again(run, each, exit_code))

    async def _again(self, run: Run, each: Container, code: int) -> None:
        """A container of a crowd, in which no program was played so far."""
        each.end(code, each.why)
        self.write(run)
        await asyncio.sleep(self.pace.start)
        each.last, each.restarts, each.why = ended(each), each.restarts + 1, ""
        await self._live(run, each)

    def unready(self, namespace: str, name: str, message: str) -> None:
        run = self._run(self.kubernetes.objects.get(PODS, namespace, name).obj)
        run.probe = message
        for each in run.containers:
            each.ready = not message
        if message:
            self.tell(run, run.containers[0], "Unhealthy", f"Readiness probe failed: {message}", warning=True)
        self.write(run)

    def _played(self, obj: Object, each: Container) -> Program:
        image = self.kubernetes.images.find(each.image)
        return Played(image, each.image, self.kubernetes.logs.current[obj["metadata"]["uid"], each.name], self.pace)

    def _address(self) -> str:
        number = next(self._addresses)
        return f"10.{77 + number // 65536}.{number // 256 % 256}.{number % 256}"
