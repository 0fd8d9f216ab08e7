"""A project's job on a build server: made, kept up with the pipeline, and never overwritten when a person changed it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from builds.drivers.builder.remote import JobFacts, JobSpec, RemoteBuilder
from builds.models import Build, PipelineRevision, RemoteBuild, RemoteJob
from builds.remote.values import declared
from fangduoduo_release.common.differences import unified
from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.common.sentence import S
from projects.models import Project
from projects.sources import source_of

TRUST_S = 60.0  # a job that was looked at this recently, and is to be what it is, is not looked at again
MISSING = "parameters_missing"  # Jenkins itself drops parameters that a Jenkinsfile does not declare
DISABLED = "disabled"  # a disabled job says so itself when a build is asked of it


def job_of(project: Project, connection: Any, builder: RemoteBuilder) -> RemoteJob:
    """The row of the project's job there, made when it is the first time."""
    row, _ = RemoteJob.objects.get_or_create(project=project, connection=connection)
    path = builder.job_path(project.slug)
    if row.path != path:  # another folder in the connection: a job of its own, known by nobody yet
        RemoteJob.objects.filter(pk=row.pk).update(path=path, state=RemoteJob.State.NEW, written=None, found=None)
        row.refresh_from_db()
    return row


def ensure(row: RemoteJob, build: Build, builder: RemoteBuilder) -> None:
    """Make the job what this build's pipeline wants. Raises Rejected (code `job_edited`) when a person changed it."""
    revision = build.pipeline
    assert revision is not None
    if _is_fresh(row, revision, build):
        return
    found = builder.read_job(row.path)
    row.checked_at = timezone.now()
    if found is None or row.written is None or row.state == RemoteJob.State.NEW:
        _write(row, build, builder)
    elif _kept(found) != _kept(row.written):
        row.state, row.found = RemoteJob.State.EDITED, found
        row.save(update_fields=["state", "found", "checked_at"])
        raise edited(row)
    elif row.revision_id != revision.pk or found.get(MISSING):
        _write(row, build, builder)
    else:
        row.state, row.found = RemoteJob.State.OK, None
        row.save(update_fields=["state", "found", "checked_at"])


def edited(row: RemoteJob) -> Rejected:
    """Why nothing is built: what a person wrote there is not overwritten behind their back."""
    return Rejected(
        S(
            "The job “%(job)s” was changed by hand in Jenkins. Look at the difference on the pipeline page, then let the "
            "portal write it again or keep your change there by moving it into the pipeline.",
            job=row.path,
        ),
        code="job_edited",
    )


def spec_of(row: RemoteJob, build: Build) -> JobSpec:
    """What the job is to be for this build."""
    project, revision = build.project, build.pipeline
    assert revision is not None
    source, repository = source_of(project)
    return JobSpec(
        path=row.path,
        project=project.slug,
        revision=revision.number,
        text=revision.text,
        repository=source.clone_url(repository),
        from_repository=revision.origin == PipelineRevision.Origin.REPOSITORY,
        credentials_id=str(row.connection.config.get("credentials_id", "")),
        parameters=declared(revision),
        portal_url=f"{settings.PUBLIC_URL}/projects/{project.slug}/pipeline/",
    )


def _write(row: RemoteJob, build: Build, builder: RemoteBuilder) -> None:
    """Raises Unavailable while another build of this job waits in the queue: it would run our text instead of its own."""
    waiting = RemoteBuild.objects.filter(
        connection=row.connection, job=row.path, ended=False, number=None, queue_id__isnull=False
    ).exclude(build__pipeline=build.pipeline)
    if waiting.exists():
        raise Unavailable(S("A build with another pipeline is still in the queue of Jenkins."), code="job_in_use")
    row.written = builder.write_job(spec_of(row, build))
    row.state, row.found, row.revision, row.checked_at = RemoteJob.State.OK, None, build.pipeline, timezone.now()
    row.save(update_fields=["written", "state", "found", "revision", "checked_at"])


def _is_fresh(row: RemoteJob, revision: PipelineRevision, build: Build) -> bool:
    """Looked at a moment ago, and no build has ended since (a Jenkinsfile that runs may change the job's parameters)."""
    if row.state != RemoteJob.State.OK or row.revision_id != revision.pk or row.checked_at is None:
        return False
    if timezone.now() - row.checked_at > timedelta(seconds=TRUST_S):
        return False
    started_since = Build.objects.filter(
        project=build.project, builder_connection=row.connection_id, started_at__gt=row.checked_at
    )
    return not started_since.exists()


def _kept(facts: JobFacts) -> JobFacts:
    return {name: value for name, value in facts.items() if name not in (MISSING, DISABLED)}


def difference(row: RemoteJob) -> str:
    """What a person changed there, as a unified diff from what the portal wrote; "" when nothing differs."""
    return unified(_readable(row.written or {}), _readable(row.found or {}), "portal", "Jenkins")


def _readable(facts: JobFacts) -> str:
    """One fact a line, texts as they are."""
    lines = []
    for name, value in sorted(_kept(facts).items()):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2)
        lines.append(f"{name}:\n{text}" if "\n" in text else f"{name}: {text}")
    return "\n".join(lines) + "\n"
