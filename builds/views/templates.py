"""Pages of the template library, and of a project that takes a template and follows it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from builds import pipelines, template_actions, template_use, templates
from builds.merging import conflicts_in
from builds.models import TemplateRevision
from builds.validation import judged, parameters_of
from builds.views.pages import nested_nodes
from fangduoduo_release.common.differences import unified
from fangduoduo_release.common.errors import AppError, Conflict, Invalid, NotFound
from fangduoduo_release.common.http import tell
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.enforce import OBJECT, SIGNED_IN, Page
from projects.models import Project
from projects.pages import fetch_project, project_context

REVISIONS = 50
PROJECTS = 100


def number_in(request: HttpRequest, name: str) -> int | None:
    """A revision's number from the address or the form; None when there is none. Raises NotFound for nonsense."""
    given = (request.POST if request.method == "POST" else request.GET).get(name, "")
    if not given:
        return None
    if not given.isascii() or not given.isdecimal() or len(given) > 9:
        raise NotFound(S("There is no revision %(number)s.", number=given[:20]))
    return int(given)


class Templates(Page):
    """What there is to begin with. Everybody signed in may look: a template holds no secret."""

    permission = SIGNED_IN

    def get(self, request: HttpRequest) -> HttpResponse:
        rows = list(template_use.library())
        if not rows:
            templates.have_library()
            rows = list(template_use.library())
        used = template_use.counts(self.actor)
        context = {
            "templates": [{"row": row, "used": used.get(row.pk, 0)} for row in rows if not row.retired],
            "retired": [{"row": row, "used": used.get(row.pk, 0)} for row in rows if row.retired],
            "may_change": policy.is_ops(self.actor),
            "section": "builds",
        }
        return render(request, "builds/templates.html", context)


class TemplatePage(Page):
    """One template: the text of a revision, what it asks for, and who follows it."""

    permission = SIGNED_IN

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        template = templates.template_called(slug)
        revision = templates.revision_of(template, number_in(request, "revision"))
        revisions = list(template.revisions.defer("text")[:REVISIONS])
        newest = revisions[0].number
        found = judged(revision.text)
        projects = list(template_use.projects_of(self.actor, template)[: PROJECTS + 1])
        context = {
            "template": template,
            "revision": revision,
            "newest": newest,
            "revisions": revisions,
            "parameters": parameters_of(revision.text),
            "graph": nested_nodes(found["stages"]),
            "projects": [{"row": one, "behind": newest - (one.followed or newest)} for one in projects[:PROJECTS]],
            "more_projects": len(projects) > PROJECTS,
            "may_change": policy.is_ops(self.actor),
            "section": "builds",
        }
        return render(request, "builds/template.html", context)


class TemplateCompare(Page):
    """What changed from one revision to another."""

    permission = SIGNED_IN

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        template = templates.template_called(slug)
        new = templates.revision_of(template, number_in(request, "to"))
        old = templates.revision_of(template, number_in(request, "from") or max(1, new.number - 1))
        context = {
            "template": template,
            "old": old,
            "new": new,
            "diff": unified(old.text, new.text, str(old.number), str(new.number)),
            "revisions": template.revisions.defer("text")[:REVISIONS],
            "section": "builds",
        }
        return render(request, "builds/template_compare.html", context)


class ProjectTemplate(Page):
    """A project chooses a template, or makes what the build service chose its own."""

    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        context = {
            **project_context(self.actor, project, "pipeline"),
            "choices": choices(),
            "has_own": pipelines.current(project),
        }
        return render(request, "builds/template_choose.html", context)

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        if request.POST.get("keep"):
            revision = template_actions.keep_chosen(actor=self.actor, project=project)
        else:
            template = templates.template_called(request.POST.get("template", ""))
            chosen = templates.revision_of(template, number_in(request, "revision"))
            revision = template_actions.use_template(
                actor=self.actor, project=project, template=template, revision=chosen
            )
        tell(request, S("Saved as revision %(number)s; the next build runs it.", number=revision.number))
        return redirect("project-pipeline", project.slug)


class PipelineCompare(Page):
    """The project's copy beside the template it came from, as it was taken or as it is now."""

    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        own = pipelines.current(project)
        base = own.template_revision if own else None
        if own is None or base is None:
            raise NotFound(S("This project's pipeline is no copy of a template."), code="no_template")
        newest = templates.revision_of(base.template)
        other = templates.revision_of(base.template, number_in(request, "revision") or base.number)
        context = {
            **project_context(self.actor, project, "pipeline"),
            "own": own,
            "base": base,
            "newest": newest,
            "other": other,
            "diff": unified(
                other.text, own.text, f"{base.template.slug} {other.number}", f"{project.slug} {own.number}"
            ),
        }
        return render(request, "builds/pipeline_compare.html", context)


class PipelineUpgrade(Page):
    """The merged text in the editor, its conflicts by line; saved when none is left."""

    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        upgrade = template_actions.merged_upgrade(project, self.wanted(request, project))
        return self.show(request, project, upgrade, upgrade.merged.text)

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        policy.require(self.actor, "change_project", project)
        wanted = self.wanted(request, project)
        if wanted is None:
            raise Invalid(S("Say which revision of the template this is."))
        text = request.POST.get("text", "").replace("\r\n", "\n")
        try:
            saved = template_actions.upgrade_pipeline(
                actor=self.actor,
                project=project,
                text=text,
                template_revision=wanted,
                onto=number_in(request, "onto"),
                note=request.POST.get("note", ""),
            )
        except (Invalid, Conflict) as error:
            upgrade = template_actions.merged_upgrade(project, wanted)
            return self.show(request, project, upgrade, text, error)
        tell(request, S("Saved as revision %(number)s; the next build runs it.", number=saved.number))
        return redirect("project-pipeline", project.slug)

    @staticmethod
    def wanted(request: HttpRequest, project: Project) -> TemplateRevision | None:
        """The template's revision the address or the form names; None: the newest."""
        number, own = number_in(request, "revision"), pipelines.current(project)
        if number is None or own is None or own.template_revision is None:
            return None
        return templates.revision_of(own.template_revision.template, number)

    def show(
        self,
        request: HttpRequest,
        project: Project,
        upgrade: template_actions.Upgrade,
        text: str,
        problem: AppError | None = None,
    ) -> HttpResponse:
        old, new = upgrade.base, upgrade.revision
        context = {
            **project_context(self.actor, project, "pipeline"),
            "upgrade": upgrade,
            "text": text,
            "conflicts": conflicts_in(text),
            "problem": problem,
            "changes": unified(
                old.text, new.text, f"{old.template.slug} {old.number}", f"{old.template.slug} {new.number}"
            ),
        }
        return render(request, "builds/pipeline_upgrade.html", context, status=422 if problem else 200)


def choices() -> list[Any]:
    """The templates on offer, each with its newest revision's number."""
    found = list(template_use.library().filter(retired=False))
    if not found:
        templates.have_library()
        found = list(template_use.library().filter(retired=False))
    return found
