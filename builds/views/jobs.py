"""The project's job on its build server: how it stands, what a person changed there, and the way back."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from builds import job_actions
from builds.models import RemoteJob
from builds.remote.jobs import difference
from fangduoduo_release.common.errors import NotFound
from fangduoduo_release.common.http import tell
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.enforce import OBJECT, Page
from projects.models import Project
from projects.pages import fetch_project, project_context


class JobPage(Page):
    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        job = _job(project)
        context = {**project_context(self.actor, project, "pipeline"), "job": job, "diff": difference(job)}
        return render(request, "builds/job.html", context)

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        """Let the portal write it again."""
        project = fetch_project(self.actor, slug)
        policy.require(self.actor, "change_project", project)  # before we tell that there is no job
        job_actions.rewrite_job(actor=self.actor, job=_job(project))
        tell(request, S("The next build writes the job in Jenkins again."))
        return redirect("project-pipeline", project.slug)


def edited_job(project: Project) -> RemoteJob | None:
    """The project's job, when somebody changed it by hand on the server that builds it."""
    if project.builder_connection_id is None:
        return None
    state = RemoteJob.State.EDITED
    return RemoteJob.objects.filter(project=project, connection_id=project.builder_connection_id, state=state).first()


def _job(project: Project) -> RemoteJob:
    rows = RemoteJob.objects.select_related("connection", "project", "revision")
    found = rows.filter(project=project, connection_id=project.builder_connection_id or 0).first()
    if found is None:
        raise NotFound(S("This project has no job in Jenkins yet; its first build there makes it."))
    return found
