"""Folders and jobs: a tree of names, each with its config.xml, and what Jenkins tells of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .beans import NESTED, TREE_ONLY, Bean
from .config import FOLDER, FREESTYLE, Config
from .values import definitions_property

if TYPE_CHECKING:
    from .runs import Run

UNSAFE = "?*/\\%!@#$^&|<>[]:;"
_COLOURS = {"SUCCESS": "blue", "UNSTABLE": "yellow", "FAILURE": "red", "ABORTED": "aborted", "NOT_BUILT": "nobuilt"}
_DISPLAY = Bean("org.jenkinsci.plugins.displayurlapi.actions.JobDisplayAction", {})
_CREDENTIALS = Bean("com.cloudbees.plugins.credentials.ViewCredentialsAction", {})
_NOTHING = Bean("", {})
PERMALINKS = {
    "lastBuild": lambda run: True,
    "lastCompletedBuild": lambda run: not run.building,
    "lastFailedBuild": lambda run: run.result == "FAILURE",
    "lastStableBuild": lambda run: run.result == "SUCCESS",
    "lastSuccessfulBuild": lambda run: run.result in ("SUCCESS", "UNSTABLE"),
    "lastUnstableBuild": lambda run: run.result == "UNSTABLE",
    "lastUnsuccessfulBuild": lambda run: run.result not in (None, "SUCCESS"),
}


class Item:
    """What has a name, a place and a config.xml."""

    def __init__(self, parent: Folder | None, name: str, config: Config) -> None:
        self.parent = parent
        self.name = name
        self.config = config

    @property
    def full_name(self) -> str:
        above = self.parent.full_name if self.parent is not None else ""
        return f"{above}/{self.name}" if above else self.name

    @property
    def display_name(self) -> str:
        return " » ".join(self.full_name.split("/"))

    @property
    def path(self) -> str:
        """From the root of the server, ending in `/`."""
        return "".join(f"job/{quote(part, safe='')}/" for part in self.full_name.split("/") if part)


class Folder(Item):
    """The root is a folder without a name."""

    def __init__(self, parent: Folder | None = None, name: str = "", config: Config | None = None) -> None:
        super().__init__(parent, name, config or Config(f"<{FOLDER}/>"))
        self.children: dict[str, Folder | Job] = {}

    def jobs(self) -> Iterator[Job]:
        """All jobs within, at any depth."""
        for child in list(self.children.values()):
            if isinstance(child, Folder):
                yield from child.jobs()
            elif isinstance(child, Job):
                yield child

    def find(self, names: list[str]) -> Folder | Job | None:
        item: Folder | Job | None = self
        for name in names:
            item = item.children.get(name) if isinstance(item, Folder) else None
        return item

    def bean(self, root: str) -> Bean:
        children = list(self.children.values())
        return Bean(FOLDER, {
            "actions": (1, [_NOTHING]), "description": (1, self.config.description), "displayName": (1, self.name),
            "displayNameOrNull": (1, None), "fullDisplayName": (1, self.display_name), "fullName": (1, self.full_name),
            "name": (NESTED, self.name), "url": (NESTED, f"{root}{self.path}"), "healthReport": (1, []),
            "jobs": (1, lambda: [child.bean(root) for child in children]),
            "primaryView": (1, view_bean(f"{root}{self.path}")), "views": (1, [view_bean(f"{root}{self.path}")]),
        })  # fmt: skip


class Job(Item):
    """A pipeline or a freestyle project, with its builds (newest last)."""

    def __init__(self, parent: Folder, name: str, config: Config) -> None:
        super().__init__(parent, name, config)
        self.runs: dict[int, Run] = {}
        self.next_number = 1
        self.in_queue = False

    @property
    def freestyle(self) -> bool:
        return self.config.kind == FREESTYLE

    @property
    def cls(self) -> str:
        return "hudson.model.FreeStyleProject" if self.freestyle else "org.jenkinsci.plugins.workflow.job.WorkflowJob"

    @property
    def concurrent(self) -> bool:
        return self.config.concurrent

    def newest_first(self) -> list[Run]:
        return list(reversed(self.runs.values()))

    def run_named(self, name: str) -> Run | None:
        """By number or by a permalink."""
        if name.isdecimal():
            return self.runs.get(int(name))
        fits = PERMALINKS.get(name)
        return next((run for run in self.newest_first() if fits(run)), None) if fits else None

    @property
    def estimated_ms(self) -> int:
        """The mean of the last good builds; -1 without one."""
        last = [run.duration_ms for run in self.newest_first() if run.result in ("SUCCESS", "UNSTABLE")][:3]
        last = last or [run.duration_ms for run in self.newest_first() if run.result == "FAILURE"][:3]
        return sum(last) // len(last) if last else -1

    @property
    def colour(self) -> str:
        if self.config.disabled:
            return "disabled"
        done = next((_COLOURS[run.result] for run in self.newest_first() if run.result), "notbuilt")
        return f"{done}_anime" if any(run.building for run in self.runs.values()) else done

    def reference(self, root: str) -> Bean:
        """As others name it."""
        return Bean(self.cls, {
            "name": (NESTED, self.name), "fullName": (1, self.full_name), "url": (NESTED, f"{root}{self.path}"),
            "color": (NESTED, lambda: self.colour),
        })  # fmt: skip

    def bean(self, root: str) -> Bean:
        url, runs = f"{root}{self.path}", self.newest_first()
        declared = self.config.parameters
        shown: dict[str, tuple[int, Any]] = {
            "actions": (1, [_NOTHING, _NOTHING, _DISPLAY, _CREDENTIALS]),
            "description": (1, self.config.description),
            "displayName": (1, self.name),
            "displayNameOrNull": (1, None),
            "fullDisplayName": (1, self.display_name),
            "fullName": (1, self.full_name),
            "name": (NESTED, self.name),
            "url": (NESTED, url),
            "buildable": (1, not self.config.disabled),
            "builds": (1, lambda: [run.bean() for run in runs[:100]]),
            "allBuilds": (TREE_ONLY, lambda: [run.bean() for run in runs]),
            "color": (NESTED, lambda: self.colour),
            "firstBuild": (1, runs[-1].bean() if runs else None),
            "healthReport": (1, lambda: self._health(runs)),
            "keepDependencies": (1, False),
            "nextBuildNumber": (1, self.next_number),
            "property": (1, [definitions_property(declared)] if declared else []),
            "inQueue": (1, self.in_queue),
            "queueItem": (1, None),
        }
        shown |= {name: (1, partial(self._linked, name)) for name in PERMALINKS}
        shown |= _FREESTYLE if self.freestyle else _PIPELINE
        shown["concurrentBuild"] = (1, self.concurrent)
        if self.freestyle:
            shown["disabled"] = (1, self.config.disabled)
        return Bean(self.cls, shown)

    def _linked(self, name: str) -> Bean | None:
        run = self.run_named(name)
        return None if run is None else run.bean()

    def _health(self, runs: list[Run]) -> list[Bean]:
        done = [run for run in runs if not run.building][:5]
        if not done:
            return []
        bad = sum(run.result == "FAILURE" for run in done)
        words = f"{bad} out of the last {len(done)} builds failed." if bad else "No recent builds failed."
        return [_health(f"Build stability: {words}", 100 - 100 * bad // len(done))]


_FREESTYLE: dict[str, tuple[int, Any]] = {
    "disabled": (1, False), "downstreamProjects": (1, []), "labelExpression": (1, None),
    "scm": (1, Bean("hudson.scm.NullSCM", {})), "upstreamProjects": (1, []),
}  # fmt: skip
_PIPELINE: dict[str, tuple[int, Any]] = {"resumeBlocked": (1, False)}


def _health(words: str, score: int) -> Bean:
    icon = "health-80plus" if score > 80 else "health-60to79" if score > 60 else "health-00to19"
    return Bean("", {
        "description": (NESTED, words), "iconClassName": (NESTED, f"icon-{icon}"), "iconUrl": (NESTED, f"{icon}.png"),
        "score": (NESTED, score),
    })  # fmt: skip


def view_bean(url: str) -> Bean:
    return Bean("hudson.model.AllView", {"name": (NESTED, "all"), "url": (NESTED, url)})


def unsafe_sign(name: str) -> str | None:
    """The first sign that Jenkins does not take in a name."""
    return next((sign for sign in name if sign in UNSAFE or ord(sign) < 32), None)
