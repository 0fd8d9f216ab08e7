"""`stash` and `unstash`: sets of files kept within one build, as tar files of our own making.

Packing follows no link out of the workspace; unpacking trusts nothing. Knows nothing of steps.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import threading
from pathlib import Path

from fangduoduo_release.common.sentence import S

from ..base import Limits
from .antglob import find, open_inside
from .control import StepFailed

_MIB = 1024 * 1024


class Stashes:
    """The stashes of one build by name; a name used again replaces the stash."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limit = limits.stash_mib * _MIB
        self._used: dict[str, int] = {}
        self._lock = threading.Lock()

    def save(
        self, name: str, base: Path, includes: str, excludes: str, *, default_excludes: bool, allow_empty: bool
    ) -> int:
        """How many files were stashed. Raises StepFailed when there is none and that is not allowed."""
        with self._lock:
            target = self._path(name)
            partial = target.with_suffix(".part")
            count = size = 0
            try:
                with tarfile.open(partial, "w") as tar:
                    for path in find(base, includes, excludes, default_excludes=default_excludes):
                        others = sum(self._used.values()) - self._used.get(name, 0)
                        added = self._add(tar, base, path, others + size)
                        if added is not None:
                            size += added
                            count += 1
                if not count and not allow_empty:
                    raise StepFailed(S("No files included in stash “%(name)s”.", name=name))
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
            self._used[name] = size
            return count

    def restore(self, name: str, base: Path) -> int:
        """How many files were put back. Raises StepFailed for an unknown name."""
        with self._lock:
            source = self._path(name)
            if name not in self._used or not source.exists():
                raise StepFailed(S("No such saved stash “%(name)s”.", name=name))
            count = 0
            with tarfile.open(source, "r") as tar:
                for member in tar:
                    _make_way(base, member.name)
                    try:
                        tar.extract(member, base, filter="data")
                    except tarfile.FilterError as error:
                        raise StepFailed(S("“%(path)s” lies outside of the workspace.", path=member.name)) from error
                    count += 1
            return count

    def _add(self, tar: tarfile.TarFile, base: Path, path: str, used: int) -> int | None:
        """Its size; None for what is no file or leads out of the workspace."""
        file = open_inside(base, path)
        if file is None:
            return None
        with file:
            state = os.fstat(file.fileno())
            if self._limit and used + state.st_size > self._limit:
                raise StepFailed(S("The stashes are larger than %(mib)d MiB together.", mib=self._limit // _MIB))
            info = tarfile.TarInfo(path)
            info.size, info.mtime, info.mode = state.st_size, int(state.st_mtime), state.st_mode & 0o777
            tar.addfile(info, file)
            return state.st_size

    def _path(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()}.tar"


def _make_way(base: Path, path: str) -> None:
    """An existing link at the place of a stashed file is replaced, never written through."""
    target = base / path
    if target.is_symlink():
        target.unlink()
