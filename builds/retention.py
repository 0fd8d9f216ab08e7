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
        .order_by("id")[:BATCH]
    )
    cleared = 0
    for version in old:
        newest = version.project.versions.order_by("-number").values_list("number", flat=True)[
            : settings.RETENTION["keep"]
        ]
        if version.number in set(newest):
            continue
        Version.objects.filter(pk=version.pk).update(removed_at=timezone.now())
        _drop_archive(version)
        _drop_artifacts(version.build)
        cleared += 1
    return cleared


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
