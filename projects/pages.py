"""What all pages of one project share: the head, the tabs, what the reader may do. Addresses by name, so that this app
need not know the apps above it."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from permissions import policy
from projects.models import Project
from projects.sources import clone_url

TABS = (
    ("board", "project"),
    ("builds", "project-builds"),
    ("versions", "project-versions"),
    ("deployments", "project-deployments"),
    ("pipeline", "project-pipeline"),
    ("settings", "project-settings"),
)


def fetch_project(actor: Any, slug: str) -> Project:
    """The project the actor may see. Raises NotFound."""
    return policy.fetch(actor, Project.objects.select_related("source_connection"), slug=slug)


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
    address = clone_url(project)
    may_deploy = "deploy_test_project" in held
    return {
        "project": project,
        "clone_url": address,
        "clone_command": f"git clone {address}",
        "deploy_refusal": _("Deploying needs the role developer on this project."),
        "build_refusal": _("Building needs the role developer on this project."),
        "settings_refusal": _("Changing settings needs the role maintainer on this project."),
        "owners": [] if "change_project" in held else policy.owners_of(project),
        "tab": tab,
        "tabs": [{"key": key, "label": labels[key], "url": reverse(name, args=[project.slug])} for key, name in TABS],
        "may_build": "build_project" in held,
        "may_deploy": may_deploy,
        "may_change": "change_project" in held,
        "may_own": "own_project" in held,
    }
