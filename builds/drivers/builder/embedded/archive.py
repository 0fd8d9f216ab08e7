"""Copies files of a workspace into the build's artifacts folder, safely: no links out, names checked, limits kept.

Knows nothing of what becomes of the artifacts.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fangduoduo_release.common.sentence import S

from ..base import ArtifactFile, Limits
from .antglob import find, open_inside
from .control import StepFailed

_CHUNK = 1024 * 1024
_MIB = 1024 * 1024


class Archiver:
    """The artifacts of one build. `keep` may be called from several branches; the same path again replaces the file."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()

    def keep(
        self, base: Path, includes: str, excludes: str, *, default_excludes: bool = True, case_sensitive: bool = True
    ) -> Iterator[ArtifactFile | str]:
        """Each file kept, or the relative path of one that was left out because it leads outside or has a bad name."""
        with self._lock:
            for path in find(
                base, includes, excludes, default_excludes=default_excludes, case_sensitive=case_sensitive
            ):
                kept = self._keep_one(base, path) if _good_name(path) else None
                yield kept or path

    def _keep_one(self, base: Path, path: str) -> ArtifactFile | None:
        source = open_inside(base, path)
        if source is None:
            return None
        with source:
            mode = os.fstat(source.fileno()).st_mode
            self._check(path, os.fstat(source.fileno()).st_size)
            target = self._folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name[:200]}.part")
            digest, size = hashlib.sha256(), 0
            try:
                with partial.open("wb") as out:
                    while data := source.read(_CHUNK):
                        size += len(data)
                        self._check(path, size)
                        digest.update(data)
                        out.write(data)
                partial.chmod(0o755 if mode & 0o100 else 0o644)
                partial.replace(target)
            finally:
                with suppress(OSError):
                    partial.unlink(missing_ok=True)
        self._sizes[path] = size
        return ArtifactFile(path, size, digest.hexdigest())

    def _check(self, path: str, size: int) -> None:
        others = sum(s for p, s in self._sizes.items() if p != path)
        if self._limits.artifact_mib and others + size > self._limits.artifact_mib * _MIB:
            raise StepFailed(S("The artifacts are larger than %(mib)d MiB together.", mib=self._limits.artifact_mib))
        if self._limits.artifact_count and len(self._sizes) + (path not in self._sizes) > self._limits.artifact_count:
            raise StepFailed(S("There are more than %(count)d artifacts.", count=self._limits.artifact_count))


def _good_name(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return len(path) <= 1000 and all(c >= " " and c != "\x7f" for c in path) and ".." not in path.split("/")
