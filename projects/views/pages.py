"""Pages of projects: the list, the wizard, the settings with spec and members."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from fangduoduo_release.common.errors import AppError, Invalid
from fangduoduo_release.common.http import say, tell
from fangduoduo_release.common.paging import page_of
from fangduoduo_release.common.sentence import S
from permissions import policy
from permissions.enforce import OBJECT, SIGNED_IN, Page
from permissions.models import User
from projects import actions, building, grants, specs
from projects.forms import BuildingForm, MemberForm, RebindForm, SettingsForm, SpecForm
from projects.kubernetes_form import SHOWN_AT
from projects.models import Project
from projects.pages import fetch_project, project_context
from projects.sources import source_of_kind
from projects.wizard import ProjectForm, servers


class Projects(Page):
    permission = SIGNED_IN

    def get(self, request: HttpRequest) -> HttpResponse:
        rows = policy.visible(self.actor, Project.objects.select_related("created_by"))
        wanted = request.GET.get("q", "").strip()[:100]
        archived = request.GET.get("archived") == "1"
        rows = rows.filter(archived=archived)
        if wanted:
            rows = rows.filter(Q(slug__icontains=wanted) | Q(name__icontains=wanted))
        context = {"page": page_of(request, rows), "q": wanted, "archived": archived}
        return render(request, "projects/projects.html", context)


class NewProject(Page):
    permission = SIGNED_IN

    def form(self, data: Any = None) -> ProjectForm:
        return ProjectForm(data, starters=source_of_kind("git").starters(), **servers())

    def get(self, request: HttpRequest) -> HttpResponse:
        return render(request, "projects/new.html", {"form": self.form()})

    def post(self, request: HttpRequest) -> HttpResponse:
        form = self.form(request.POST)
        if form.is_valid():
            try:
                project = actions.create_project(actor=self.actor, **form.wanted())
            except AppError as error:
                form.refuse(error)
            else:
                tell(request, S("%(project)s is ready: clone it, push, and watch it build.", project=project.name))
                return redirect("project", project.slug)
        return render(request, "projects/new.html", {"form": form}, status=422)


SPEC_FIELDS = {"health_check": "health_path", "resources": "memory", **SHOWN_AT}  # which field shows what rules say


class Settings(Page):
    """Three forms on one page: the project, its spec, its members. Each posts with `form=`."""

    permission = OBJECT

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        return self.show(request, fetch_project(self.actor, slug))

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        project = fetch_project(self.actor, slug)
        handlers = {
            "settings": self.save_settings,
            "building": self.save_building,
            "rebind": self.rebind,
            "spec": self.save_spec,
            "member": self.save_member,
            "remove_member": self.remove_member,
            "archive": self.archive,
        }
        handler = handlers.get(request.POST.get("form", ""))
        if handler is None:
            raise Invalid(S("This request cannot be understood."))
        return handler(request, project)

    def save_settings(self, request: HttpRequest, project: Project) -> HttpResponse:
        form = SettingsForm(request.POST, instance=Project.objects.get(pk=project.pk))
        if form.is_valid():
            changes = {name: form.cleaned_data[name] for name in form.changed_data}
            if changes:
                actions.update_project(actor=self.actor, project=project, **changes)
            tell(request, S("Saved."))
            return redirect("project-settings", project.slug)
        return self.show(request, project, settings_form=form)

    def save_building(self, request: HttpRequest, project: Project) -> HttpResponse:
        policy.require(self.actor, "change_project", project)
        form = BuildingForm(request.POST, project=project, may_change=True)
        if form.is_valid():
            try:
                building.choose(actor=self.actor, project=project, **form.choices())
            except Invalid as error:
                form.add_error(next(iter(error.fields), None), say(error.sentence))
            else:
                tell(request, S("Saved; the next build uses it."))
                return redirect("project-settings", project.slug)
        return self.show(request, project, building_form=form)

    def rebind(self, request: HttpRequest, project: Project) -> HttpResponse:
        policy.require(self.actor, "change_project", project)
        form = RebindForm(request.POST)
        if form.is_valid():
            try:
                actions.rebind_repository(actor=self.actor, project=project, repository=form.cleaned_data["repository"])
            except AppError as error:
                if project.is_embedded:  # no form for it is shown
                    raise
                form.add_error("repository", say(error.sentence))
            else:
                tell(request, S("The project is bound to “%(name)s” now.", name=project.repository))
                return redirect("project-settings", project.slug)
        return self.show(request, project, rebind_form=form)

    def save_spec(self, request: HttpRequest, project: Project) -> HttpResponse:
        form = SpecForm(request.POST)
        if form.is_valid():
            revision = specs.latest(project)
            try:
                saved = actions.save_spec(
                    actor=self.actor, project=project, spec=form.merged(revision.spec if revision else {})
                )
            except Invalid as error:
                for name, sentences in (error.fields or {"": [error.sentence]}).items():
                    field = SPEC_FIELDS.get(name, name)
                    for sentence in sentences:
                        form.add_error(field if field in form.fields else None, say(sentence))
            else:
                tell(request, S("Saved as spec revision %(number)s; the next deployment uses it.", number=saved.number))
                return redirect("project-settings", project.slug)
        return self.show(request, project, spec_form=form)

    def save_member(self, request: HttpRequest, project: Project) -> HttpResponse:
        form = MemberForm(request.POST)
        if form.is_valid():
            policy.require(self.actor, "own_project", project)
            data = form.cleaned_data
            name = data["user"].strip()
            user = User.objects.filter(username=name, is_active=True).first() if name else None
            if name and user is None:
                form.add_error("user", say(S("There is nobody called “%(name)s”.", name=name)))
            else:
                return self._set_member(request, project, user=user, **{k: data[k] for k in ("team", "role", "until")})
        return self.show(request, project, member_form=form)

    def remove_member(self, request: HttpRequest, project: Project) -> HttpResponse:
        policy.require(self.actor, "own_project", project)  # before we say who there is
        name, team = request.POST.get("user", ""), request.POST.get("team", "")
        user = User.objects.filter(username=name).first()
        group = Group.objects.filter(name=team).first() if team else None
        if user is None and group is None:
            raise Invalid(S("There is nobody called “%(name)s”.", name=name or team))
        return self._set_member(request, project, user=user, team=group, role=None)

    def _set_member(self, request: HttpRequest, project: Project, **member: Any) -> HttpResponse:
        actions.set_member(actor=self.actor, project=project, **member)
        tell(request, S("Saved."))
        return redirect("project-settings", project.slug)

    def archive(self, request: HttpRequest, project: Project) -> HttpResponse:
        actions.update_project(actor=self.actor, project=project, archived=request.POST.get("archived") == "1")
        return redirect("project-settings", project.slug)

    def show(
        self,
        request: HttpRequest,
        project: Project,
        *,
        settings_form: Any = None,
        building_form: Any = None,
        rebind_form: Any = None,
        spec_form: Any = None,
        member_form: Any = None,
    ) -> HttpResponse:
        revision = specs.latest(project)
        head = project_context(self.actor, project, "settings")
        context = {
            **head,
            "building_form": building_form or BuildingForm(project=project, may_change=head["may_change"]),
            "rebind_form": rebind_form or RebindForm(initial={"repository": project.repository}),
            "settings_form": settings_form or SettingsForm(instance=project),
            "spec_form": spec_form or SpecForm(initial=SpecForm.initial_from(revision.spec if revision else {})),
            "member_form": member_form or MemberForm(),
            "spec_revision": revision,
            "secret_names": sorted((revision.secrets or {}) if revision else {}),
            "members": project.role_grants.filter(grants.live())
            .select_related("user", "team", "request")
            .order_by("team__name", "user__username", "-pk"),
            "machines": grants.live_machine_grants().filter(project=project).select_related("machine"),
        }
        wrong = settings_form or building_form or rebind_form or spec_form or member_form
        return render(request, "projects/settings.html", context, status=422 if wrong else 200)
