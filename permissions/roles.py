"""Roles as data: which permission each role holds on a project. The only list of what can be done to a project."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

# codename -> what it lets one do; these are guardian object permissions on Project.
PROJECT_PERMISSIONS: list[tuple[str, Any]] = [
    ("view_project", "See the project, its builds, versions, logs and services"),
    ("build_project", "Push, build, cancel and retry builds"),
    ("deploy_test_project", "Deploy to granted test machines"),
    ("deploy_project", "Deploy to every granted machine"),
    ("operate_project", "Restart, scale and remove services"),
    ("change_project", "Change settings, spec and pipeline"),
    ("own_project", "Manage members and requests"),
]


class Role(models.TextChoices):
    """Roles on a project, weakest first; each holds all that the one before it holds."""

    VIEWER = "viewer", _("viewer")
    DEVELOPER = "developer", _("developer")
    MAINTAINER = "maintainer", _("maintainer")
    OWNER = "owner", _("owner")


_VIEWER = ("view_project",)
_DEVELOPER = (*_VIEWER, "build_project", "deploy_test_project")
_MAINTAINER = (*_DEVELOPER, "deploy_project", "operate_project", "change_project")
_OWNER = (*_MAINTAINER, "own_project")

PERMISSIONS_OF: dict[str, tuple[str, ...]] = {
    Role.VIEWER: _VIEWER,
    Role.DEVELOPER: _DEVELOPER,
    Role.MAINTAINER: _MAINTAINER,
    Role.OWNER: _OWNER,
}


def weakest_role_with(codename: str) -> str:
    """The first role that holds `codename`: what a refused person should ask for."""
    return next(role for role, held in PERMISSIONS_OF.items() if codename in held)


def mark_of(role: str) -> str:
    """The permission by which one tells that somebody holds `role` or a stronger one."""
    return next(codename for codename in PERMISSIONS_OF[role] if weakest_role_with(codename) == role)
