"""What flows from and to a Kubernetes: followed logs and terminals (`Streams`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial

from clusters.drivers.runtime.base import LogLine, LogQuery, ServiceRef
from clusters.drivers.runtime.streams import Start
from fangduoduo_release.common.errors import NotFound
from fangduoduo_release.common.sentence import S

from .access import Access
from .async_api import AsyncApi
from .containers import Pod, main_container
from .exec import Pods
from .follow import Follower

PodsOf = Callable[[ServiceRef], Awaitable[Sequence[Pod]]]


class KubernetesStreams:
    """One cluster. `pods(service)` says which pods the service has now. Holds no connection; for any event loop."""

    def __init__(self, access: Access, pods: PodsOf) -> None:
        self.access = access
        self._pods = pods
        self._programs = Pods(access)

    def seat(self, instances: Sequence[Pod], instance: str, container: str = "") -> tuple[str, Start]:
        pod = next((one for one in instances if one["metadata"]["name"] == instance), None)
        if pod is None:
            raise NotFound(S("There is no instance “%(name)s” any more.", name=instance))
        container = container or main_container(pod)
        return container, partial(
            self._programs.start, str(pod["metadata"]["namespace"]), instance, container=container
        )

    async def follow(self, service: ServiceRef, query: LogQuery) -> AsyncIterator[LogLine]:
        async def look() -> Sequence[Pod]:
            return await self._pods(service)

        async with AsyncApi(self.access) as api:
            async for line in Follower(api, look, query).lines():
                yield line
