"""What a build on another server left: its log in full, stages, tests, files, image; and so the build's outcome.

Each part is taken in short pieces and recognised when it is there already, so that a killed engine goes on. Files pass
through the same folder and storage as those of an embedded build.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import transaction

from builds import registries, test_results, versions
from builds.agents.specs import artifacts_dir, limits
from builds.drivers.builder.base import TestReport
from builds.drivers.builder.remote import RemoteArtifact, RemoteBuilder
from builds.logs import reader
from builds.models import Artifact, Build, BuildLog, RemoteBuild
from builds.remote import triggering
from builds.remote.logs import read_to_end
from builds.remote.stages import keep_stages, skip_the_rest
from fangduoduo_release.common import runs, steps
from fangduoduo_release.common.errors import AppError, Rejected, Unavailable
from fangduoduo_release.common.sentence import S, Sentence

BUDGET_S = 5.0  # of one step
EVIDENCE = 4000
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Made:
    """What a success left, kept and found: the version is made of it in the transaction that ends the build."""

    facts: dict[str, Any]
    archive: tuple[str, int]
    image: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the build ends here. The server's own result, unless what it left cannot be kept or found."""

    state: str
    sentence: Sentence | None = None
    evidence: str = ""
    made: Made | None = None


def collect(build: Build, row: RemoteBuild, builder: RemoteBuilder) -> Outcome | None:
    """The next part; None while there is more to take. Raises Unavailable, LostClaim."""
    until = time.monotonic() + BUDGET_S
    state = str((row.observed or {}).get("state"))
    try:
        if not read_to_end(row, builder, budget_s=BUDGET_S):
            return None
        _facts_once(build, row, builder)
        if not _fetch_files(build, row, builder, until):
            return None
    except Rejected as error:
        if error.code != "build_gone":
            raise
        return Outcome("failed", _gone(row))
    return _concluded(build, state)


def _gone(row: RemoteBuild) -> Sentence:
    return S(
        "Build #%(number)s was deleted in Jenkins before its log and files were fetched. Retry it to build the same commit.",
        number=row.number,
    )


def _facts_once(build: Build, row: RemoteBuild, builder: RemoteBuilder) -> None:
    """Stages and tests as they are at the end, and no second build with our key."""
    number = row.number or 0

    def act() -> dict[str, Any]:
        keep_stages(build, builder.stages(row.job, number))
        skip_the_rest(build)
        triggering.stop_twins(build, row, builder)
        report = builder.tests(row.job, number) if (row.observed or {}).get("has_tests") else None
        if report is not None:
            _keep_tests(build, report)
        return {"tests": report is not None}

    steps.once(build, "facts", act)


def _keep_tests(build: Build, report: TestReport) -> None:
    with transaction.atomic():  # together with the fence: a repeated step must not count twice
        runs.renew(build)
        if Build.objects.filter(pk=build.pk, tests_passed=None).exists():
            test_results.keep(build, report)


def _fetch_files(build: Build, row: RemoteBuild, builder: RemoteBuilder, until: float) -> bool:
    """Every archived file into the build's folder; True when all are there."""
    folder = artifacts_dir(build)
    left = limits().artifact_mib * MIB
    files = builder.artifacts(row.job, row.number or 0)
    if len(files) > limits().artifact_count:
        raise Rejected(
            S(
                "The build archived %(count)s files; at most %(limit)s are kept.",
                count=len(files),
                limit=limits().artifact_count,
            ),
            code="too_many_files",
        )
    for file in files:
        left -= _fetch(build, row, builder, file, folder, left)
        if time.monotonic() > until and file is not files[-1]:
            runs.renew(build)
            return False
    return True


def _fetch(
    build: Build, row: RemoteBuild, builder: RemoteBuilder, file: RemoteArtifact, folder: Path, left: int
) -> int:
    """One file, unless it was fetched before; its size in bytes."""
    known = Artifact.objects.filter(build=build, path=file.path[:500]).first()
    path = folder / file.path
    if known is not None and path.is_file() and path.stat().st_size == known.size:
        return known.size
    runs.renew(build)
    got = builder.download(row.job, row.number or 0, file.path, folder, limit=max(left, 0))
    with transaction.atomic():
        runs.renew(build)
        Artifact.objects.update_or_create(
            build=build, path=got.path[:500], defaults={"size": got.size, "sha256": got.sha256}
        )
    return got.size


def _concluded(build: Build, state: str) -> Outcome:
    """Keep the files, find the image."""
    folder = artifacts_dir(build)
    made = None
    try:
        versions.store_artifacts(build, folder)
        if state == "succeeded":
            facts = versions.release_facts(folder)
            archive = versions.make_archive(build, folder, facts)
            made = Made(facts, archive, registries.pin(build, facts))
    except Unavailable as error:
        raise Unavailable(error.sentence, code="registry_unavailable", evidence=error.evidence) from error
    except AppError as error:
        return Outcome("failed", error.sentence, getattr(error, "evidence", ""))
    except OSError as error:
        reason = error.strerror or "?"
        return Outcome("failed", S("What the build made could not be kept: %(reason)s.", reason=reason))
    return Outcome(state, evidence="" if state == "succeeded" else tail(build), made=made)


def tail(build: Build) -> str:
    """The log's last lines, for the fold under the sentence."""
    log = BuildLog.objects.filter(build=build).first()
    if log is None or not log.size:
        return ""
    return reader.read(build.pk, max(0, log.size - EVIDENCE), EVIDENCE).data.decode("utf-8", "replace")
