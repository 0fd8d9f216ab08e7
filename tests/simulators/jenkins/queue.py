"""The build queue: quiet periods, blocked and folded items, and the short memory of what has left it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from .beans import INLINE, Bean
from .clock import Clock
from .items import Job
from .runs import Run, cause_action
from .values import Value, parameters_action

QUIETING = "Jenkins is about to shut down"
Kind = Literal["WaitingItem", "BlockedItem", "BuildableItem", "LeftItem"]


@dataclass
class QueueItem:
    """One wish for a build. It leaves with a run, or cancelled."""

    id: int
    job: Job
    values: tuple[Value, ...]
    users: list[str]
    since: int
    until: int  # the end of its quiet period
    blocked: str = ""
    buildable: str = ""
    begun: int = 0  # when the quiet period was over
    left: int | None = None
    run: Run | None = None
    cancelled: bool = False

    @property
    def kind(self) -> Kind:
        if self.left is not None:
            return "LeftItem"
        return "BlockedItem" if self.blocked else "BuildableItem" if self.begun else "WaitingItem"

    def bean(self, root: str, now: int) -> Bean:
        kind = self.kind
        shown: dict[str, tuple[int, Any]] = {
            "actions": (
                1,
                [*([parameters_action(self.values)] if self.values else []), cause_action(tuple(self.users))],
            ),
            "blocked": (1, kind == "BlockedItem"),
            "buildable": (1, kind == "BuildableItem"),
            "id": (1, self.id),
            "inQueueSince": (1, self.since),
            "params": (1, "".join(f"\n{value.shown}" for value in self.values)),
            "stuck": (1, False),
            "task": (1, self.job.reference(root)),
            "url": (1, f"queue/item/{self.id}/"),
            "why": (1, self._why(kind, now)),
        }
        if kind == "WaitingItem":
            shown["timestamp"] = (1, self.until)
        elif kind == "LeftItem":
            shown |= {"cancelled": (1, self.cancelled), "executable": (1, self.run.bean() if self.run else None)}
        else:
            shown["buildableStartMilliseconds"] = (1, self.begun)
            if kind == "BuildableItem":
                shown["pending"] = (1, False)
        return Bean(f"hudson.model.Queue${kind}", shown)

    def _why(self, kind: Kind, now: int) -> str | None:
        if kind == "LeftItem":
            return None
        if kind == "WaitingItem":
            left = max(0.0, (self.until - now) / 1000)
            return f"In the quiet period. Expires in {left:.1f} sec" if left < 10 else f"In the quiet period. Expires in {left:.0f} sec"  # fmt: skip
        return self.blocked or self.buildable


@dataclass
class Placeholder:
    """A `node` step that waits for an executor."""

    id: int
    run: Run
    why: str
    since: int

    def bean(self) -> Bean:
        task = Bean("org.jenkinsci.plugins.workflow.support.steps.ExecutorStepExecution$PlaceholderTask", {})
        return Bean("hudson.model.Queue$BuildableItem", {
            "actions": (1, []), "blocked": (1, False), "buildable": (1, True), "id": (1, self.id),
            "inQueueSince": (1, self.since), "params": (1, ""), "stuck": (1, True), "task": (1, task),
            "url": (1, f"queue/item/{self.id}/"), "why": (1, self.why), "buildableStartMilliseconds": (1, self.since),
            "pending": (1, False),
        })  # fmt: skip


class Queue:
    """`begin(item)` makes the run. A thread of its own lets items go when their time has come.

    `held`: nothing leaves. `tick`: seconds between the looks at quiet periods (Jenkins: 5). `memory`: seconds for which
    an item that has left is still known (Jenkins: 300). `concurrent` builds of one job may run beside each other."""

    def __init__(self, clock: Clock, lock: threading.RLock, begin: Callable[[QueueItem], Run]) -> None:
        self.items: dict[int, QueueItem] = {}
        self.placeholders: dict[int, Placeholder] = {}
        self.held = False
        self.quieting = False
        self.tick = 0.0
        self.memory = 300.0
        self._clock = clock
        self._begin = begin
        self._changed = threading.Condition(lock)
        self._next = 1
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="jenkins queue", daemon=True)
        clock.listen(self.wake)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(60)

    def wake(self) -> None:
        """Something changed that may let an item go."""
        with self._changed:
            self._changed.notify_all()

    def next_id(self) -> int:
        with self._changed:
            self._next += 1
            return self._next - 1

    def schedule(self, job: Job, values: tuple[Value, ...], user: str, quiet: float) -> tuple[QueueItem, bool]:
        """The item for this wish, and whether it is a new one: an equal one that still waits takes the wish in."""
        with self._changed:
            for item in self.items.values():
                if item.job is job and item.left is None and item.values == values:
                    item.users.append(user)
                    return item, False
            now = self._clock.millis()
            item = QueueItem(self.next_id(), job, values, [user], now, now + int(quiet * 1000))
            self.items[item.id] = item
            job.in_queue = True
            self._look()
            self._changed.notify_all()
            return item, True

    def cancel(self, identity: int) -> bool:
        with self._changed:
            item = self.items.get(identity)
            if item is None or item.left is not None:
                return False
            self._leave(item, cancelled=True)
            return True

    def cancel_all_of(self, job: Job) -> None:
        for item in [i for i in self.items.values() if i.job is job and i.left is None]:
            self.cancel(item.id)

    def find(self, identity: int) -> QueueItem | None:
        with self._changed:
            self._forget_old()
            return self.items.get(identity)

    def forget(self, *, waiting: bool) -> None:
        """As a restart does: what has left is unknown; with `waiting`, what has not is lost too."""
        with self._changed:
            for item in list(self.items.values()):
                if item.left is not None or waiting:
                    del self.items[item.id]
                    item.job.in_queue = False

    def hold_place(self, run: Run, why: str) -> Placeholder:
        with self._changed:
            place = Placeholder(self.next_id(), run, why, self._clock.millis())
            self.placeholders[place.id] = place
            return place

    def give_up_place(self, place: Placeholder) -> None:
        with self._changed:
            self.placeholders.pop(place.id, None)

    def bean(self, root: str) -> Bean:
        with self._changed:
            now = self._clock.millis()
            waiting = [item.bean(root, now) for item in self.items.values() if item.left is None]
            waiting += [place.bean() for place in self.placeholders.values()]
        return Bean("hudson.model.Queue", {"discoverableItems": (INLINE, []), "items": (INLINE, waiting)})

    # -- the thread -----------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        with self._changed:
            while not self._ended:
                self._look()
                self._forget_old()
                self._changed.wait(self._pause())

    def _pause(self) -> float:
        now = self._clock.now()
        due = [self._opens(item) - now for item in self.items.values() if item.kind == "WaitingItem"]
        return max(0.005, min([1.0, *due]))

    def _opens(self, item: QueueItem) -> float:
        end = item.until / 1000
        # A delay of none is looked at at once; whatever waited is seen at the next tick.
        return math.ceil(end / self.tick) * self.tick if self.tick and item.until > item.since else end

    def _look(self) -> None:
        now = self._clock.now()
        for item in list(self.items.values()):
            if item.left is not None or self._opens(item) > now:
                continue
            item.begun = item.begun or self._clock.millis()
            item.blocked = self._blocked(item)
            item.buildable = "Waiting for next available executor" if self.held else ""
            if not item.blocked and not item.buildable:
                item.run = self._begin(item)
                self._leave(item)

    def _blocked(self, item: QueueItem) -> str:
        if self.quieting:
            return QUIETING
        if item.job.concurrent:
            return ""
        running = next((run for run in item.job.newest_first() if run.building), None)
        return f"Build #{running.number} is already in progress (ETA: N/A)" if running else ""

    def _leave(self, item: QueueItem, *, cancelled: bool = False) -> None:
        item.left, item.cancelled = self._clock.millis(), cancelled
        item.job.in_queue = any(i.job is item.job and i.left is None for i in self.items.values())

    def _forget_old(self) -> None:
        oldest = self._clock.millis() - self.memory * 1000
        for item in [i for i in self.items.values() if i.left is not None and i.left < oldest]:
            del self.items[item.id]
