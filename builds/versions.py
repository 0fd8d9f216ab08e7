"""What a successful build leaves: its archived files become one archive by sha256, and a numbered version.

Files are content-addressed in Django's storage, so storing twice is harmless. A half that a crash or a full disk left
under a name is known by its size and replaced.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from typing import IO, Any, cast

from django.core.files import File
from django.core.files.storage import default_storage

from builds.models import Artifact, Build, Version
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.sentence import S
from fangduoduo_release.common.storable import storable

RELEASE_FILE = "release.json"
MAX_RELEASE_BYTES = 64 * 1024


def artifact_name(sha256: str) -> str:
    """Where the storage keeps a file of this content."""
    return f"artifacts/{sha256[:2]}/{sha256}"


def archive_name(sha256: str) -> str:
    return f"archives/{sha256[:2]}/{sha256}.tar.gz"


def store_artifacts(build: Build, folder: Path) -> None:
    """Copy the build's archived files into the storage. Raises OSError (disk full)."""
    for artifact in Artifact.objects.filter(build=build):
        _keep(folder / artifact.path, artifact_name(artifact.sha256))


def _keep(path: Path, name: str) -> None:
    if default_storage.exists(name):
        if default_storage.size(name) == path.stat().st_size:
            return
        default_storage.delete(name)  # the rest of an attempt that died
    try:
        with path.open("rb") as file:
            stored = default_storage.save(name, File(file))
    except OSError:
        default_storage.delete(name)
        raise
    if stored != name:  # another build with the same content was faster
        default_storage.delete(stored)


def release_facts(folder: Path) -> dict[str, Any]:
    """What `release.json` says was made: image, digest, archive, notes. Raises Invalid when it says it badly."""
    path = folder / RELEASE_FILE
    if not path.is_file():
        return {}
    bad = S("release.json must be an object with “image”, “digest”, “archive” or “notes” as text.")
    if path.stat().st_size > MAX_RELEASE_BYTES:
        raise Invalid(S("release.json is larger than 64 KiB."))
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Invalid(bad) from error
    if not isinstance(facts, dict) or any(
        not isinstance(facts.get(k, ""), str) for k in ("image", "digest", "archive", "notes")
    ):
        raise Invalid(bad)
    return {name: storable(value) for name, value in facts.items()}


def make_archive(build: Build, folder: Path, facts: dict[str, Any]) -> tuple[str, int]:
    """(sha256, size) of the stored archive: the tar that release.json names, else all archived files. ("", 0): nothing."""
    artifacts = list(Artifact.objects.filter(build=build).order_by("path"))
    named = facts.get("archive", "")
    if named:
        if named not in {a.path for a in artifacts}:
            raise Invalid(S("release.json names the archive “%(path)s”, which the build did not archive.", path=named))
        if not tarfile.is_tarfile(folder / named):
            raise Invalid(S("The archive “%(path)s” is not a tar file.", path=named))
        return _store_archive(folder / named)
    files = [a for a in artifacts if a.path != RELEASE_FILE]
    if not files:
        return "", 0
    packed = folder.parent / f"{folder.name}.tar.gz"
    try:
        pack(folder, [a.path for a in files], packed)
        return _store_archive(packed)
    finally:
        packed.unlink(missing_ok=True)


def pack(folder: Path, paths: list[str], target: Path) -> None:
    """A tar.gz that depends on names, contents and the executable bit only, so equal builds give equal digests."""
    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as zipped,
        tarfile.open(fileobj=cast(IO[bytes], zipped), mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(paths):
            info = tar.gettarinfo(str(folder / path), arcname=path)
            info.mtime = 0
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mode = 0o755 if info.mode & 0o111 else 0o644
            with (folder / path).open("rb") as file:
                tar.addfile(info, file)


def _store_archive(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    _keep(path, archive_name(sha256))
    return sha256, path.stat().st_size


def make_version(
    build: Build, facts: dict[str, Any], archive: tuple[str, int], image: str = "", digest: str = ""
) -> Version | None:
    """The build's version row, once; None when the build left neither archive nor image, or is of a change that is still
    under review: nobody deploys that. Image and digest are as `registries.pin` found them."""
    if build.is_change or not (archive[0] or image):
        return None
    version, _ = Version.objects.get_or_create(
        build=build,
        defaults={
            "project": build.project,
            "number": build.number,
            "commit_sha": build.commit_sha,
            "commit_subject": build.commit_subject,
            "commit_author": build.commit_author,
            "ref": build.ref,
            "image": image[:500],
            "digest": digest,
            "archive_sha256": archive[0],
            "archive_size": archive[1],
            "notes": facts.get("notes", "")[:10_000],
        },
    )
    return version


def archive_path(version: Version) -> Path | None:
    """The version's archive as a file on this host; None when it has none or retention removed it."""
    if not version.archive_sha256 or version.removed_at is not None:
        return None
    name = archive_name(version.archive_sha256)
    return Path(default_storage.path(name)) if default_storage.exists(name) else None


def clear_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def is_there(version: Version) -> bool:
    """Whether what the version left can still be deployed."""
    return bool(version.image) or archive_path(version) is not None
