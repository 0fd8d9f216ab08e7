"""The folders of one build and the rule that its file steps stay within them.

    <root>/home            HOME of every step
    <root>/tmp             TMPDIR; credential files and scripts under tmp/private (0700)
    <root>/stash           what `stash` keeps
    <root>/ws, ws@2, …     workspaces; an agent takes the first that is free, as a Jenkins node does

Knows nothing of steps or stages.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fangduoduo_release.common.sentence import S

from .control import StepFailed


class Workspaces:
    """Makes the folders at once and afresh; `take` lends a workspace. All is under `root`, which is this build's own."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        if self.root.is_dir():
            empty(self.root)
        self.home = self.root / "home"
        self.tmp = self.root / "tmp"
        self.private = self.tmp / "private"
        self.stashes = self.root / "stash"
        for folder in (self.root, self.home, self.tmp, self.private, self.stashes):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._taken: set[str] = set()

    @contextmanager
    def take(self) -> Iterator[Path]:
        """A workspace nobody uses now. It may hold what an earlier agent of this build left, as on a Jenkins node."""
        with self._lock:
            number = 1
            while (name := "ws" if number == 1 else f"ws@{number}") in self._taken:
                number += 1
            self._taken.add(name)
        folder = self.root / name
        folder.mkdir(mode=0o755, exist_ok=True)
        try:
            yield folder
        finally:
            with self._lock:
                self._taken.discard(name)

    def inside(self, base: Path, path: str) -> Path:
        """`path` (relative to `base`, or absolute) when it stays in this build's folders, links followed."""
        if not path or "\0" in path:
            raise StepFailed(S("“%(path)s” is no path of a file.", path=path.replace("\0", "\\0")))
        target = base / path
        real = os.path.realpath(target)
        if real != str(self.root) and not real.startswith(f"{self.root}/"):
            raise StepFailed(S("“%(path)s” lies outside of the workspace.", path=path))
        return target

    def private_file(self, name: str, content: bytes, *, executable: bool = False) -> Path:
        """A file only this user can read, in a folder of its own, outside of every workspace."""
        folder = self.private / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        target = folder / (Path(name).name or "file")
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700 if executable else 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return target

    def forget_private(self, file: Path) -> None:
        shutil.rmtree(file.parent, ignore_errors=True)


def empty(folder: Path) -> None:
    """Remove everything in `folder`, also what was made read-only; links are removed, not followed."""
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                remove_tree(Path(entry.path))
            else:
                Path(entry.path).unlink()


def remove_tree(folder: Path) -> None:
    """As rmtree, but a folder without write permission is made writable first (module caches like to do that)."""

    def again(function: object, path: str, error: BaseException) -> None:
        if not isinstance(error, PermissionError):
            raise error
        for place in (Path(path).parent, Path(path)):
            if place.is_dir() and not place.is_symlink():
                place.chmod(place.stat().st_mode | stat.S_IRWXU)
        if Path(path).is_dir() and not Path(path).is_symlink():
            remove_tree(Path(path))
        else:
            Path(path).unlink(missing_ok=True)

    if sys.version_info >= (3, 12):
        shutil.rmtree(folder, onexc=again)
    else:
        shutil.rmtree(folder, onerror=lambda function, path, info: again(function, path, info[1]))
