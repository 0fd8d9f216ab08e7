"""What all pages of one project share: the head, the tabs, what the reader may do. Addresses by name, so that this app
need not know the apps above it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Now
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from permissions import policy
from permissions.roles import Role
from projects import building, cloning, grants, listening
from projects.models import AccessRequest, MachineGrant, Project, RoleGrant

TABS = (
    ("board", "project"),
    ("builds", "project-builds"),
    ("versions", "project-versions"),
    ("deployments", "project-deployments"),
    ("pipeline", "project-pipeline"),
    ("settings", "project-settings"),
)


SOON = timedelta(days=max(grants.WARN_DAYS))


def fetch_project(actor: Any, slug: str) -> Project:
    """The project the actor may see; it knows whether there is something to say above every page of it.
    Raises NotFound."""
    here = Q(project=OuterRef("pk")) & grants.live()
    roles, machines = RoleGrant.objects.filter(here), MachineGrant.objects.filter(here)
    near = {"until__lte": timezone.now() + SOON, "emergency": False}
    rows = Project.objects.select_related(
        "source_connection__listener", "builder_connection", "registry_connection"
    ).annotate(
        in_emergency=Exists(roles.filter(emergency=True)) | Exists(machines.filter(emergency=True)),
        ends_soon=Exists(roles.filter(user=actor, **near)) | Exists(machines.filter(**near)),
        asks_machines=Exists(_machines_asked().filter(project=OuterRef("pk"))),
    )
    return policy.fetch(actor, rows, slug=slug)


def _machines_asked() -> QuerySet[AccessRequest]:
    waiting = {"kind": AccessRequest.Kind.MACHINE, "state": "pending", "expires_at__gt": Now()}
    return AccessRequest.objects.filter(**waiting)


def machines_asked(project: Project) -> list[AccessRequest]:
    """Requests for machines that nobody has decided yet, of a project from `fetch_project`; no query where none waits."""
    if not getattr(project, "asks_machines", False):
        return []
    return list(_machines_asked().filter(project=project).select_related("machine").order_by("id"))


def banners(actor: Any, project: Project) -> dict[str, Any]:
    """What every page of the project says on top: emergencies that are open, and grants that end soon."""
    found: dict[str, Any] = {}
    if getattr(project, "in_emergency", False):
        of_project = AccessRequest.objects.filter(project=project, emergency=True, state="approved")
        alive = Q(rolegrants__until__gt=Now()) | Q(machinegrants__until__gt=Now())
        ends = Coalesce("rolegrants__until", "machinegrants__until")
        found["emergencies"] = of_project.filter(alive).annotate(ends=ends).select_related("machine")
    if getattr(project, "ends_soon", False):
        near = Q(project=project, until__lte=timezone.now() + SOON, emergency=False) & grants.live()
        found["ending_roles"] = RoleGrant.objects.filter(near, user=actor)
        if policy.may(actor, "build_project", project):
            found["ending_machines"] = MachineGrant.objects.filter(near).select_related("machine")
    return found


def project_context(actor: Any, project: Project, tab: str) -> dict[str, Any]:
    """Context for `projects/base.html`."""
    labels = {
        "board": _("Board"),
        "builds": _("Builds"),
        "versions": _("Versions"),
        "deployments": _("Deployments"),
        "pipeline": _("Pipeline"),
        "settings": _("Settings"),
    }
    held = policy.permissions_on(actor, project)
    may_deploy = "deploy_test_project" in held
    return {
        "project": project,
        "unheard": listening.silence_of(project.source_connection),
        "built_by": building.label_of(project.builder_connection),
        **cloning.ways(project, actor.username),
        "deploy_refusal": _("Deploying needs the role developer on this project."),
        "build_refusal": _("Building needs the role developer on this project."),
        "settings_refusal": _("Changing settings needs the role maintainer on this project."),
        "ask_developer": policy.request_url(project, Role.DEVELOPER),
        "ask_maintainer": policy.request_url(project, Role.MAINTAINER),
        "ask_machine": policy.request_url(project, machine="") if "build_project" in held else "",
        **banners(actor, project),
        "owners": [] if "change_project" in held else policy.owners_of(project),
        "tab": tab,
        "tabs": [{"key": key, "label": labels[key], "url": reverse(name, args=[project.slug])} for key, name in TABS],
        "may_build": "build_project" in held,
        "may_deploy": may_deploy,
        "may_change": "change_project" in held,
        "may_own": "own_project" in held,
    }
