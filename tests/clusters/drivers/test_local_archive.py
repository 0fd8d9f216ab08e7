"""An archive is unpacked whole and inside its folder, or not at all."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from clusters.drivers.runtime.local.archive import Limits, copy_release, unpack
from fangduoduo_release.common.errors import Rejected
from tests.clusters.drivers.sample import artifact, pack


def tar_with(path: Path, *members: tarfile.TarInfo, data: bytes = b"data") -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if member.isreg():
                member.size = len(data)
            tar.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


BAD: dict[str, Callable[[Path], Path]] = {
    "dots": lambda p: tar_with(p, member("../outside")),
    "inner dots": lambda p: tar_with(p, member("a/../../outside")),
    "symlink out": lambda p: tar_with(p, member("a", tarfile.SYMTYPE, "../../etc")),
    "absolute symlink": lambda p: tar_with(p, member("a", tarfile.SYMTYPE, "/etc/passwd")),
    "through a symlink": lambda p: tar_with(p, member("a", tarfile.SYMTYPE, "../.."), member("a/outside")),
    "hard link out": lambda p: tar_with(p, member("a", tarfile.LNKTYPE, "../../outside")),
    "device": lambda p: tar_with(p, member("a", tarfile.CHRTYPE)),
    "fifo": lambda p: tar_with(p, member("a", tarfile.FIFOTYPE)),
    "deep": lambda p: tar_with(p, member("/".join(["d"] * 80))),
    "NUL": lambda p: tar_with(p, member("a" * 300)),
    "bomb": lambda p: tar_with(p, member("a"), data=b"\0" * 5_000_000),
    "many": lambda p: tar_with(p, *[member(f"f{i}") for i in range(60)]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_archive_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    releases = tmp_path / "one" / "releases"
    releases.mkdir(parents=True)
    bad = artifact(BAD[name](tmp_path / "bad.tar.gz"))
    with pytest.raises(Rejected) as refusal:
        unpack(Path(bad.archive), bad.digest, releases, Limits(members=50, ratio=20, free_bytes=100_000))
    assert refusal.value.code == "bad_artifact"
    assert sorted(path.name for path in tmp_path.rglob("*") if path.name == "outside") == []
    assert [path for path in releases.iterdir() if not path.name.endswith(".lock")] == []


@pytest.mark.parametrize("content", [b"", b"not a tar at all", b"\x1f\x8b\x08\0\0\0\0\0\0\0broken"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    with pytest.raises(Rejected, match=r"cannot be (read|unpacked)"):
        unpack(path, artifact(path).digest, tmp_path, Limits())


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:../../x", "md5:" + "0" * 64, "sha256:" + "Z" * 64])
def test_a_digest_that_is_none_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(Rejected, match="not a sha256 digest"):
        unpack(tmp_path / "x", digest, tmp_path, Limits())


def test_the_content_is_unpacked_once_and_cannot_be_written(tmp_path: Path) -> None:
    good = pack(tmp_path, "good", {"bin/run": "#!/bin/sh\n", "data.txt": "text"})
    folder = unpack(Path(good.archive), good.digest, tmp_path, Limits())
    assert folder.name == good.digest.removeprefix("sha256:")
    assert (folder / "bin/run").stat().st_mode & 0o777 == 0o555
    assert (folder / "data.txt").stat().st_mode & 0o777 == 0o444
    inode = folder.stat().st_ino
    Path(good.archive).unlink()
    assert unpack(Path(good.archive), good.digest, tmp_path, Limits()).stat().st_ino == inode


def test_many_at_once_unpack_one(tmp_path: Path) -> None:
    good = pack(tmp_path, "good", {f"f{i}": "x" * 1000 for i in range(200)})
    found: list[int] = []

    def one() -> None:
        found.append(unpack(Path(good.archive), good.digest, tmp_path, Limits()).stat().st_ino)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


def test_a_copy_is_private_and_writable_and_keeps_links(tmp_path: Path) -> None:
    path = tar_with(tmp_path / "a.tar.gz", member("real"), member("folder/link", tarfile.SYMTYPE, "../real"))
    good = artifact(path)
    release = unpack(path, good.digest, tmp_path, Limits())
    copy_release(release, tmp_path / "work")
    assert (tmp_path / "work/folder/link").readlink() == Path("../real")
    (tmp_path / "work/real").write_text("changed")
    assert (release / "real").read_text() == "data"
    assert (tmp_path / "work/folder/link").read_text() == "changed"
