"""What people decide about a job on a build server that somebody edited by hand."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from builds.models import RemoteJob
from fangduoduo_release.audit import trail
from fangduoduo_release.common.errors import Conflict
from fangduoduo_release.common.sentence import S
from permissions import policy


def rewrite_job(*, actor: Any, job: RemoteJob) -> None:
    """The next build writes the job as the portal wants it, whatever is there now. Raises Denied, Conflict."""
    policy.require(actor, "change_project", job.project)
    with transaction.atomic():
        changed = RemoteJob.objects.filter(pk=job.pk, state=RemoteJob.State.EDITED).update(
            state=RemoteJob.State.NEW, written=None, found=None
        )
        if not changed:
            raise Conflict(S("Nobody has changed this job in Jenkins."), code="not_edited")
        trail.record(
            actor, "pipeline.rewrite_job", job.project, after={"job": job.path, "connection": job.connection.name}
        )
