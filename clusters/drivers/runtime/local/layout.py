"""Where the local runtime keeps things, and how it writes them so that a crash leaves old or new, never half.

    <root>/releases/<sha256>/                  an unpacked version, read-only, shared
    <root>/services/<key>/<group>/lock         flock: one caller converges at a time
    <root>/services/<key>/<group>/state.json   the goal (masked) and how far it came
    <root>/services/<key>/<group>/instances/<name>/{instance,status,drain}.json, work/, home/, logs/
    <root>/services/<key>/<group>/history/<name>/   record and logs of instances that are gone (the newest few)

Must not know what the files mean.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clusters.drivers.runtime.base import ServiceRef
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}\Z")
KEEP_HISTORY = 6


class Layout:
    """The paths below one root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.releases = root / "releases"
        self.services = root / "services"

    def make(self) -> None:
        for folder in (self.root, self.releases, self.services):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def group(self, service: ServiceRef) -> GroupDir:
        for word in (service.key, service.group):
            if not SAFE.match(word):
                raise Invalid(S("“%(word)s” cannot name a service.", word=word[:100]), code="bad_service")
        return GroupDir(self.services / service.key / service.group, service)

    def groups(self) -> list[GroupDir]:
        """Every group of every service on disk."""
        found = sorted(self.services.glob("*/*/state.json"))
        return [GroupDir(path.parent, ServiceRef(path.parent.parent.name, path.parent.name)) for path in found]


class GroupDir:
    """One group of one service."""

    def __init__(self, path: Path, service: ServiceRef) -> None:
        self.path = path
        self.service = service
        self.instances = path / "instances"
        self.history = path / "history"

    def make(self) -> None:
        for folder in (self.path, self.instances, self.history):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read_state(self) -> dict[str, Any]:
        return read_json(self.path / "state.json") or {}

    def write_state(self, state: Mapping[str, Any]) -> None:
        write_json(self.path / "state.json", state)

    def instance_dirs(self) -> list[Path]:
        try:
            return sorted(path for path in self.instances.iterdir() if not path.name.startswith("."))
        except FileNotFoundError:
            return []

    @contextlib.contextmanager
    def locked(self, wait_s: float) -> Iterator[bool]:
        """Hold the group's lock; yields False when somebody else held it for `wait_s`.

        The lock file goes with the group's directory, so after taking it we look whether it still is the one on disk.
        """
        deadline = time.monotonic() + wait_s
        fd = -1
        try:
            while True:
                if fd < 0:
                    self.make()
                    fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _same_file(fd, self.path / "lock"):
                        break
                    os.close(fd)
                    fd = -1
                    continue
                except BlockingIOError:
                    pass
                if time.monotonic() >= deadline:
                    yield False
                    return
                time.sleep(0.01)
            yield True
        finally:
            if fd >= 0:
                os.close(fd)

    def bury(self, instance: Path) -> None:
        """Move an instance that is gone to the history (record and logs only) and forget the oldest."""
        for name in ("work", "home", "work.new"):
            remove_tree(instance / name)
        grave = self.history / instance.name
        remove_tree(grave)
        instance.rename(grave)
        graves = sorted(self.history.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in graves[KEEP_HISTORY:]:
            remove_tree(old)

    def delete(self) -> None:
        """Remove the group (the caller holds the lock) and the service's folder when it was the last one."""
        (self.path / "state.json").unlink(missing_ok=True)
        remove_tree(self.path)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()


def _same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in the file; None when there is none (or only half of one)."""
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Replace the file as a whole, on disk before it is seen."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    with new.open("w") as file:
        json.dump(data, file, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def remove_tree(path: Path) -> None:
    """Remove a folder, also a read-only one. Absent is fine."""

    def unlock(function: Any, name: str, _: Any) -> None:
        with contextlib.suppress(FileNotFoundError):
            Path(name).parent.chmod(0o700)
            Path(name).chmod(0o700)
            function(name)

    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path, onerror=unlock)


def now_boot() -> float:
    """Seconds since boot, counting sleep: nobody can turn this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
