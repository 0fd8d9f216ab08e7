"""Ant's file patterns as Jenkins uses them (`**/*.jar, out/`), over a tree without following links to directories.

Gives relative POSIX paths in order; opening a found file stays within the tree. Knows nothing of what is done with them.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

# What Ant leaves out unless told otherwise.
DEFAULT_EXCLUDES = (
    "**/*~, **/#*#, **/.#*, **/%*%, **/._*, **/CVS, **/CVS/**, **/.cvsignore, **/SCCS, **/SCCS/**, **/vssver.scc,"
    "**/.svn, **/.svn/**, **/.DS_Store, **/.git, **/.git/**, **/.gitattributes, **/.gitignore, **/.gitmodules,"
    "**/.hg, **/.hg/**, **/.hgignore, **/.hgsub, **/.hgsubstate, **/.hgtags, **/.bzr, **/.bzr/**, **/.bzrignore"
)


def split_patterns(text: str) -> tuple[str, ...]:
    """A comma-separated list as Jenkins splits it."""
    return tuple(part for part in (p.strip() for p in text.replace("\n", ",").split(",")) if part)


@lru_cache(maxsize=512)
def pattern(text: str, *, case_sensitive: bool = True) -> re.Pattern[str]:
    """The regular expression of one Ant pattern, to be matched in full against a relative path."""
    text = text.replace("\\", "/").removeprefix("./")
    if text.endswith("/"):
        text += "**"
    parts = [p for i, p in enumerate(text.split("/")) if p or i == 0]
    parts = [p for i, p in enumerate(parts) if not (p == "**" and i and parts[i - 1] == "**")]
    groups: list[list[str]] = [[]]  # names that follow each other directly, “**” between one group and the next
    for part in parts:
        if part == "**":
            groups.append([])
        else:
            groups[-1].append(_name(part))
    first, middle, last = groups[0], groups[1:-1], groups[-1] if len(groups) > 1 else None
    found = ["/".join(first)] if first else []
    # The first place where a group fits is as good as any later one; held fast, it costs no time to be tried again.
    found += [rf"(?>(?:[^/]*/)*?{'/'.join(group)}(?=/|\Z))" for group in middle]
    found += [f"(?:.*/)?{'/'.join(last)}"] if last else []
    rest = "(?:/.*)?" if found else ".*"  # `a/**` also matches `a` itself
    text = "/".join(found) + (rest if last == [] else "")
    return re.compile(text, re.DOTALL | (0 if case_sensitive else re.IGNORECASE))


def _name(part: str) -> str:
    """One name between slashes. Only its last star is ever tried again, so that no name makes it slow."""
    begin, *pieces = (re.escape(piece).replace(r"\?", "[^/]") for piece in part.split("*"))
    if not pieces:
        return begin
    return begin + "".join(f"(?>[^/]*?{piece})" for piece in pieces[:-1] if piece) + f"[^/]*{pieces[-1]}"


def matches(path: str, patterns: str, *, case_sensitive: bool = True) -> bool:
    """True when any of the comma-separated patterns matches the relative path."""
    return any(pattern(p, case_sensitive=case_sensitive).fullmatch(path) for p in split_patterns(patterns))


def find(
    root: Path, includes: str, excludes: str = "", *, default_excludes: bool = True, case_sensitive: bool = True
) -> Iterator[str]:
    """Relative paths of the regular files (and links to files) in `root` that match, sorted within a directory."""
    wanted = [pattern(p, case_sensitive=case_sensitive) for p in split_patterns(includes)]
    left_out = list(split_patterns(excludes)) + (list(split_patterns(DEFAULT_EXCLUDES)) if default_excludes else [])
    unwanted = [pattern(p, case_sensitive=case_sensitive) for p in left_out]
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(root / folder), key=lambda e: e.name)
        except OSError:
            continue
        folders = []
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if not any(u.fullmatch(path) and u.fullmatch(path + "/x") for u in unwanted):
                    folders.append(path)
            elif any(w.fullmatch(path) for w in wanted) and not any(u.fullmatch(path) for u in unwanted):
                yield path
        pending.extend(reversed(folders))


def open_inside(root: Path, path: str) -> BinaryIO | None:
    """The file at `path`, opened; None when it is no regular file or a link leads out of `root` (checked once open)."""
    home = os.path.realpath(root)
    try:
        descriptor = os.open(os.path.realpath(root / path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    real = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    if stat.S_ISREG(os.fstat(descriptor).st_mode) and real.startswith(home.rstrip("/") + "/"):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    return None
