"""The one machine of this Jenkins: executors, labels, and what runs on it."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from .beans import NESTED, Bean
from .runs import Run

_WORKS = "org.jenkinsci.plugins.workflow.support.steps.ExecutorStepExecution$PlaceholderTask$PlaceholderExecutable"
_ALWAYS = 9  # visible however deep


class Nodes:
    """Pipelines enter it when they say `agent any` or a label it has. `labels` None: it has them all."""

    def __init__(self) -> None:
        self.executors = 16
        self.labels: set[str] | None = {"built-in"}
        self._busy: set[int] = set()
        self._lock = threading.Lock()

    def enter(self, run: Run, label: str) -> bool:
        with self._lock:
            if not self._has(label) or len(self._busy) >= self.executors:
                return False
            self._busy.add(id(run))
            return True

    def leave(self, run: Run) -> None:
        with self._lock:
            self._busy.discard(id(run))

    def why_not(self, label: str) -> str:
        if not self._has(label):
            return f"‘Jenkins’ doesn’t have label ‘{label}’"
        return "Waiting for next available executor"

    def _has(self, label: str) -> bool:
        return not label or self.labels is None or label in self.labels

    def bean(self, running: Iterable[Run]) -> Bean:
        """`/computer`: the pipelines that run are one-off executors, whether they have a node or wait for one."""
        runs = [run for run in running if not run.job.freestyle]
        with self._lock:
            busy = len(self._busy)
        computer = Bean("hudson.model.Hudson$MasterComputer", {
            "actions": (NESTED, []),
            "assignedLabels": (NESTED, [_label(busy, self.executors)]),
            "description": (NESTED, "the Jenkins controller's built-in node"),
            "displayName": (NESTED, "Built-In Node"),
            "executors": (NESTED, [_executor(number, number >= self.executors - busy) for number in range(self.executors)]),
            "icon": (NESTED, "symbol-computer"),
            "iconClassName": (NESTED, "symbol-computer"),
            "idle": (NESTED, busy == 0),
            "jnlpAgent": (NESTED, False),
            "launchSupported": (NESTED, True),
            "loadStatistics": (NESTED, _LOAD),
            "manualLaunchAllowed": (NESTED, True),
            "monitorData": (NESTED, _MONITORS),
            "numExecutors": (NESTED, self.executors),
            "offline": (NESTED, False),
            "offlineCause": (NESTED, None),
            "offlineCauseReason": (NESTED, ""),
            "oneOffExecutors": (NESTED, lambda: [run.executors for run in runs]),
            "temporarilyOffline": (NESTED, False),
        })  # fmt: skip
        return Bean("hudson.model.ComputerSet", {
            "busyExecutors": (1, busy), "computer": (1, [computer]), "displayName": (1, "Nodes"),
            "totalExecutors": (1, self.executors),
        })  # fmt: skip


def _executor(number: int, busy: bool) -> Bean:
    work = Bean(_WORKS, {}) if busy else None
    return Bean("", {
        "currentExecutable": (NESTED, work), "idle": (NESTED, not busy), "likelyStuck": (NESTED, False),
        "number": (NESTED, number), "progress": (NESTED, 15 if busy else -1),
    })  # fmt: skip


def _label(busy: int, total: int) -> Bean:
    node = Bean("hudson.model.Hudson", {"nodeName": (_ALWAYS, "")})
    shown = {
        "actions": [], "busyExecutors": busy, "clouds": [], "description": None, "idleExecutors": total - busy,
        "loadStatistics": Bean("hudson.model.Label$1", {}), "name": "built-in", "nodes": [node], "offline": False,
        "tiedJobs": [], "totalExecutors": total, "propertiesList": [],
    }  # fmt: skip
    return Bean("", {name: (_ALWAYS, value) for name, value in shown.items()})


_COUNTS = ("available", "busy", "connecting", "defined", "idle", "online")
_LOAD = Bean(
    "hudson.model.Label$1",
    {
        **{f"{name}Executors": (NESTED, Bean("", {})) for name in _COUNTS},
        "queueLength": (NESTED, Bean("", {})),
        "totalExecutors": (NESTED, Bean("", {})),
    },
)
_DISK: dict[str, int | str] = {"timestamp": 1795421175541, "path": "/tmp", "size": 72764809216, "threshold": 1073741824,
         "totalSize": 270553174016, "warningThreshold": 2147483648}  # fmt: skip


def _monitor(cls: str, values: dict[str, int | str]) -> Bean:
    return Bean(cls, {name: (_ALWAYS, value) for name, value in values.items()})


_MONITORS = {
    "hudson.node_monitors.SwapSpaceMonitor": _monitor("hudson.node_monitors.SwapSpaceMonitor$MemoryUsage2", {
        "availablePhysicalMemory": 20149813248, "availableSwapSpace": 0, "totalPhysicalMemory": 25276502016, "totalSwapSpace": 0,
    }),
    "hudson.node_monitors.TemporarySpaceMonitor": _monitor("hudson.node_monitors.DiskSpaceMonitorDescriptor$DiskSpace", {**_DISK}),
    "hudson.node_monitors.DiskSpaceMonitor": _monitor("hudson.node_monitors.DiskSpaceMonitorDescriptor$DiskSpace", {**_DISK}),
    "hudson.node_monitors.ArchitectureMonitor": "Linux (amd64)",
    "hudson.node_monitors.ResponseTimeMonitor": _monitor("hudson.node_monitors.ResponseTimeMonitor$Data", {"timestamp": 1795421175540, "average": 0}),
    "hudson.node_monitors.ClockMonitor": _monitor("hudson.util.ClockDifference", {"diff": 0}),
}  # fmt: skip
