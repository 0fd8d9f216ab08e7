"""Unpacking a version's archive: content-addressed, once, and never outside of its folder.

The archive's bytes are checked against the digest first; members are counted and measured before one byte of them is
written; links that leave the tree, devices and absolute paths are refused: by tarfile's data filter where this Python
has it (3.11.4), and by our own checks everywhere: nothing is written through a link, and in the end every link must
point into the tree. Must not know what is in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import lzma
import os
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from fangduoduo_release.common.errors import Rejected
from fangduoduo_release.common.sentence import S, Sentence

from .layout import remove_tree

FILTER_ERROR: type[Exception] = getattr(tarfile, "FilterError", tarfile.TarError)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may unpack to. `ratio`: bytes out per byte in, looked at above `free_bytes`."""

    members: int = 50_000
    total_bytes: int = 2 * 1024**3
    ratio: int = 200
    free_bytes: int = 64 * 1024**2
    depth: int = 60


def unpack(archive: Path, digest: str, releases: Path, limits: Limits) -> Path:
    """The folder with the archive's content, `releases/<sha256>`. Raises Rejected for a bad archive."""
    kind, _, sha = digest.partition(":")
    if kind != "sha256" or len(sha) != 64 or not set(sha) <= set("0123456789abcdef"):
        raise _bad(S("“%(digest)s” is not a sha256 digest.", digest=digest[:100]))
    release = releases / sha
    if release.is_dir():
        return release
    lock = os.open(releases / f".{sha}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not release.is_dir():
            new = releases / f".{sha}.new"
            remove_tree(new)
            try:
                _unpack_into(archive, sha, new, limits)
            except BaseException:
                remove_tree(new)
                raise
            new.rename(release)
            (releases / f".{sha}.lock").unlink(missing_ok=True)
    finally:
        os.close(lock)
    return release


def _unpack_into(archive: Path, sha: str, new: Path, limits: Limits) -> None:
    try:
        with archive.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha:
                raise _bad(S("The archive's content is not what the version pinned (sha256 %(found)s).", found=found))
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            new.mkdir(mode=0o700)
            with tarfile.open(fileobj=file, mode="r:*") as tar:
                _extract(tar, new, size, limits)
    except FileNotFoundError as error:
        raise _bad(S("The version's archive is no longer there."), str(error)) from error
    except FILTER_ERROR as error:
        raise _leaves(str(error)) from error
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        raise _bad(S("The version's archive cannot be read."), str(error)) from error
    except OSError as error:
        raise _bad(
            S("The archive cannot be unpacked: %(reason)s.", reason=error.strerror or "?"), str(error)
        ) from error
    _make_read_only(new)


def _extract(tar: tarfile.TarFile, new: Path, packed: int, limits: Limits) -> None:
    total = 0
    for count, member in enumerate(tar, 1):
        total += max(member.size, 0)
        if count > limits.members:
            raise _bad(S("The archive holds more than %(limit)d files.", limit=limits.members))
        if total > limits.total_bytes or total > max(limits.free_bytes, packed * limits.ratio):
            raise _bad(S("The archive unpacks to far more than it may (%(bytes)d bytes and more).", bytes=total))
        if member.name.count("/") > limits.depth:
            raise _bad(S("The archive's folders are nested more than %(limit)d deep.", limit=limits.depth))
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise _bad(S("The archive holds something that is neither a file, a folder nor a link."), member.name)
        if hasattr(tarfile, "data_filter"):
            tarfile.data_filter(member, str(new))
        _extract_one(tar, member, new)
    for folder, folders, files in os.walk(new):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(new.resolve()):
                raise _leaves(str(path.relative_to(new)))


def _extract_one(tar: tarfile.TarFile, member: tarfile.TarInfo, new: Path) -> None:
    """Write one member; a later member of the same name wins. Modes are reduced to "executable or not"."""
    target = _inside(new, member.name)
    if target == new:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        target.mkdir(exist_ok=True)
        return
    if target.is_symlink() or target.is_file():
        target.unlink()
    if member.issym():
        target.symlink_to(member.linkname)
    elif member.islnk():
        source = _inside(new, member.linkname)
        if source.is_symlink() or not source.is_file():
            raise _leaves(member.name)
        target.hardlink_to(source)
    else:
        content = tar.extractfile(member)
        assert content is not None
        with content, target.open("xb") as file:
            shutil.copyfileobj(content, file, 1024 * 1024)
        target.chmod(0o755 if member.mode & 0o111 else 0o644)


def _inside(new: Path, name: str) -> Path:
    """Where a member goes. Refuses what leaves the folder or would be written through a link."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise _leaves(name)
    for parent in [*reversed(path.parents)][1:]:
        if (new / parent).is_symlink():
            raise _leaves(name)
    return new / path


def _leaves(name: str) -> Rejected:
    return _bad(S("The archive holds a path or link that leaves its folder."), name)


def _make_read_only(top: Path) -> None:
    for folder, _, files in os.walk(top):
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o555 if path.stat().st_mode & 0o100 else 0o444)
    top.chmod(0o755)


def copy_release(release: Path, target: Path) -> None:
    """A private, writable copy in `target`, complete when it appears."""
    new = target.with_name(target.name + ".new")
    remove_tree(new)
    shutil.copytree(release, new, symlinks=True, copy_function=_copy_writable)
    new.chmod(0o755)
    new.rename(target)


def _copy_writable(source: str, target: str) -> str:
    shutil.copyfile(source, target, follow_symlinks=False)
    if not Path(target).is_symlink():
        Path(target).chmod(0o755 if Path(source).stat().st_mode & 0o100 else 0o644)
    return target


def _bad(sentence: Sentence, evidence: str = "") -> Rejected:
    return Rejected(sentence, evidence=evidence, code="bad_artifact")
