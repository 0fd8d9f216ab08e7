"""One informer in a loop of its own, and a sink that keeps what it tells, as rows would."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

from clusters.drivers.runtime.kubernetes.access import Access
from clusters.drivers.runtime.kubernetes.async_api import AsyncApi
from clusters.drivers.runtime.kubernetes.informer import Informer
from clusters.drivers.runtime.kubernetes.names import PODS, Resource
from clusters.drivers.runtime.kubernetes.seen import Key, Seen
from clusters.drivers.runtime.kubernetes.sink import Known
from fangduoduo_release.common.sentence import Sentence
from tests.waiting import until

from .ground import QUICK


class Kept:
    """A `Sink` that stores at once."""

    def __init__(self) -> None:
        self.rows: dict[Key, Seen] = {}
        self.changes: list[Seen] = []
        self.counts: Counter[str] = Counter()
        self.troubles: list[Sentence] = []
        self.versions: list[str] = []
        self.lists = 0
        self.open = False

    @property
    def there(self) -> dict[str, str]:
        return {key[1]: one.version for key, one in dict(self.rows).items() if not one.gone}

    async def known(self) -> Mapping[Key, Known]:
        return {key: Known(one.uid, one.version, one.gone) for key, one in self.rows.items()}

    async def room(self) -> None:
        await asyncio.sleep(0)

    def change(self, seen: Seen) -> None:
        self.rows[seen.key] = seen
        self.changes.append(seen)

    def reached(self, version: str) -> None:
        self.versions.append(version)

    def synced(self, version: str, began: float) -> None:
        assert began <= time.monotonic()
        self.versions.append(version)
        self.lists += 1

    def opened(self) -> None:
        self.open = True

    def alive(self) -> None:
        assert self.open

    def closed(self) -> None:
        self.open = False

    def down(self, sentence: Sentence) -> None:
        self.troubles.append(sentence)

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] += number


class Informing:
    """An informer that runs until the end of the block. `ended`: what it raised, if it did. `next_token`: what is found when
    the token is looked for again."""

    def __init__(self, url: str, resource: Resource = PODS, namespace: str = "", **more: Any) -> None:
        self.kept = Kept()
        self.access = Access(server=url, token=more.pop("token", "t0ken"))
        self.renewed = 0
        self.ended: Exception | None = None
        self._resource, self._namespace = resource, namespace
        self._more = {"pace": QUICK, **more}
        self._next_token = self._more.pop("next_token", "")

    def rotates_to(self, token: str) -> None:
        """The token that is found when it is looked for again."""
        self._next_token = token

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        until(lambda: hasattr(self, "_task"))
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(60)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        async with AsyncApi(self.access) as api:

            async def renew() -> None:
                self.renewed += 1
                if self._next_token:
                    api.access = Access(server=self.access.server, token=self._next_token)

            informer = Informer(api, self._resource, self._namespace, self.kept, renew=renew, **self._more)
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.create_task(informer.run())
            try:
                await self._task
            except asyncio.CancelledError:
                pass
            except Exception as error:  # noqa: BLE001 - the test's to judge
                self.ended = error
