"""Duties over finished builds: end processes nobody owns, clear old files. Never what runs or may be rolled back to."""

from __future__ import annotations

import logging
import shutil
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core.files.storage import default_storage
from django.utils import timezone

from builds import versions
from builds.agents.specs import portal_marks
from builds.drivers.builder.embedded.orphans import kill_build, running_keys
from builds.logs import seal
from builds.models import Artifact, Build, Version

logger = logging.getLogger(__name__)
BATCH = 200


def end_orphans() -> int:
    """Kill build processes on this host whose build has ended; returns how many builds had some."""
    keys = running_keys(portal_marks())
    if not keys:
        return 0
    active = {
        str(key)
        for key in Build.objects.filter(key__in=keys, state__in=Build.STATES.active).values_list("key", flat=True)
    }
    orphans = keys - active
    for key in orphans:
        logger.warning("ending what is left of build %s", key)
        kill_build(key, grace=1.0)
    return len(orphans)


def seal_logs() -> int:
    """Finish the logs that a crash left open after their build had ended; returns how many."""
    left_open = list(seal.unsealed().values_list("build_id", flat=True)[:BATCH])
    for build_id in left_open:
        seal.seal(build_id)
    return len(left_open)


def clear_old() -> int:
    """Clear artifacts and archives beyond what the settings keep; returns how many versions lost their files."""
    _clear_workspaces()
    before = timezone.now() - timedelta(days=settings.RETENTION["days"])
    old = (
        Version.objects.filter(removed_at=None, created_at__lt=before)
        .filter(wanted_by=None, deployments=None, replaced_by=None)  # never ran: nothing can roll back to it
        .order_by("id")
        .values_list("pk", "project", "number")
    )
    oldest_kept: dict[int, int] = {}
    chosen: list[int] = []
    for pk, project, number in old.iterator():
        if project not in oldest_kept:
            oldest_kept[project] = _oldest_kept(project)
        if number < oldest_kept[project]:
            chosen.append(pk)
        if len(chosen) == BATCH:
            break
    return sum(_clear(version) for version in Version.objects.filter(pk__in=chosen).select_related("build"))


def _oldest_kept(project: int) -> int:
    """The number from which on a project's versions are kept whatever their age."""
    numbers = Version.objects.filter(project=project).order_by("-number").values_list("number", flat=True)
    return min(numbers[: settings.RETENTION["keep"]], default=0)


def _clear(version: Version) -> bool:
    """Give up the version's files, unless somebody chose it for a deployment in this moment."""
    unused = Version.objects.filter(pk=version.pk, wanted_by=None, deployments=None, replaced_by=None)
    if not unused.update(removed_at=timezone.now()):
        return False
    _drop_archive(version)
    _drop_artifacts(version.build)
    return True


def _drop_archive(version: Version) -> None:
    sha256 = version.archive_sha256
    shared = Version.objects.filter(archive_sha256=sha256, removed_at=None).exclude(pk=version.pk)
    if sha256 and not shared.exists():
        default_storage.delete(versions.archive_name(sha256))


def _drop_artifacts(build: Build) -> None:
    for artifact in Artifact.objects.filter(build=build):
        others = Artifact.objects.filter(sha256=artifact.sha256).exclude(build=build)
        if not others.exists():
            default_storage.delete(versions.artifact_name(artifact.sha256))
    Artifact.objects.filter(build=build).delete()


def _clear_workspaces() -> None:
    """Workspaces of builds that ended on this host and whose agent could not clean up."""
    root = Path(settings.WORKSPACES_ROOT)
    if not root.is_dir():
        return
    active = {str(key) for key in Build.objects.filter(state__in=Build.STATES.active).values_list("key", flat=True)}
    hour_ago = timezone.now().timestamp() - 3600
    for folder in [*root.iterdir(), *(root / "artifacts").glob("*")]:
        if folder.name != "artifacts" and folder.name not in active and folder.stat().st_mtime < hour_ago:
            shutil.rmtree(folder, ignore_errors=True)
    for packed in (root / "artifacts").glob("*.tar.gz"):  # of an agent that was killed while it packed
        if packed.name.removesuffix(".tar.gz") not in active:
            packed.unlink(missing_ok=True)
