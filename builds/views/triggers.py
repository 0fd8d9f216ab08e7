"""The page of what makes a project build by itself: its rules, a line to try them, and what came in lately."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from builds.lately import items_of, with_builds
from builds.models import BuildRules
from builds.rule_actions import save_rules
from builds.rule_forms import RulesForm, TryForm, label_of
from builds.rules import Match, check_patterns, match, rules_of
from fangduoduo_release.common.errors import Invalid
from fangduoduo_release.common.http import tell
from fangduoduo_release.common.sentence import S, Sentence
from permissions import policy
from permissions.enforce import OBJECT, Page
from projects import cloning
from projects.drivers.source.base import short_name
from projects.models import Project
from projects.pages import fetch_project, project_context

SHOWN = 30


class Triggers(Page):
    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        if request.GET.get("part") == "lately":
            return render(request, "builds/lately.html", self.lately(project))
        return self.show(request, project)

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        policy.require(self.actor, "change_project", project)  # the right first, then what was typed
        form = RulesForm(request.POST, project=project, rules=rules_of(project))
        if form.is_valid():
            try:
                save_rules(actor=self.actor, project=project, **form.cleaned_data)
            except Invalid as error:
                form.refuse(error)
            else:
                tell(request, S("Saved; it holds from the next push on."))
                return redirect("project-triggers", project.slug)
        return self.show(request, project, form)

    def show(self, request: HttpRequest, project: Project, form: RulesForm | None = None) -> HttpResponse:
        context = {
            **project_context(self.actor, project, "settings"),
            "form": form or RulesForm(project=project, rules=rules_of(project)),
            "try_form": TryForm(auto_id="try_%s", initial={"name": project.default_branch}),
            "label": label_of(project),
            **self.lately(project),
        }
        return render(request, "builds/triggers.html", context, status=422 if form else 200)

    def lately(self, project: Project) -> dict[str, Any]:
        came = with_builds(items_of(project).order_by("-pk")[:SHOWN])
        return {"project": project, "came": came, "how": {} if came else cloning.ways(project, self.actor.username)}


class TryTrigger(Page):
    """Whether a name would build by the patterns that stand in the form, saved or not; a fragment."""

    permission = OBJECT

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        form = TryForm(request.POST)
        context: dict[str, Any] = {}
        if form.is_valid() and form.cleaned_data["name"]:
            context = verdict(rules_of(project), form.cleaned_data["kind"], form.cleaned_data["name"], request.POST)
        return render(request, "builds/tried.html", context)


def verdict(rules: BuildRules, kind: str, name: str, typed: Any) -> dict[str, Any]:
    """{builds, sentence} of a name. `typed`: what stands in the form; whoever may not write there is judged by the rules."""
    patterns = getattr(rules, kind)
    if kind in typed:
        try:
            patterns = check_patterns(kind, typed[kind].splitlines())
        except Invalid as error:
            return {"builds": None, "sentence": error.sentence}
    if kind == "paths" and not patterns:
        return {"builds": True, "sentence": S("It builds: whatever changed counts.")}
    found = match(patterns, name.strip().lstrip("/") if kind == "paths" else short_name(name.strip()))
    return {"builds": found.inside, "sentence": _because(found)}


def _because(found: Match) -> Sentence:
    if found.inside:
        if found.by:
            return S("It builds, because of “%(pattern)s”.", pattern=found.by)
        return S("It builds: no pattern takes it out.")
    if found.by:
        return S("It does not build: “%(pattern)s” takes it out.", pattern=found.by)
    return S("It does not build: no pattern matches.")
