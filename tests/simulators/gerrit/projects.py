"""The projects of a Gerrit: their names, what they inherit from, and their bare repositories."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .repository import Repository

ALL_PROJECTS = "All-Projects"
ALL_USERS = "All-Users"


@dataclass
class Project:
    name: str
    repository: Repository
    parent: str = ALL_PROJECTS
    description: str = ""
    owners: list[str] = field(default_factory=list)
    state: str = "ACTIVE"
    hidden_from: set[str] = field(default_factory=set)  # user names


class Projects:
    """By name. A renamed or deleted project is not found under its old name."""

    def __init__(self, folder: Path, hooks: Path, clock: Callable[[], float]) -> None:
        self.folder = folder
        self._hooks = hooks
        self._clock = clock
        self._all: dict[str, Project] = {}
        self._lock = threading.Lock()

    def named(self, name: str, username: str = "") -> Project | None:
        """As people write it: a slash or `.git` at the end means nothing."""
        found = self._all.get(tidy(name))
        return found if found is not None and username not in found.hidden_from else None

    def visible(self, username: str) -> Iterable[Project]:
        return [self._all[name] for name in sorted(self._all) if username not in self._all[name].hidden_from]

    def add(self, name: str, head: str, *, parent: str = "", description: str = "") -> Project:
        repository = Repository(self._path(name), self._clock)
        repository.create(head, self._hooks, description)
        project = Project(name, repository, parent, description)
        with self._lock:
            self._all[name] = project
        return project

    def rename(self, old: str, new: str) -> None:
        with self._lock:
            project = self._all.pop(old)
            self._path(new).parent.mkdir(parents=True, exist_ok=True)
            project.repository.path.rename(self._path(new))
            project.repository.path = self._path(new)
            project.name = new
            self._all[new] = project

    def delete(self, name: str) -> None:
        with self._lock:
            project = self._all.pop(name)
        project.repository.path.rename(self.folder / f"deleted-{len(list(self.folder.iterdir()))}")

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.git"


def tidy(name: str) -> str:
    return name.rstrip("/").removesuffix(".git").rstrip("/")


def is_unreasonable(name: str) -> bool:
    """Whether Gerrit refuses to make a repository by this name."""
    parts = name.split("/")
    return (
        not name
        or any(part in ("", ".", "..") or part.endswith(".git") for part in parts)
        or any(letter in '\\?%*:<>|$\r\n"' for letter in name)
    )
