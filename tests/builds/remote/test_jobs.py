"""The project's one job: made, kept up, shown when a person changed it, and never changed under a waiting build."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from builds.job_actions import rewrite_job
from builds.models import Build, RemoteJob
from builds.remote import jobs
from fangduoduo_release.audit.models import AuditEntry
from fangduoduo_release.common.errors import Conflict, Denied, Rejected, Unavailable
from projects.models import Project
from tests import world

from .conftest import TEXT, placed, queued
from .server import MemoryServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look stays fresh while a busy machine goes from one line to the next."""
    monkeypatch.setattr(jobs, "TRUST_S", 3600.0)


@pytest.fixture
def job(project: Project, build: Build, server: MemoryServer) -> RemoteJob:
    return jobs.job_of(project, build.builder_connection, server)


def later(job: RemoteJob) -> None:
    """So long after the last look that another is due."""
    RemoteJob.objects.filter(pk=job.pk).update(checked_at=timezone.now() - timedelta(seconds=jobs.TRUST_S + 1))
    job.refresh_from_db()


def changed(project: Project) -> Build:
    """A build of another pipeline text."""
    world.pipeline(project, TEXT.replace("'x'", "'z'"))
    return queued(project)


def test_the_first_build_makes_the_job(job: RemoteJob, build: Build, server: MemoryServer) -> None:
    jobs.ensure(job, build, server)
    job.refresh_from_db()
    assert (job.path, job.state, job.revision) == (f"fdd/{build.project.slug}", "ok", build.pipeline)
    assert server.asked["write_job"] == 1


def test_a_second_build_of_the_same_text_leaves_it_alone(job: RemoteJob, build: Build, server: MemoryServer) -> None:
    jobs.ensure(job, build, server)
    server.asked.clear()
    jobs.ensure(job, build, server)
    assert not server.asked, "looked at a moment ago"
    later(job)
    jobs.ensure(job, build, server)
    assert dict(server.asked) == {"read_job": 1}


def test_another_text_changes_the_same_job(
    job: RemoteJob, build: Build, project: Project, server: MemoryServer
) -> None:
    jobs.ensure(job, build, server)
    jobs.ensure(job, changed(project), server)
    assert server.asked["write_job"] == 2
    assert len(server.jobs) == 1


def test_a_job_is_not_changed_under_a_build_that_waits(
    job: RemoteJob, build: Build, project: Project, server: MemoryServer
) -> None:
    """It would run the new text instead of the one it pinned."""
    jobs.ensure(job, build, server)
    row = placed(build, queue_id=7)
    with pytest.raises(Unavailable) as refused:
        jobs.ensure(job, changed(project), server)
    assert refused.value.code == "job_in_use"
    row.number = 1
    row.save()
    job.refresh_from_db()
    jobs.ensure(job, changed(project), server)
    assert server.asked["write_job"] == 2


def test_an_edited_job_refuses_and_shows_the_difference(job: RemoteJob, build: Build, server: MemoryServer) -> None:
    jobs.ensure(job, build, server)
    server.jobs[job.path]["text"] = "theirs"
    later(job)
    with pytest.raises(Rejected) as refused:
        jobs.ensure(job, build, server)
    assert refused.value.code == "job_edited"
    job.refresh_from_db()
    assert job.state == "edited"
    assert "+text: theirs" in jobs.difference(job)
    assert server.asked["write_job"] == 1


def test_an_edit_that_was_taken_back_in_jenkins_is_forgotten(
    job: RemoteJob, build: Build, server: MemoryServer
) -> None:
    jobs.ensure(job, build, server)
    ours = dict(server.jobs[job.path])
    server.jobs[job.path]["text"] = "theirs"
    later(job)
    with pytest.raises(Rejected):
        jobs.ensure(job, build, server)
    server.jobs[job.path] = ours
    jobs.ensure(job, build, server)
    job.refresh_from_db()
    assert (job.state, job.found) == ("ok", None)


def test_parameters_that_jenkins_dropped_are_written_again(job: RemoteJob, build: Build, server: MemoryServer) -> None:
    jobs.ensure(job, build, server)
    server.jobs[job.path]["parameters_missing"] = ["FDD_BUILD_KEY"]
    later(job)
    jobs.ensure(job, build, server)
    assert server.asked["write_job"] == 2


def test_a_disabled_job_is_not_called_edited(job: RemoteJob, build: Build, server: MemoryServer) -> None:
    jobs.ensure(job, build, server)
    server.jobs[job.path]["disabled"] = True
    later(job)
    jobs.ensure(job, build, server)
    job.refresh_from_db()
    assert job.state == "ok"


def test_a_deleted_job_is_made_again(job: RemoteJob, build: Build, server: MemoryServer) -> None:
    jobs.ensure(job, build, server)
    server.jobs.clear()
    later(job)
    jobs.ensure(job, build, server)
    assert job.path in server.jobs


def test_another_folder_means_another_job(project: Project, build: Build, server: MemoryServer) -> None:
    first = jobs.job_of(project, build.builder_connection, server)
    jobs.ensure(first, build, server)

    class Elsewhere(MemoryServer):
        def job_path(self, project: str) -> str:
            return f"other/{project}"

    moved = jobs.job_of(project, build.builder_connection, Elsewhere())
    assert (moved.pk, moved.path, moved.state, moved.written) == (first.pk, f"other/{project.slug}", "new", None)


def test_a_maintainer_lets_the_portal_write_it_again(
    job: RemoteJob, build: Build, project: Project, server: MemoryServer
) -> None:
    jobs.ensure(job, build, server)
    maintainer, developer = world.member(project, "maintainer"), world.member(project, "developer")
    with pytest.raises(Conflict):
        rewrite_job(actor=maintainer, job=job)
    server.jobs[job.path]["text"] = "theirs"
    later(job)
    with pytest.raises(Rejected):
        jobs.ensure(job, build, server)
    with pytest.raises(Denied):
        rewrite_job(actor=developer, job=job)
    rewrite_job(actor=maintainer, job=job)
    job.refresh_from_db()
    jobs.ensure(job, build, server)
    assert server.jobs[job.path]["text"] != "theirs"
    assert AuditEntry.objects.filter(verb="pipeline.rewrite_job", actor=maintainer.username).exists()
