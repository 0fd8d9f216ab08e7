"""The pipeline page: editor with live judgement, revisions with diffs, run once with this text."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render

from builds import actions, pipelines, template_actions, templates
from builds.judges import judge
from builds.models import PipelineRevision
from builds.validation import parameters_of
from builds.views.jobs import edited_job
from builds.views.pages import nested_nodes
from builds.views.templates import choices
from fangduoduo_release.common.differences import unified
from fangduoduo_release.common.errors import AppError, Invalid, NotFound
from fangduoduo_release.common.http import tell
from fangduoduo_release.common.sentence import S
from permissions.enforce import OBJECT, SIGNED_IN, Page
from projects.models import Project
from projects.pages import fetch_project, project_context

REVISIONS = 50
MAX_TEXT = 2 << 20


class Pipeline(Page):
    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        return self.show(request, project)

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        text = request.POST.get("text", "").replace("\r\n", "\n")
        try:
            revision = actions.save_pipeline(
                actor=self.actor,
                project=project,
                text=text,
                note=request.POST.get("note", ""),
                template_revision=template_actions.copied_from(project),
            )
        except Invalid as error:
            return self.show(request, project, text=text, problem=error)
        tell(request, S("Saved as revision %(number)s; the next build runs it.", number=revision.number))
        return redirect("project-pipeline", project.slug)

    def show(
        self, request: HttpRequest, project: Project, *, text: str | None = None, problem: AppError | None = None
    ) -> HttpResponse:
        found, missing = pipelines.Look(), None
        try:
            found = pipelines.look_closely(project)
        except (NotFound, Invalid) as error:
            missing = error
        except AppError as error:
            problem = problem or error
        text = found.text if text is None else text
        judgement: dict[str, Any] = (
            judge(text, project) if text.strip() else {"valid": False, "errors": [], "warnings": [], "stages": []}
        )
        template = found.template_revision
        context = {
            **project_context(self.actor, project, "pipeline"),
            "text": text,
            "revision": found.revision,
            "problem": problem,
            "missing": missing,
            "chosen": found.chosen,
            "copy_of": template,
            "newer": templates.newer_than(template) if template and found.revision else 0,
            "choices": [] if text.strip() else choices(),
            "judged": judgement,
            "edited": edited_job(project),
            "graph": nested_nodes(judgement["stages"]),
            "parameters": parameters_of(text),
            "revisions": project.pipeline_revisions.defer("text").select_related("template_revision__template")[
                :REVISIONS
            ],
            "in_repository": project.pipeline_origin == Project.PipelineOrigin.REPOSITORY,
        }
        return render(request, "builds/pipeline.html", context, status=422 if problem else 200)


class Judge(Page):
    """The editor asks while one types: JSON in, problems and the graph as HTML out."""

    permission = SIGNED_IN

    def post(self, request: HttpRequest) -> HttpResponse:
        if request.content_type != "application/json":
            raise Invalid(S("The request is not valid JSON."))
        if len(request.body) > MAX_TEXT:
            raise Invalid(S("A pipeline is at most 1 MiB of text."))
        try:
            text = json.loads(request.body).get("text", "")
        except (ValueError, AttributeError, RecursionError) as error:
            raise Invalid(S("The request is not valid JSON.")) from error
        slug = request.GET.get("project", "")
        project = fetch_project(self.actor, slug) if slug else None
        found: dict[str, Any] = judge(text if isinstance(text, str) else "", project)
        graph = render(request, "builds/pipeline_graph.html", {"graph": nested_nodes(found["stages"])})
        return JsonResponse({**found, "graph": graph.content.decode()})


class RevisionPage(Page):
    """One revision and what it changed against the one before."""

    permission = OBJECT

    def get(self, request: HttpRequest, slug: str, number: int) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        revision = _revision(project, number)
        before = project.pipeline_revisions.filter(number__lt=number).order_by("-number").first()
        context = {
            **project_context(self.actor, project, "pipeline"),
            "revision": revision,
            "before": before,
            "diff": unified(
                before.text if before else "", revision.text, str(before.number) if before else "0", str(number)
            ),
        }
        return render(request, "builds/revision.html", context)

    def post(self, request: HttpRequest, slug: str, number: int) -> HttpResponse:
        """Make this revision's text the project's pipeline again."""
        project = fetch_project(self.actor, slug)
        revision = _revision(project, number)
        saved = actions.save_pipeline(
            actor=self.actor,
            project=project,
            text=revision.text,
            note=f"← {revision.number}",
            template_revision=revision.template_revision,
        )
        tell(request, S("Revision %(old)s is back as revision %(new)s.", old=number, new=saved.number))
        return redirect("project-pipeline", project.slug)


def _revision(project: Project, number: int) -> PipelineRevision:
    found = project.pipeline_revisions.select_related("template_revision__template").filter(number=number).first()
    if found is None:
        raise NotFound(S("There is no revision %(number)s of this pipeline.", number=number))
    return found
